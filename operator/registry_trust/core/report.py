"""The node report: what one node has, row by row, as a value and as the status of its `NodeTrust` object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from registry_trust.core.names import MAXIMUM_NOTICES, MAXIMUM_ROWS, MAXIMUM_TARGETS
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.registry import MAXIMUM_LENGTH
from registry_trust.core.text import FIELD_LIMIT, MESSAGE_LIMIT, clip, escape

LARGEST_COUNT = 2**31 - 1
"""The largest int32, which is what the kinds' counts are."""


class RowState(StrEnum):
    """How one registry stands on a node."""

    CURRENT = "Current"
    HELD = "Held"
    PENDING = "Pending"
    FAILED = "Failed"


class TargetState(StrEnum):
    """How one target stands on a node."""

    READ = "Read"
    """The runtime reads it, or the admin named it explicitly."""
    STANDBY = "Standby"
    """Written for the day the runtime reads it; nothing reads it now, and its troubles fail no trust."""
    NOT_READ = "NotRead"
    UNKNOWN = "Unknown"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """One registry on a node; with `trust` the row is about that trust alone.

    `generation` is the content hash that the files have (empty where there are none). A current row may have a problem,
    too: the files are in place, and the runtime has another use for them.
    """

    registry: str
    state: RowState
    generation: str = ""
    problem: Problem | None = None
    trust: str = ""


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target on a node, by its path on the host. `remark` is what is to be said of one without a problem."""

    path: str
    layout: str
    state: TargetState
    problem: Problem | None = None
    remark: str = ""

    @property
    def message(self) -> str:
        """What the row says: its problem's message, or the remark."""
        return self.remark if self.problem is None else self.problem.message


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What one node says of itself.

    Attributes:
        bundle_uid, serial: the bundle that the node last applied as a whole; "" and 0 before the first.
        labels_hash: the labels that the node selected by (`core.selection.labels_hash`).
        failing: number of failing rows, also of those that found no place among `registries`.
    """

    agent_version: str
    runtime: str
    bundle_uid: str
    serial: int
    labels_hash: str
    targets: tuple[TargetRow, ...]
    registries: tuple[RegistryRow, ...]
    registry_count: int
    failing: int
    notices: tuple[Problem, ...] = ()

    def is_truncated(self) -> bool:
        """Say whether there are failing rows that the report does not show."""
        return self.failing > sum(row.state is RowState.FAILED for row in self.registries)


_ORDER = {RowState.FAILED: 0, RowState.PENDING: 2, RowState.HELD: 3, RowState.CURRENT: 4}
_BAD_TARGETS = frozenset({TargetState.NOT_READ, TargetState.UNKNOWN, TargetState.FAILED})


def order_rows(rows: Iterable[RegistryRow]) -> tuple[tuple[RegistryRow, ...], int, int]:
    """Return the rows that a report shows, the number of registries and of failing rows.

    Failures come first, then removals that are held: `summary` and the admin learn of these from the rows alone, so
    one of them is shown however many registries fail.
    """
    everything = sorted(rows, key=lambda row: (1 if _is_held(row) else _ORDER[row.state], row.registry, row.trust))
    failing = sum(row.state is RowState.FAILED for row in everything)
    registries = len({row.registry for row in everything})
    shown = everything[:MAXIMUM_ROWS]
    held = next(filter(_is_held, everything), None)
    if held is not None and held not in shown:
        shown[-1] = held
    return tuple(shown), registries, failing


def order_targets(rows: Iterable[TargetRow]) -> tuple[TargetRow, ...]:
    """Return the targets that a report shows: those with a problem first, otherwise in the given order."""
    return tuple(sorted(rows, key=lambda row: row.state not in _BAD_TARGETS)[:MAXIMUM_TARGETS])


def _is_held(row: RegistryRow) -> bool:
    return row.problem is not None and row.problem.reason is Reason.REMOVAL_HELD


@dataclass(frozen=True, slots=True)
class Lack:
    """Why a node does not have everything that it should. `stalled`: it does not pass by itself."""

    problem: Problem
    stalled: bool


_UNUSABLE = frozenset({Reason.BUNDLE_UNREADABLE, Reason.UNSUPPORTED_BUNDLE})


def find_lack(report: NodeReport) -> Lack | None:
    """Return the worst of what a node lacks; None where all that its trusts ask for is in place and read.

    A removal that is held, and a bundle that is gone after it was applied, take nothing from the node.
    """
    for target in report.targets:
        if target.state in _BAD_TARGETS:
            reason = Reason.WRITE_FAILED if target.problem is None else target.problem.reason
            return Lack(Problem(reason, f"{target.path}: {target.message}"), stalled=True)
    return _lack_of_rows(report)


def _lack_of_rows(report: NodeReport) -> Lack | None:
    # Whoever wrote the report need not have put its failures first.
    behind = sorted(
        (row for row in report.registries if row.state is not RowState.CURRENT and not _is_held(row)),
        key=lambda row: _ORDER[row.state],
    )
    if report.failing:
        message = f"{report.failing} {'failure' if report.failing == 1 else 'failures'} on this node"
        if behind and behind[0].problem is not None:
            reason, what = behind[0].problem.reason, behind[0].problem.message
            return Lack(Problem(reason, f"{message}; {behind[0].registry}: {what}"), stalled=True)
        return Lack(Problem(Reason.WRITE_FAILED, message), stalled=True)
    for notice in report.notices:
        if notice.reason in _UNUSABLE:
            return Lack(Problem(notice.reason, notice.message), stalled=True)
    if not report.bundle_uid:
        return Lack(Problem(Reason.BUNDLE_MISSING, "no bundle has been applied on this node yet"), stalled=False)
    if behind:
        problem, registry = behind[0].problem, behind[0].registry
        reason = Reason.NODE_PENDING if problem is None else problem.reason
        words = "is being written" if problem is None else problem.message
        return Lack(Problem(reason, f"{registry}: {words}"), stalled=False)
    return None


def summary(report: NodeReport) -> str:
    """Return the one word that `kubectl get nodetrusts` shows.

    A removal that is held comes first: it ends by itself, and no trust's status tells of it, since the trust is gone.
    """
    if any(_is_held(row) for row in report.registries):
        return "RemovalHeld"
    lack = find_lack(report)
    if lack is None:
        return "Current"
    return "Failing" if lack.stalled else "Pending"


def encode_report(report: NodeReport) -> dict[str, Any]:
    """Return the `status` of the node's `NodeTrust` object; fields without a value are left out."""
    return {
        "agentVersion": report.agent_version,
        "runtime": report.runtime,
        "bundle": {"uid": report.bundle_uid, "serial": report.serial},
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
