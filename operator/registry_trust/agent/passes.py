"""A pass: brings every target of the node to what it is to hold, and says how each registry and target stands."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from registry_trust.agent.journal import Journal
from registry_trust.agent.options import Mount
from registry_trust.agent.pacing import Failures, Key, Repairs
from registry_trust.agent.rollback import Applied
from registry_trust.agent.roots import Opened, Roots
from registry_trust.agent.runtime.candidates import Candidate
from registry_trust.agent.steps import Steps
from registry_trust.agent.store.drift import Changes
from registry_trust.agent.store.failures import unexpected
from registry_trust.agent.store.locked_store import LockedStore
from registry_trust.agent.store.observe import Observation
from registry_trust.core.desired import Desired
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import STORE
from registry_trust.core.mirrors import mirror_notices
from registry_trust.core.observed import Target
from registry_trust.core.plan import Plan, SettledRows, make_plan, merge_rows
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.removal_hold import hold_losses
from registry_trust.core.report import RegistryRow, RowState, TargetRow, TargetState

LONGEST = 15.0
"""Seconds of steps in one pass: then it is reported and the news is heard, and the next pass goes on from there."""

_SHORTEST = 1.0
"""Seconds between two looks for garbage, whatever the store says."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PassResult:
    """How the node stands after a pass.

    `candidates` are those of the pass, with what came of them in their rows. `next_pass` is in seconds: the next
    superseded generation is due, or the next try; None where nothing waits. `whole` says that nothing was left for the
    next pass.
    """

    rows: tuple[RegistryRow, ...]
    candidates: tuple[Candidate, ...]
    notices: tuple[Problem, ...] = ()
    next_pass: float | None = None
    whole: bool = True

    @property
    def targets(self) -> tuple[TargetRow, ...]:
        """How each target, and each root that is missing, stands."""
        return tuple(candidate.row for candidate in self.candidates)


@dataclass(slots=True)
class _Brought:
    """What came of one target in a pass, as far as it went."""

    rows: Sequence[RegistryRow] = ()
    notices: Sequence[Problem] = ()
    garbage: Sequence[Problem] = ()
    entries: set[Key] = field(default_factory=set)
    left: int = 0
    garbage_due: float | None = None
    failure: Problem | None = None


