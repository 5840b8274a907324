"""A pass: brings every target of the node to what it is to hold, and says how each registry and target stands."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from registry_trust.agent.options import Mount
from registry_trust.agent.pacing import Failures, Key, Repairs
from registry_trust.agent.rollback import Applied
from registry_trust.agent.roots import Opened, Roots
from registry_trust.agent.store.failures import unexpected
from registry_trust.agent.store.locked_store import LockedStore
from registry_trust.core.desired import Desired
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import STORE, replaced_name
from registry_trust.core.mirrors import mirror_notices
from registry_trust.core.plan import ObservedRoot, Plan, Remove, Step, Switch, Target, make_plan, merge_rows
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState, TargetRow, TargetState

LONGEST = 15.0
"""Seconds of steps in one pass: then it is reported and the news is heard, and the next pass goes on from there."""

_SHORTEST = 1.0
"""Seconds between two looks for garbage, whatever the store says."""

_WRITING = "its turn comes with one of the next passes: there is much to write, and this node's disk is slow"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PassResult:
    """How the node stands after a pass.

    `next_pass` is in seconds: the next superseded generation is due, or the next try; None where nothing waits.
    `whole` says that nothing was left for the next pass.
    """

    rows: tuple[RegistryRow, ...]
    targets: tuple[TargetRow, ...]
    findings: tuple[str, ...] = ()
    next_pass: float | None = None
    whole: bool = True


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
        self.roots = Roots(roots, configurations, source, breathe, monotonic)
        self._monotonic = monotonic
        self._applied: dict[Key, str] = {}
        self._said: dict[Key, str] = {}
        self._said_faults: dict[Key, str] = {}
        self._serial = 0
        self._left = 0
        """Steps of this pass that are left for the next one."""
        self._open_steps: set[Key] = set()
        self.repairs = Repairs()
        self.failures = Failures()
        self.observed: Mapping[str, ObservedRoot] = {}

    def look(self) -> tuple[tuple[Applied, ...], tuple[RegistryRow, ...], bool]:
        """Look at all roots without changing anything.

        Returns:
            What each root remembers of its bundle, a row for each entry of ours, and whether every root could be read.
        """
        rows: dict[str, RegistryRow] = {}
        with self._opened() as (_, opened):
            states = self.roots.states(opened)
            for path, seen in opened.seen.items():
                faults = seen.faults
                self._say_faults(path, faults)
                for entry, own in seen.root.own.items():
                    if not own.digest:
                        continue  # Removed; only what it replaced is kept.
                    message = "kept as it is: no usable bundle was received yet"
                    if entry in faults:
                        message = f"{path}/{entry}: {faults[entry]}; it is written anew once a bundle is received"
                    rows[own.registry] = RegistryRow(
                        own.registry, RowState.HELD, own.digest, Reason.BUNDLE_MISSING, message
                    )
            return states, tuple(rows.values()), not opened.failed

    def _say_faults(self, path: str, faults: Mapping[str, str]) -> None:
        """Log what is not as it was written and can't be repaired without a bundle, once for each fault."""
        for entry, fault in faults.items():
            if self._said_faults.get((path, entry)) != fault:
                log.warning("%s/%s: %s; no usable bundle was received yet to write it anew", path, entry, fault)
        self._said_faults = {key: fault for key, fault in self._said_faults.items() if key[0] != path}
        self._said_faults |= {(path, entry): fault for entry, fault in faults.items()}

    def apply(
        self,
        targets: Sequence[Target],
        target_rows: Sequence[TargetRow],
        desired: Desired,
        applied: Applied,
        now: float,
    ) -> PassResult:
        """Plan, write and verify every target.

        Args:
            targets: the roots to write.
            target_rows: what is said of each, and of roots that are missing.
            desired: what the node is to have.
            applied: the bundle that this is, to be remembered.
            now: monotonic time.
        """
        by_target: list[tuple[Target, Sequence[RegistryRow]]] = []
        rows = {row.path: row for row in target_rows}
        waits: list[float] = []
        findings: list[str] = []
        self._open_steps = set()
        self._serial = applied.serial
        self._left = 0
        with self._opened() as (stack, opened):
            opened.neighbours, opened.unseen = self.roots.neighbours(targets)
            end = self._monotonic() + LONGEST
            for target in targets:
                failure: StoreFailure | None
                try:
                    store = opened.store(target.path)
                    self.roots.claim(target.path, store, now)
                    left = self._left
                    by_target.append((target, self._bring(target, desired, opened, now, lambda: self._is_over(end))))
                    garbage = store.collect_garbage(
                        immediately=desired.withdrawn, enough=lambda: self._is_over(end + LONGEST)
                    )
                    waits += [] if garbage.due is None else [max(garbage.due, _SHORTEST)]
                    findings += [str(each) for each in (*opened.seen[target.path].findings, *garbage.findings)]
                    findings += mirror_notices(target, desired, opened.observed())
                    failure = None
                    if self._left == left:
                        failure = self._remember(target.path, store, applied, now, withdrawn=desired.withdrawn)
                except Exception as error:  # noqa: BLE001 - the boundary of one root: its fault is no other root's
                    failure = error if isinstance(error, StoreFailure) else unexpected(target.path, error)
                    self.failures.record((target.path, ""), "", failure.reason, failure.message, now)
                self._say((target.path, STORE), "" if failure is None else failure.message)
                if failure is not None:
                    self._open_steps.add((target.path, ""))
                    rows[target.path] = _failed_target(rows[target.path], failure)
                else:
                    rows[target.path] = _unseen_neighbour(rows[target.path], target, opened.unseen)
            self.roots.states(opened)
            stack.close()
        self.failures.keep(self._open_steps)
        wait = self.failures.next_due(now)
        waits += [] if wait is None else [wait]
        waits += [pause for key in self._applied if (pause := self.repairs.wait(key, now)) > 0]
        waits += [0.0] if self._left else []
        merged = (*merge_rows(by_target), *desired.conflicts)
        return PassResult(
            merged,
            tuple(rows.values()),
            tuple(dict.fromkeys(findings)),
            min(waits, default=None),
            whole=not self._left,
        )

    def _is_over(self, end: float) -> bool:
        return self._monotonic() >= end

    @contextmanager
    def _opened(self) -> Iterator[tuple[ExitStack, Opened]]:
        with self.roots.open() as (stack, opened):
            self.observed = opened.observed()
            for path in self.roots.stores:
                self._say((path, ""), opened.failed[path].message if path in opened.failed else "")
            yield stack, opened

    def _bring(
        self, target: Target, desired: Desired, opened: Opened, now: float, enough: Callable[[], bool]
    ) -> list[RegistryRow]:
        """Bring one target to what it is to hold, or nearer if it is enough; return its rows."""
        plan = make_plan(target, desired, opened.observed())
        self._open_steps |= {(target.path, step.entry) for step in plan.steps}
        rows = {row.registry: row for row in plan.rows}
        store, observed = opened.store(target.path), opened.seen[target.path].root
        steps = [step for step in plan.steps if self._may_take(target, step, rows, now)]
        outcomes = store.apply(steps, target.layout, enough)
        for step in steps[len(outcomes) :]:
            self._left += 1
            registry = _registry_of(step, observed)
            rows[registry] = RegistryRow(registry, RowState.PENDING, reason=Reason.NODE_PENDING, message=_WRITING)
        for outcome in outcomes:
            step = outcome.step
            key = (target.path, step.entry)
            if outcome.error is None:
                self.failures.clear(key)
                self._note(key, step, self._about(step, observed), now)
                continue
            digest = step.digest if isinstance(step, Switch) else ""
            self.failures.record(key, digest, outcome.error.reason, outcome.error.message, now)
            registry = _registry_of(step, observed)
            rows[registry] = _failed(registry, outcome.error.reason, outcome.error.message)
        self._contest(target, plan, rows, now)
        for row in rows.values():
            if row.state is RowState.FAILED:
                self._say((target.path, row.registry), f"{row.reason}: {row.message}")
            else:
                self._say((target.path, row.registry), "")
        return list(rows.values())

    def _may_take(self, target: Target, step: Step, rows: dict[str, RegistryRow], now: float) -> bool:
        """Say whether a step is due; where it is not, its registry's row says why."""
        key = (target.path, step.entry)
        digest = step.digest if isinstance(step, Switch) else ""
        failed = self.failures.waiting(key, digest, now)
        if failed is not None:
            registry = _registry_of(step, self.observed[target.path])
            rows[registry] = _failed(registry, *failed)
            return False
        return not (isinstance(step, Switch) and self._is_repair(key, step) and self.repairs.wait(key, now) > 0)

    def _remember(
        self, path: str, store: LockedStore, applied: Applied, now: float, *, withdrawn: bool
    ) -> StoreFailure | None:
        """Note the bundle in the store, or take an empty store away; return why that failed, now or not long ago.

        Paced, because even a failed write is a change that wakes the loop: a full disk must not make it spin.
        """
        key, wanted = (path, ""), f"{applied.uid} {applied.serial} {withdrawn}"
        failed = self.failures.waiting(key, wanted, now)
        if failed is not None:
            return StoreFailure(Reason(failed[0]), failed[1])
        try:
            if not (withdrawn and store.dissolve()):
                store.remember(applied.uid, applied.serial)
        except StoreFailure as error:
            self.failures.record(key, wanted, error.reason, error.message, now)
            return error
        self.failures.clear(key)
        return None

    def _is_repair(self, key: Key, step: Switch) -> bool:
        return step.repair or self._applied.get(key) == step.digest

    def _about(self, step: Step, observed: ObservedRoot) -> dict[str, object]:
        """Return what a line of the log says of a step, beside its words."""
        own = observed.own.get(step.entry)
        trusts = step.desired.trusts if isinstance(step, Switch) else own.trusts if own is not None else ()
        return {"registry": _registry_of(step, observed), "trust": ",".join(trusts), "serial": self._serial}

    def _note(self, key: Key, step: Step, about: Mapping[str, object], now: float) -> None:
        path, entry = key
        if isinstance(step, Remove):
            self._applied.pop(key, None)
            log.info("removed %s/%s", path, entry, extra=about)
        elif isinstance(step, Switch):
            if step.replace:
                log.warning(
                    "replaced %s/%s, which is kept as %s/%s", path, entry, path, replaced_name(entry), extra=about
                )
            if self._is_repair(key, step):
                self.repairs.record(key, now)
                if not self.repairs.is_contested(key, now):
                    log.warning("repaired %s/%s, somebody else had changed it", path, entry, extra=about)
            else:
                log.info("wrote %s/%s", path, entry, extra=about)
            self._applied[key] = step.digest

    def _contest(self, target: Target, plan: Plan, rows: dict[str, RegistryRow], now: float) -> None:
        """Fail the rows of entries that somebody keeps undoing, whether or not they are in place right now."""
        switches = {step.entry: step for step in plan.steps if isinstance(step, Switch)}
        for key, digest in list(self._applied.items()):
            path, entry = key
            if path != target.path or not self.repairs.is_contested(key, now):
                continue
            observed = self.observed[target.path].own.get(entry)
            registry = switches[entry].desired.registry if entry in switches else observed.registry if observed else ""
            if registry in rows and rows[registry].state is not RowState.FAILED:
                rows[registry] = replace(
                    _failed(
                        registry,
                        Reason.CONTESTED,
                        f"{path}/{entry} was changed or removed by somebody else more than 5 times within 10 minutes; "
                        "it is repaired more and more slowly. Find out who manages that directory (another DaemonSet, "
                        "a machine configuration) and stop it",
                    ),
                    generation=digest,
                )

    def _say(self, key: Key, trouble: str) -> None:
        """Log a trouble once, and its end."""
        before = self._said.get(key, "")
        if trouble == before:
            return
        about = {"registry": key[1], "serial": self._serial}
        if trouble:
            self._said[key] = trouble
            log.warning("%s", trouble, extra=about)
        else:
            del self._said[key]
            log.info("cured: %s", " ".join(part for part in key if part), extra=about)


def _registry_of(step: Step, observed: ObservedRoot) -> str:
    if isinstance(step, Switch):
        return step.desired.registry
    own = observed.own.get(step.entry)
    return own.registry if own is not None else step.entry


def _failed(registry: str, reason: str, message: str) -> RegistryRow:
    return RegistryRow(registry, RowState.FAILED, reason=reason, message=message)


def _failed_target(row: TargetRow, failure: StoreFailure) -> TargetRow:
    if row.state is TargetState.STANDBY:
        return replace(row, reason=failure.reason, message=failure.message)
    return replace(row, state=TargetState.FAILED, reason=failure.reason, message=failure.message)


def _unseen_neighbour(row: TargetRow, target: Target, unseen: Mapping[str, StoreFailure]) -> TargetRow:
    """Say it where nobody knows what another root of the same reader holds: never Ready by silence."""
    failure = next((unseen[path] for path in target.lookup_chain() if path in unseen), None)
    if failure is None or row.state is not TargetState.READ:
        return row
    return replace(row, state=TargetState.UNKNOWN, reason=Reason.RUNTIME_UNKNOWN, message=failure.message)
