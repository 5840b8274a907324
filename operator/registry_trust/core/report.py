"""The node report: what one node has, row by row, and what that makes of the node as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from registry_trust.core.names import MAXIMUM_ROWS, MAXIMUM_TARGETS
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.verdict.verdict import State as VerdictState
from registry_trust.core.verdict.verdict import Verdict


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
    too: the files are in place, and the runtime has another use for them. `verdict` is there where this node asked the
    registry with these files.
    """

    registry: str
    state: RowState
    generation: str = ""
    problem: Problem | None = None
    trust: str = ""
    verdict: Verdict | None = None

    @property
    def finding(self) -> Verdict | None:
        """The verdict, if this node has asked; a node that is going to says `NotVerified` until then."""
        verdict = self.verdict
        return None if verdict is None or verdict.problem.reason is Reason.NOT_VERIFIED else verdict


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
        schema: the version of the bundle that the agent understands as a whole (`core.bundle.SCHEMA`).
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
    schema: int = 1

    def is_truncated(self) -> bool:
        """Say whether there are failing rows that the report does not show."""
        return self.failing > sum(row.state is RowState.FAILED for row in self.registries)


_ORDER = {RowState.FAILED: 0, RowState.PENDING: 2, RowState.HELD: 3, RowState.CURRENT: 6}
_BAD_TARGETS = frozenset({TargetState.NOT_READ, TargetState.UNKNOWN, TargetState.FAILED})


def order_rows(rows: Iterable[RegistryRow]) -> tuple[tuple[RegistryRow, ...], int, int]:
    """Return the rows that a report shows, the number of registries and of failing rows.

    Failures come first, then removals that are held: `summary` and the admin learn of these from the rows alone, so
    one of them is shown however many registries fail. Registries that this node asked come before others.
    """
    everything = sorted(rows, key=lambda row: (_order(row), row.registry, row.trust))
    failing = sum(row.state is RowState.FAILED for row in everything)
    registries = len({row.registry for row in everything})
    shown = everything[:MAXIMUM_ROWS]
    held = next(filter(_is_held, everything), None)
    if held is not None and held not in shown:
        shown[-1] = held
    return tuple(shown), registries, failing


def _order(row: RegistryRow) -> int:
    if _is_held(row):
        return 1
    if row.state is RowState.CURRENT and row.verdict is not None:
        return 4 if row.verdict.state is VerdictState.FAILED else 5
    return _ORDER[row.state]


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
