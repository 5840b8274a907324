"""A pass: brings every target of the node to what it is to hold, and says how each registry and target stands."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from registry_trust.agent.options import Mount
from registry_trust.agent.pacing import Failures, Key, Repairs
from registry_trust.agent.rollback import Applied
from registry_trust.agent.store.neighbour_roots import NeighbourRoots
from registry_trust.agent.store.store import Store
from registry_trust.core.desired import Desired
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import replaced_name
from registry_trust.core.mirrors import mirror_notices
from registry_trust.core.plan import ObservedRoot, Plan, Remove, Step, Switch, Target, make_plan, merge_rows
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState, TargetRow, TargetState

_SHORTEST = 1.0
"""Seconds between two looks for garbage, whatever the store says."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PassResult:
    """How the node stands after a pass.

    `next_pass` is in seconds: the next superseded generation is due, or the next try; None where nothing waits.
    """

    rows: tuple[RegistryRow, ...]
    targets: tuple[TargetRow, ...]
    findings: tuple[str, ...] = ()
    next_pass: float | None = None


@dataclass(slots=True)
class _Opened:
    """The roots that are locked and were looked at in this pass, by path on the host; and those that can't be.

    `neighbours` are the roots that are only looked at, and `unseen` those of them that can't be.
    """

    observed: dict[str, ObservedRoot]
    failed: dict[str, StoreFailure]
    neighbours: dict[str, ObservedRoot] = field(default_factory=dict)
    unseen: dict[str, StoreFailure] = field(default_factory=dict)


class Passes:
    """All mounted roots of this node, and what this process did to them so far."""

    def __init__(self, roots: Sequence[Mount], configurations: Sequence[Mount] = ()) -> None:
        self._stores = {mount.host: Store(mount.here, shown_path=mount.host) for mount in roots}
        self._neighbours = NeighbourRoots(configurations, roots)
        self._applied: dict[Key, str] = {}
        self._said: dict[Key, str] = {}
        self._said_faults: dict[Key, str] = {}
        self._serial = 0
        self._open_steps: set[Key] = set()
        self.repairs = Repairs()
        self.failures = Failures()
        self.observed: Mapping[str, ObservedRoot] = {}
        self.written: frozenset[str] = frozenset()
        """The roots that hold this installation's store, as of the last look."""

    def detached(self) -> str:
        """Return the path of a root that was moved or deleted under its mount; empty where there is none."""
        return next((path for path, store in self._stores.items() if store.is_detached()), "")

    def watched_paths(self) -> list[str]:
        """Return the directories in which any change is drift."""
        own = [path for store in self._stores.values() for path in store.watched_paths()]
        return [*own, *self._neighbours.watched_paths()]

    def look(self) -> tuple[tuple[Applied, ...], tuple[RegistryRow, ...], bool]:
        """Look at all roots without changing anything.

        Returns:
            What each root remembers of its bundle, a row for each entry of ours, and whether every root could be read.
        """
        rows: dict[str, RegistryRow] = {}
        with self._open() as (_, opened):
            states = self._states(opened)
            for path, root in opened.observed.items():
                faults = self._stores[path].faults()
                self._say_faults(path, faults)
                for entry, own in root.own.items():
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
        with self._open() as (stack, opened):
            opened.neighbours, opened.unseen = self._neighbours.observe(targets)
            for target in targets:
                try:
                    if target.path in opened.failed:
                        raise opened.failed[target.path]
                    store = self._stores[target.path]
                    by_target.append((target, self._bring(target, desired, opened, now)))
                    wait = store.collect_garbage(immediately=desired.withdrawn)
                    waits += [] if wait is None else [max(wait, _SHORTEST)]
                    findings += [str(finding) for finding in store.findings()]
                    findings += mirror_notices(target, desired, {**opened.neighbours, **opened.observed})
                    failure = self._remember(target.path, applied, now, withdrawn=desired.withdrawn)
                except StoreFailure as error:
                    failure = error
                    self.failures.record((target.path, ""), "", failure.reason, failure.message, now)
                if failure is not None:
                    self._open_steps.add((target.path, ""))
                    rows[target.path] = _failed_target(rows[target.path], failure)
                else:
                    rows[target.path] = _unseen_neighbour(rows[target.path], target, opened.unseen)
            self._states(opened)
            stack.close()
        self.failures.keep(self._open_steps)
        wait = self.failures.next_due(now)
        waits += [] if wait is None else [wait]
        waits += [pause for key in self._applied if (pause := self.repairs.wait(key, now)) > 0]
        merged = (*merge_rows(by_target), *desired.conflicts)
        return PassResult(merged, tuple(rows.values()), tuple(dict.fromkeys(findings)), min(waits, default=None))

    @contextmanager
    def _open(self) -> Iterator[tuple[ExitStack, _Opened]]:
        """Lock and look at every root, in the order of their paths; one that fails is left out."""
        opened = _Opened({}, {})
        with ExitStack() as stack:
            for path, store in sorted(self._stores.items()):
                try:
                    stack.enter_context(store.lock())
                    opened.observed[path] = store.observe()
                except StoreFailure as error:
                    opened.failed[path] = error
                    self._say((path, ""), error.message)
                else:
                    self._say((path, ""), "")
            self.observed = opened.observed
            yield stack, opened

    def _states(self, opened: _Opened) -> tuple[Applied, ...]:
        states: dict[str, Applied] = {}
        for path in opened.observed:
            try:
                state = self._stores[path].state()
            except StoreFailure as error:
                opened.failed[path] = error
                continue
            if state is not None:
                states[path] = Applied(state.bundle_uid, state.serial)
        self.written = frozenset(states)
        return tuple(states.values())

    def _bring(self, target: Target, desired: Desired, opened: _Opened, now: float) -> list[RegistryRow]:
        """Bring one target to what it is to hold; return its rows."""
        plan = make_plan(target, desired, {**opened.neighbours, **opened.observed})
        self._open_steps |= {(target.path, step.entry) for step in plan.steps}
        rows = {row.registry: row for row in plan.rows}
        store = self._stores[target.path]
        steps = [step for step in plan.steps if self._may_take(target, step, rows, now)]
        for outcome in store.apply(steps, target.layout):
            step = outcome.step
            key = (target.path, step.entry)
            if outcome.error is None:
                self.failures.clear(key)
                self._note(key, step, self._about(step, opened.observed[target.path]), now)
                continue
            digest = step.digest if isinstance(step, Switch) else ""
            self.failures.record(key, digest, outcome.error.reason, outcome.error.message, now)
            registry = _registry_of(step, opened.observed[target.path])
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

    def _remember(self, path: str, applied: Applied, now: float, *, withdrawn: bool) -> StoreFailure | None:
        """Note the bundle in the store, or take an empty store away; return why that failed, now or not long ago.

        Paced, because even a failed write is a change that wakes the loop: a full disk must not make it spin.
        """
        key, wanted = (path, ""), f"{applied.uid} {applied.serial} {withdrawn}"
        failed = self.failures.waiting(key, wanted, now)
        if failed is not None:
            return StoreFailure(Reason(failed[0]), failed[1])
        store = self._stores[path]
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
