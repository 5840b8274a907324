"""The node report's format: between the `NodeReport` value and the status of its `NodeTrust` object, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_trust.core.names import MAXIMUM_NOTICES, MAXIMUM_ROWS, MAXIMUM_TARGETS
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.registry import MAXIMUM_LENGTH
from registry_trust.core.report import NodeReport, RegistryRow, RowState, TargetRow, TargetState, summary
from registry_trust.core.text import FIELD_LIMIT, MESSAGE_LIMIT, clip, escape
from registry_trust.core.verdict.verdict import State as VerdictState
from registry_trust.core.verdict.verdict import Verdict

LARGEST_COUNT = 2**31 - 1
"""The largest int32, which is what the kinds' counts are."""


def encode_report(report: NodeReport) -> dict[str, Any]:
    """Return the `status` of the node's `NodeTrust` object; fields without a value are left out."""
    return {
        "agentVersion": report.agent_version,
        "runtime": report.runtime,
        "bundle": {"uid": report.bundle_uid, "serial": report.serial, "schema": report.schema},
        "labelsHash": report.labels_hash,
        "state": summary(report),
        "targetsSummary": clip(", ".join(_target_summary(row) for row in report.targets), 512),
        "targets": [
            _present(
                path=t.path,
                layout=t.layout,
                state=t.state.value,
                reason="" if t.problem is None else t.problem.reason,
                message=clip(t.message),
            )
            for t in report.targets
        ],
        "registries": [
            _present(
                name=row.registry,
                trust=row.trust,
                state=row.state.value,
                generation=row.generation,
                reason="" if row.problem is None else row.problem.reason,
                message="" if row.problem is None else clip(row.problem.message),
            )
            | _encode_verdict(row.verdict)
            for row in report.registries
        ],
        "registryCount": report.registry_count,
        "failingCount": report.failing,
        "notices": [_present(reason=notice.reason, message=clip(notice.message)) for notice in report.notices],
    }


def decode_report(status: Mapping[str, Any]) -> NodeReport:
    """Return the report in a `NodeTrust` status, tolerant of what another version leaves out or adds.

    A report is input: whoever has one node's token writes what the kind's schema lets through. What comes out is fit
    for statuses, Events and logs as it is: texts are printable ASCII and short, a row that is not fine has a reason
    of the table, lists and counts are bounded.

    Raises:
        KeyError, ValueError, TypeError, AttributeError: it is not a report at all.
    """
    bundle = status.get("bundle") or {}
    targets = tuple(
        TargetRow(
            path=_text(row["path"], FIELD_LIMIT),
            layout=_text(row.get("layout")),
            state=TargetState(row["state"]),
            problem=(problem := _problem(row, _DEFAULT_OF_TARGET.get(row["state"]))),
            remark=_text(row.get("message"), MESSAGE_LIMIT) if problem is None else "",
        )
        for row in (status.get("targets") or ())[:MAXIMUM_TARGETS]
    )
    registries = tuple(
        RegistryRow(
            registry=_text(row["name"], MAXIMUM_LENGTH),
            state=(state := RowState(row["state"])),
            generation=_text(row.get("generation")),
            problem=_problem(row, _DEFAULT_OF_ROW.get(state)),
            trust=_text(row.get("trust")),
            verdict=_decode_verdict(row.get("verification")),
        )
        for row in (status.get("registries") or ())[:MAXIMUM_ROWS]
    )
    return NodeReport(
        agent_version=_text(status.get("agentVersion")),
        runtime=_text(status.get("runtime")),
        bundle_uid=_text(bundle.get("uid")),
        serial=max(0, int(bundle.get("serial", 0))),
        labels_hash=_text(status.get("labelsHash")),
        targets=targets,
        registries=registries,
        registry_count=_count(status.get("registryCount", 0)),
        failing=_count(status.get("failingCount", 0)),
        notices=tuple(filter(None, map(_notice, (status.get("notices") or ())[:MAXIMUM_NOTICES]))),
        schema=_count(bundle.get("schema", 1)),
    )


_DEFAULT_OF_TARGET: Mapping[str, Reason] = {
    TargetState.NOT_READ: Reason.ROOT_NOT_READ,
    TargetState.UNKNOWN: Reason.RUNTIME_UNKNOWN,
    TargetState.FAILED: Reason.WRITE_FAILED,
}
_DEFAULT_OF_ROW: Mapping[str, Reason] = {
    RowState.HELD: Reason.CONTENT_HELD,
    RowState.PENDING: Reason.NODE_PENDING,
    RowState.FAILED: Reason.WRITE_FAILED,
}
"""The reason of a row that gives none, or one that this version does not know."""


def _encode_verdict(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {}
    reason, message = verdict.problem.reason, verdict.problem.message
    return {"verification": {"state": verdict.state.value, "reason": reason.value, "message": clip(message)}}


def _decode_verdict(found: object) -> Verdict | None:
    """Return the verdict of a row; None where there is none, or it is of a state that this version does not know."""
    if not isinstance(found, Mapping) or found.get("state") not in _VERDICTS:
        return None
    state = VerdictState(found["state"])
    problem = _problem(found, _DEFAULT_OF_VERDICT[state])
    return None if problem is None else Verdict(state, problem)


_DEFAULT_OF_VERDICT = {
    VerdictState.VERIFIED: Reason.VERIFIED,
    VerdictState.FAILED: Reason.VERIFICATION_FAILED,
    VerdictState.UNKNOWN: Reason.VERDICT_UNCLEAR,
}
_VERDICTS = tuple(state.value for state in VerdictState)
_REASONS = frozenset(reason.value for reason in Reason)


def _problem(row: Mapping[str, Any], default: Reason | None) -> Problem | None:
    """Return what a row says is wrong; None where it gives no reason that is known, and its state asks for none."""
    found = row.get("reason")
    reason = Reason(found) if isinstance(found, str) and found in _REASONS else default
    return None if reason is None else Problem(reason, _text(row.get("message"), MESSAGE_LIMIT))


def _notice(found: object) -> Problem | None:
    """Return a notice; None where its reason is not one that this version knows, so that it can't act on it.

    An agent of before the first release writes a notice as one text, `Reason: message`.
    """
    if isinstance(found, str):
        reason, _, message = found.partition(": ")
        found = {"reason": reason, "message": message}
    return _problem(found, None) if isinstance(found, Mapping) else None


def _text(found: object, limit: int = FIELD_LIMIT) -> str:
    return escape(found if isinstance(found, str) else "", limit)


def _count(found: object) -> int:
    """Return a count; what is none, or is too large for the kinds' int32, becomes the nearest that is."""
    return min(max(0, found), LARGEST_COUNT) if isinstance(found, int) else 0


def _present(**fields: str) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


def _target_summary(row: TargetRow) -> str:
    return row.path if row.state is TargetState.READ else f"{row.path} ({row.state.value})"