class Passes:
    """All mounted roots of this node, and what this process did to them so far."""

    def __init__(
        self,
        roots: Sequence[Mount],
        configurations: Sequence[Mount] = (),
        *,
        source: str = "",
        breathe: Callable[[], object] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Describe the roots; nothing is opened yet.

        Args:
            roots: what is written.
            configurations: what is mounted read-only.
            source: whose bundle is applied, `namespace/name`.
            breathe: called between any two pieces of work; what it raises ends the pass there.
            monotonic: a clock in seconds.
        """
        namespace, _, secret = source.partition("/")
        self._secret = namespace, secret
        self.roots = Roots(roots, configurations, source, breathe, monotonic)
        self.repairs = Repairs()
        self.failures = Failures()
        self._steps = Steps(self.repairs, self.failures)
        self._settled: dict[str, SettledRows] = {}
        self._left: dict[str, Observation] | None = None
        """How the last pass left the roots; None if something is still to be done in them, or to be said of them."""
        self._monotonic = monotonic
        self._journal = Journal()
        self._faults = Journal()
        self._serial = 0

    def look(self, changes: Changes | None = None) -> tuple[tuple[Applied, ...], tuple[RegistryRow, ...], bool]:
        """Look at all roots without changing anything; `changes` as in `Roots.open`.

        Returns:
            What each root remembers of its bundle, a row for each entry of ours, and whether every root could be read.
        """
        rows: dict[str, RegistryRow] = {}
        with self._opened(changes) as (_, opened):
            states = self.roots.states(opened)
            self._say_faults(opened)
            for path, seen in opened.seen.items():
                for entry, own in seen.root.own.items():
                    if not own.digest:
                        continue  # Removed; only what it replaced is kept.
                    message = "kept as it is: no usable bundle has been received yet"
                    if entry in seen.faults:
                        message = (
                            f"{path}/{entry}: {seen.faults[entry]}; it will be written again once a bundle is received"
                        )
                    rows[own.registry] = RegistryRow(
                        own.registry, RowState.HELD, own.digest, Problem(Reason.BUNDLE_MISSING, message)
                    )
            return states, tuple(rows.values()), not opened.failed

    def apply(
        self,
        candidates: Sequence[Candidate],
        desired: Desired,
        applied: Applied,
        now: float,
        changes: Changes | None = None,
    ) -> PassResult:
        """Plan, write and verify every target.

        Args:
            candidates: the roots to write, and those of which something is to be said.
            desired: what the node is to have.
            applied: the bundle that this is, to be remembered.
            now: monotonic time.
            changes: as in `Roots.open`.
        """
        self._serial = applied.serial
        self._left, written = None, self.roots.written
        targets = [each.target for each in candidates if each.target is not None]
        brought: dict[str, _Brought] = {}
        with self._opened(changes) as (stack, opened):
            opened.neighbours, opened.unseen = self.roots.neighbours(targets)
            end = self._monotonic() + LONGEST
            for target in targets:
                brought[target.path] = self._bring(target, desired, applied, opened, now, end)
            self.roots.states(opened)
            if self.roots.written == written:
                self._left = self._as_left(targets, brought, desired, opened)
            stack.close()
        self.failures.keep({key for each in brought.values() for key in each.entries})
        whole = not any(each.left for each in brought.values())
        waits = [max(each.garbage_due, _SHORTEST) for each in brought.values() if each.garbage_due is not None]
        waits += [*self._steps.pauses(now), *([] if whole else [0.0])]
        waits += [
            due for due in (self.failures.next_due(now), self.roots.unsettled(self._monotonic())) if due is not None
        ]
        return PassResult(
            (*merge_rows([(target, brought[target.path].rows) for target in targets]), *desired.conflicts),
            tuple(
                each
                if each.target is None
                else after_look(each, each.target, brought[each.path].failure, opened.unseen)
                for each in candidates
            ),
            tuple(dict.fromkeys(notice for each in brought.values() for notice in each.notices)),
            min(waits, default=None),
            whole=whole,
        )

    def _bring(
        self, target: Target, desired: Desired, applied: Applied, opened: Opened, now: float, end: float
    ) -> _Brought:
        """Bring one target to what it is to hold, or nearer if it is `end` (monotonic time) before that."""
        done = _Brought()
        try:
            store = opened.store(target.path)
            self.roots.claim(target.path, store, now)
            plan = self._plan(target, desired, opened)
            # What a step is taken for is what its entry is now, not what it was in an earlier pass.
            while self.roots.observe_again(opened, target.path, [step.entry for step in plan.steps]):
                plan = self._plan(target, desired, opened)
            seen = opened.seen[target.path]
            done.entries = {(target.path, step.entry) for step in plan.steps}
            taken = self._steps.take(plan, seen.root, store, applied.serial, now, lambda: self._monotonic() >= end)
            done.rows, done.left = taken.rows, taken.left
            garbage = store.collect_garbage(
                immediately=desired.withdrawn, enough=lambda: self._monotonic() >= end + LONGEST
            )
            done.garbage_due = garbage.due
            done.garbage = garbage.findings
            done.notices = _notices(target, desired, opened, garbage.findings)
            if not done.left:
                done.failure = self._remember(target.path, store, applied, now, withdrawn=desired.withdrawn)
        except Exception as error:  # noqa: BLE001 - the boundary of one root: its fault is no other root's
            failure = error if isinstance(error, StoreFailure) else unexpected(target.path, error)
            self.failures.record((target.path, ""), "", failure.problem, now)
            done.failure = failure.problem
        if done.failure is not None:
            done.entries.add((target.path, ""))
        self._say((target.path, STORE), done.failure)
        return done

    def unchanged(self, changes: Changes) -> bool:
        """Say whether the roots are as the last pass left them, with nothing to be done: the changes are its own.

        Args:
            changes: where something changed since then.
        """
        if self._left is None or not self.roots.hold(changes):
            return False
        if not changes:
            return True
        with self.roots.open(changes) as (_, opened):
            return not opened.failed and opened.seen == self._left

    def _as_left(
        self, targets: Sequence[Target], brought: Mapping[str, _Brought], desired: Desired, opened: Opened
    ) -> dict[str, Observation] | None:
        """Return how the roots are now; None if another pass would do anything in one, or say anything else of it."""
        try:
            self.roots.observe_after(opened)
            done = all(self._is_done(brought[target.path], target, desired, opened) for target in targets)
        except Exception:  # noqa: BLE001 - nothing was left undone because of it, and the next turn makes a whole pass
            return None
        return opened.seen if done and not opened.failed else None

    def _is_done(self, done: _Brought, target: Target, desired: Desired, opened: Opened) -> bool:
        if done.failure is not None or done.left:
            return False
        plan = self._plan(target, desired, opened)
        same = not plan.steps and list(plan.rows) == list(done.rows)
        return same and _notices(target, desired, opened, done.garbage) == list(done.notices)

    def _plan(self, target: Target, desired: Desired, opened: Opened) -> Plan:
        plan = make_plan(target, desired, opened.observed(), self._settled.setdefault(target.path, SettledRows()))
        if desired.lost_history is not None:
            plan = hold_losses(plan, opened.seen[target.path].root, desired.lost_history, *self._secret)
        return plan

    def _remember(
        self, path: str, store: LockedStore, applied: Applied, now: float, *, withdrawn: bool
    ) -> Problem | None:
        """Note the bundle in the store, or take an empty store away; return why that failed, now or not long ago.

        Paced, because even a failed write is a change that wakes the loop: a full disk must not make it spin.
        """
        key, wanted = (path, ""), f"{applied.uid} {applied.serial} {applied.writer} {withdrawn}"
        failed = self.failures.waiting(key, wanted, now)
        if failed is not None:
            return failed
        try:
            if not (withdrawn and store.dissolve()):
                store.remember(applied.uid, applied.serial, applied.writer)
        except StoreFailure as error:
            self.failures.record(key, wanted, error.problem, now)
            return error.problem
        self.failures.clear(key)
        return None

    @contextmanager
    def _opened(self, changes: Changes | None) -> Iterator[tuple[ExitStack, Opened]]:
        with self.roots.open(changes) as (stack, opened):
            for path in self.roots.stores:
                self._say((path, ""), None if path not in opened.failed else opened.failed[path].problem)
            yield stack, opened

    def _say(self, subject: Key, problem: Problem | None) -> None:
        text = "" if problem is None else problem.message
        self._journal.trouble(log, subject, text, registry=subject[1], serial=self._serial)

    def _say_faults(self, opened: Opened) -> None:
        """Log what is not as it was written and can't be repaired without a bundle, once for each fault."""
        faults = {(path, entry): text for path, seen in opened.seen.items() for entry, text in seen.faults.items()}
        for path, entry in self._faults.news(faults):
            log.warning(
                "%s/%s: %s; no usable bundle has been received yet to write it again", path, entry, faults[path, entry]
            )


def _notices(target: Target, desired: Desired, opened: Opened, garbage: Sequence[Problem]) -> list[Problem]:
    mirrors = mirror_notices(target, desired, opened.observed())
    return [*opened.seen[target.path].findings, *garbage, *mirrors]


def after_look(
    candidate: Candidate, target: Target, failure: Problem | None, unseen: Mapping[str, StoreFailure]
) -> Candidate:
    """Return a candidate as it stands once its root was looked at.

    Args:
        candidate: by what the runtime's configuration says.
        target: its target.
        failure: what failed with its root.
        unseen: why other roots can't be looked at, by path.
    """
    row = candidate.row
    if failure is not None:
        state = row.state if row.state is TargetState.STANDBY else TargetState.FAILED
        return replace(candidate, row=replace(row, state=state, problem=failure))
    hidden = next((unseen[path] for path in target.lookup_chain() if path in unseen), None)
    if hidden is None or row.state is not TargetState.READ:
        return candidate
    # Nobody knows what another root of the same reader holds: never Ready by silence.
    row = replace(row, state=TargetState.UNKNOWN, problem=Problem(Reason.RUNTIME_UNKNOWN, hidden.problem.message))
    return replace(candidate, row=row)
