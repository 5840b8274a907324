"""The status of a trust: conditions, node counts, failing nodes and certificates, as the object's `status`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from registry_trust.api.trust_status import summarize_registries
from registry_trust.compiler.compile import Outcome
from registry_trust.compiler.content import SourcedCertificate
from registry_trust.compiler.fleet import Standing
from registry_trust.compiler.node_standing import NodeState
from registry_trust.compiler.served_certificates import that_matter
from registry_trust.compiler.verified import is_on_its_way, verified
from registry_trust.core.certificate_state import ENDING, EXPIRY_WARNING, CertificateState, state_of
from registry_trust.core.conditions import Condition, ConditionStatus, merge
from registry_trust.core.names import AGENT, MAXIMUM_CERTIFICATES, MAXIMUM_FAILING_NODES, PRODUCT
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import clip, listing
from registry_trust.core.times import rfc3339
from registry_trust.core.trust import Verification

Judged = tuple[SourcedCertificate, CertificateState]
"""A certificate and its state at the moment of the status."""

_LEFT_OUT = "the API server refused the message; see the operator's log"


def make_status(
    outcome: Outcome,
    standing: Standing,
    now: datetime,
    previous: Mapping[str, Any],
    *,
    expiry_warning: timedelta = EXPIRY_WARNING,
) -> dict[str, Any]:
    """Return the whole `status` of a trust.

    Args:
        outcome: what came of the trust.
        standing: its nodes.
        now: the moment that changed conditions get as their `lastTransitionTime`.
        previous: the status as it is, for the transition times that stay.
        expiry_warning: see `certificate_state.state_of`.
    """
    soonest = [
        (item, state_of(item.facts.not_before, item.facts.not_after, now, expiry_warning))
        for item in sorted(outcome.certificates, key=lambda item: (item.facts.not_after, item.facts.sha256))
    ]
    matter = that_matter([item for item, _ in soonest], now)
    conditions = _conditions(outcome, standing, [(item, state) for item, state in soonest if item in matter])
    status: dict[str, Any] = {
        "observedGeneration": outcome.generation,
        "conditions": merge(previous.get("conditions") or (), conditions, outcome.generation, rfc3339(now)),
        "nodes": {"selected": standing.selected, **{state.value: standing.counts[state] for state in NodeState}},
        "registriesSummary": summarize_registries(outcome.registries),
        "nodesSummary": f"{standing.counts[NodeState.CURRENT]}/{standing.selected}",
        "certificateCount": len(outcome.certificates),
    }
    if outcome.revision:
        status["revision"] = outcome.revision
    if outcome.rollout is not None:
        canaries = outcome.candidate.canaries if outcome.candidate is not None else ()
        status["rollout"] = {
            "revision": outcome.next_revision,
            "canaries": list(canaries[:MAXIMUM_FAILING_NODES]),
            "canaryCount": len(canaries),
        }
    if matter:
        ends = [item.facts.not_after for item in matter]
        # The first end that is still to come: one certificate that has expired must not hide the next one.
        status["nextExpiry"] = rfc3339(min((end for end in ends if end >= now), default=max(ends)))
    if soonest:
        status["certificates"] = [_certificate(item, state) for item, state in soonest[:MAXIMUM_CERTIFICATES]]
    if standing.not_current:
        status["failingNodes"] = [
            _present(
                name=name,
                registry=node.registry,
                reason="" if node.problem is None else node.problem.reason,
                message="" if node.problem is None else clip(node.problem.message),
            )
            for name, node in standing.not_current[:MAXIMUM_FAILING_NODES]
        ]
    return status


def without(status: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Return a status without the parts to which refused fields belong; conditions stay, with another message.

    Args:
        status: what was refused.
        fields: paths as the API server gives them, such as `status.failingNodes[0].reason`.
    """
    parts = {found[1] for field in fields if (found := re.match(r"status\.(\w+)", field))}
    kept = {name: value for name, value in status.items() if name not in parts or name == "conditions"}
    if "conditions" in parts:
        kept["conditions"] = [{**each, "message": _LEFT_OUT} for each in status["conditions"]]
    return kept


