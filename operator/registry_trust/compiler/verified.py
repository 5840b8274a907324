"""The condition Verified: what the nodes that asked a trust's registries found, and whether Ready waits for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from registry_trust import __version__
from registry_trust.compiler.compile import Outcome
from registry_trust.compiler.node_standing import VERDICTS_WORST_FIRST, NodeStanding
from registry_trust.core.conditions import Condition, ConditionStatus
from registry_trust.core.names import AGENT
from registry_trust.core.reasons import Reason
from registry_trust.core.text import listing
from registry_trust.core.trust import Verification
from registry_trust.core.verdict.verdict import State as VerdictState
from registry_trust.core.verdict.verdict import Verdict


def verified(outcome: Outcome, asked: Sequence[tuple[str, NodeStanding]]) -> Condition | None:
    """Return the condition Verified; None where no node is to ask, or nothing is served.

    Args:
        outcome: what came of the trust.
        asked: the verifiers that have what is served now, by name.
    """
    content = outcome.content or outcome.candidate  # of a trust that is new, only the canaries have anything
    if outcome.verification is Verification.OFF or content is None or outcome.withdrawn:
        return None
    verdicts = [(name, node.registry, node.verdict) for name, node in asked if node.verdict is not None]
    if not verdicts:
        return _not_asked(asked)
    found = Counter(verdict.state for _, _, verdict in verdicts)
    name, registry, worst = min(verdicts, key=lambda each: (VERDICTS_WORST_FIRST.index(each[2].state), each[:2]))
    nodes = f"{len(verdicts)} {'node' if len(verdicts) == 1 else 'nodes'} asked"
    if outcome.candidate is not None:
        nodes = f"{nodes} as {'canary' if len(verdicts) == 1 else 'canaries'} with revision {outcome.next_revision}"
    why = f"; {name}: {_said(registry, worst)}"
    if found[VerdictState.FAILED]:
        message = f"{nodes}, and on {found[VerdictState.FAILED]} a pull would fail{why}"
        return Condition("Verified", ConditionStatus.FALSE, Reason.VERIFICATION_FAILED, message)
    if not found[VerdictState.VERIFIED]:
        return Condition("Verified", ConditionStatus.UNKNOWN, worst.problem.reason, f"{nodes}, and none can tell{why}")
    if found[VerdictState.UNKNOWN]:
        message = f"{nodes}; on {found[VerdictState.VERIFIED]} a pull would work, and the rest can't tell{why}"
        return Condition("Verified", ConditionStatus.TRUE, Reason.VERIFIED, message)
    return Condition("Verified", ConditionStatus.TRUE, Reason.VERIFIED, f"{nodes}, and a pull would work")


def _not_asked(asked: Sequence[tuple[str, NodeStanding]]) -> Condition:
    mute = [f"{name} ({node.problem.message})" for name, node in asked if node.problem is not None]
    if not mute or len(mute) < len(asked):
        message = "no node has asked the registries yet"
        return Condition("Verified", ConditionStatus.UNKNOWN, Reason.NOT_VERIFIED, message)
    message = (
        f"the agents of the nodes that are to ask do not: {listing(mute)}. They are older than this operator "
        f"({__version__}), or none of their directories is read; upgrade the DaemonSet {AGENT}, or set "
        "spec.verification to Report"
    )
    return Condition("Verified", ConditionStatus.UNKNOWN, Reason.AGENT_DOES_NOT_VERIFY, message)


def is_on_its_way(condition: Condition) -> bool:
    """Say whether a condition that is not True will change by itself."""
    return condition.reason == Reason.NOT_VERIFIED


def _said(registry: str, verdict: Verdict) -> str:
    return f"{registry}: {verdict.problem.reason}: {verdict.problem.message}"
