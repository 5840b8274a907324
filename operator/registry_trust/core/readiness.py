"""Readiness: what a node report amounts to, as the conditions that `kubectl wait` and kstatus understand."""

from __future__ import annotations

from registry_trust.core.conditions import Condition, ConditionStatus
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, find_lack


def node_conditions(report: NodeReport) -> tuple[Condition, ...]:
    """Return `Ready`, and `Stalled` or `Reconciling` while that is so, as a trust has them."""
    lack = find_lack(report)
    if lack is None:
        count = report.registry_count
        message = f"{count} {'registry is' if count == 1 else 'registries are'} in place"
        return (Condition("Ready", ConditionStatus.TRUE, Reason.READY, message),)
    reason, message = lack.problem.reason, lack.problem.message
    return (
        Condition("Ready", ConditionStatus.FALSE, reason, message),
        Condition("Stalled" if lack.stalled else "Reconciling", ConditionStatus.TRUE, reason, message),
    )