def _conditions(outcome: Outcome, standing: Standing, certificates: Sequence[Judged]) -> list[Condition]:
    accepted = _accepted(outcome)
    distributed = _distributed(outcome, standing)
    asked = verified(outcome, standing.asked)
    conditions = [accepted, distributed, _expiring(certificates), *([] if asked is None else [asked])]
    if accepted.status is not ConditionStatus.TRUE:
        conditions.append(Condition("Ready", ConditionStatus.FALSE, accepted.reason, accepted.message))
        conditions.append(Condition("Stalled", ConditionStatus.TRUE, accepted.reason, accepted.message))
    elif outcome.waits is not None and distributed.reason not in _WORSE:
        waits = outcome.waits
        conditions.append(Condition("Ready", ConditionStatus.FALSE, waits.reason, waits.message))
        kind = "Reconciling" if waits.reason is Reason.ROLLING_OUT else "Stalled"
        conditions.append(Condition(kind, ConditionStatus.TRUE, waits.reason, waits.message))
    elif distributed.status is ConditionStatus.TRUE and asked is not None and _is_awaited(outcome, asked):
        conditions.append(Condition("Ready", ConditionStatus.FALSE, asked.reason, asked.message))
        kind = "Reconciling" if is_on_its_way(asked) else "Stalled"
        conditions.append(Condition(kind, ConditionStatus.TRUE, asked.reason, asked.message))
    elif distributed.status is ConditionStatus.TRUE:
        conditions.append(Condition("Ready", ConditionStatus.TRUE, Reason.READY, distributed.message))
    else:
        conditions.append(Condition("Ready", ConditionStatus.FALSE, distributed.reason, distributed.message))
        stuck = distributed.reason != Reason.NODES_PENDING
        kind = "Stalled" if stuck else "Reconciling"
        conditions.append(Condition(kind, ConditionStatus.TRUE, distributed.reason, distributed.message))
    return conditions


_WORSE = frozenset({Reason.WITHDRAWN, Reason.NO_AGENTS})
"""Reasons of Distributed that are told first, although new content waits for its canaries."""


def _is_awaited(outcome: Outcome, asked: Condition) -> bool:
    return outcome.verification is Verification.REQUIRE and asked.status is not ConditionStatus.TRUE


def _accepted(outcome: Outcome) -> Condition:
    if outcome.errors:
        first = outcome.errors[0]
        tail = (
            f" (still serving revision {outcome.revision})"
            if outcome.content is not None
            else " (nothing is served; nodes keep what they have)"
        )
        more = {1: "", 2: " (and 1 more error)"}.get(
            len(outcome.errors), f" (and {len(outcome.errors) - 1} more errors)"
        )
        located = f"{first.field}: {first.message}" if first.field else first.message
        return Condition("Accepted", ConditionStatus.FALSE, first.reason, located + more + tail)
    if outcome.suspended:
        what = f"revision {outcome.revision} is frozen" if outcome.content is not None else "nothing was served before"
        return Condition("Accepted", ConditionStatus.TRUE, Reason.SUSPENDED, f"suspended: {what}")
    if warnings := outcome.warnings:
        message = listing([str(finding) for finding in _one_of_each_first(warnings)], 5)
        return Condition("Accepted", ConditionStatus.TRUE, Reason.VALID_WITH_WARNINGS, message)
    return Condition("Accepted", ConditionStatus.TRUE, Reason.VALID, "every certificate and key is usable")


def _one_of_each_first(findings: Sequence[Problem]) -> list[Problem]:
    """Order findings so that none is pushed out of a message by many of another reason, as of a public bundle."""
    met: Counter[Reason] = Counter()
    turns: list[tuple[int, Problem]] = []
    for finding in findings:
        turns.append((met[finding.reason], finding))
        met[finding.reason] += 1
    return [finding for _, finding in sorted(turns, key=lambda turn: turn[0])]


def _distributed(outcome: Outcome, standing: Standing) -> Condition:  # noqa: C901, PLR0911 - one return for each reason
    def no(reason: Reason, message: str) -> Condition:
        return Condition("Distributed", ConditionStatus.FALSE, reason, message)

    if outcome.content is None and outcome.candidate is None:
        missing = Problem(Reason.NOT_ACCEPTED, "there is no content to distribute")
        return no((outcome.waits or missing).reason, missing.message)
    if outcome.withdrawn:
        return no(Reason.WITHDRAWN, f"{PRODUCT} is being uninstalled: agents are removing the files they wrote")
    if not standing.daemon_set:
        message = (
            f"there is no DaemonSet {AGENT}, so no node gets changes; a policy engine or an uninstallation "
            "may have removed it; apply the chart or deploy/ again"
        )
        return no(Reason.NO_AGENTS, message)
    if standing.agents == 0:
        return no(Reason.NO_AGENTS, f"no agent is running on any node; see the DaemonSet {AGENT}")
    message, counts = _reach(outcome, standing), standing.counts
    if counts[NodeState.FAILED]:
        return no(Reason.NODES_FAILING, message)
    if outcome.waits is not None and outcome.candidate is not None:
        return no(outcome.waits.reason, message)
    if counts[NodeState.PENDING]:
        return no(Reason.NODES_PENDING, message)
    if standing.selected == 0:
        return Condition("Distributed", ConditionStatus.TRUE, Reason.NO_NODES_SELECTED, "no node is selected")
    if counts[NodeState.CURRENT] == 0 and counts[NodeState.WITHOUT_AGENT]:
        return no(Reason.NO_AGENTS, message)
    return Condition("Distributed", ConditionStatus.TRUE, Reason.ALL_NODES_CURRENT, message)


def _reach(outcome: Outcome, standing: Standing) -> str:
    """Return how many nodes have what they are to have, and of the first that does not, why."""
    counts = standing.counts
    current, selected = counts[NodeState.CURRENT], standing.selected
    message = f"{current} of {selected} nodes have revision {outcome.revision or outcome.next_revision}"
    if outcome.candidate is not None and outcome.content is not None:
        message += f", or as its canaries revision {outcome.next_revision}"
    missing = [
        f"{counts[state]} {word}"
        for state, word in (
            (NodeState.FAILED, "failing"),
            (NodeState.PENDING, "pending"),
            (NodeState.UNREACHABLE, "unreachable"),
            (NodeState.WITHOUT_AGENT, "without an agent"),
        )
        if counts[state]
    ]
    if missing:
        message += f"; {', '.join(missing)}"
    if standing.not_current:
        name, node = standing.not_current[0]
        registry = f" {node.registry}:" if node.registry else ""
        if node.problem is not None:
            message += f"; {name}: {node.problem.reason}:{registry} {node.problem.message}"
    return message


def _expiring(certificates: Sequence[Judged]) -> Condition:
    """Return the condition on the dates of the certificates that matter (`that_matter`)."""
    ending = [item for item, state in certificates if state in ENDING]
    if ending:
        worst = max((state for _, state in certificates if state in ENDING), key=ENDING.index)
        verb = "have expired or will expire" if worst is CertificateState.EXPIRED else "will expire"
        message = f"{len(ending)} of {len(certificates)} certificates {verb}: {listing([_ends(i) for i in ending])}"
        return Condition("Expiring", ConditionStatus.TRUE, worst.value, f"{message}; replace them in their sources")
    early = [item for item, state in certificates if state is CertificateState.NOT_YET_VALID]
    if early:
        shown = [f"{i.facts.subject} ({i.source or 'last good'}) from {rfc3339(i.facts.not_before)}" for i in early]
        message = f"{len(early)} of {len(certificates)} certificates are not valid yet: {listing(shown)}"
        return Condition("Expiring", ConditionStatus.FALSE, Reason.NOT_YET_VALID, message)
    return Condition("Expiring", ConditionStatus.FALSE, Reason.NOT_EXPIRING, "no certificate is about to expire")


def _ends(item: SourcedCertificate) -> str:
    return f"{item.facts.subject} ({item.source or 'last good'}) on {rfc3339(item.facts.not_after)}"


def _certificate(item: SourcedCertificate, state: CertificateState) -> dict[str, Any]:
    facts = item.facts
    return _present(
        kind=facts.kind.value,
        source=item.source,
        subject=facts.subject,
        issuer=facts.issuer,
        serialNumber=facts.serial_number,
        sha256=facts.sha256,
        notBefore=rfc3339(facts.not_before),
        notAfter=rfc3339(facts.not_after),
        state=state.value,
        retainedUntil="" if item.retained_until is None else rfc3339(datetime.fromtimestamp(item.retained_until, UTC)),
    )


def _present(**fields: str) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items() if value}
