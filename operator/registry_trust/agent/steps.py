"""Steps: takes those of a plan that are due, and remembers what this process did to each entry, for pace and log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from registry_trust.agent.journal import Journal
from registry_trust.agent.pacing import Failures, Key, Repairs
from registry_trust.agent.store.locked_store import LockedStore, StepOutcome
from registry_trust.core.carried import Carried
from registry_trust.core.layout import replaced_name
from registry_trust.core.observed import ObservedRoot
from registry_trust.core.plan import Plan, Remove, Step, Switch
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState

_WRITING = Problem(
    Reason.NODE_PENDING,
    "it will be written in one of the next passes: there is much to write, and this node's disk is slow",
)

_Content = tuple[str, Carried | None]
"""A digest, and what was carried: the digest alone does not tell the values of headers."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a plan: a row for each registry, and how many steps are left for the next pass."""

    rows: tuple[RegistryRow, ...]
    left: int


class Steps:
    """What this process did to the entries of all roots so far."""

    def __init__(self, repairs: Repairs, failures: Failures) -> None:
        self._repairs = repairs
        self._failures = failures
        self._written: dict[Key, _Content] = {}
        """What this process wrote to each entry."""
        self._journal = Journal()

    def take(
        self,
        plan: Plan,
        observed: ObservedRoot,
        store: LockedStore,
        serial: int,
        now: float,
        enough: Callable[[], bool],
    ) -> Taken:
        """Take the steps that are due, until it is enough.

        Args:
            plan: the plan of one root.
            observed: what the root holds.
            store: its store.
            serial: the bundle's, for the log.
            now: monotonic time.
            enough: asked after each step.
        """
        path = plan.target.path
        rows = {row.registry: row for row in plan.rows}
        due = self._due(plan, observed, rows, now)
        outcomes = store.apply(due, plan.target.layout, enough)
        left = due[len(outcomes) :]
        for step in left:
            registry = _registry_of(step, observed)
            rows[registry] = RegistryRow(registry, RowState.PENDING, problem=_WRITING)
        for outcome in outcomes:
            failure = self._note(path, outcome, observed, serial, now)
            if failure is not None:
                rows[failure.registry] = failure
        self._contest(plan, observed, rows, now)
        for row in rows.values():
            trouble = str(row.problem) if row.state is RowState.FAILED else ""
            if trouble or not self._journal.is_empty():
                self._journal.trouble(log, (path, row.registry), trouble, registry=row.registry, serial=serial)
        return Taken(tuple(rows.values()), len(left))

    def pauses(self, now: float) -> list[float]:
        """Return the seconds until each repair that has to wait may be made."""
        contested = (key for key in self._repairs.contested(now) if key in self._written)
        return [pause for key in contested if (pause := self._repairs.wait(key, now)) > 0]

    def _due(self, plan: Plan, observed: ObservedRoot, rows: dict[str, RegistryRow], now: float) -> list[Step]:
        """Return the steps that are not paced; the row of a registry that failed not long ago still says so."""
        due: list[Step] = []
        for step in plan.steps:
            key = (plan.target.path, step.entry)
            failed = self._failures.waiting(key, _digest(step), now)
            if failed is not None:
                registry = _registry_of(step, observed)
                rows[registry] = RegistryRow(registry, RowState.FAILED, problem=failed)
            elif not (self._is_repair(key, step) and self._repairs.wait(key, now) > 0):
                due.append(step)
        return due

    def _is_repair(self, key: Key, step: Step) -> bool:
        return isinstance(step, Switch) and (step.repair or self._written.get(key) == _content(step))

    def _note(
        self, path: str, outcome: StepOutcome, observed: ObservedRoot, serial: int, now: float
    ) -> RegistryRow | None:
        """Note what came of a step; return the row of one that failed."""
        step, error = outcome.step, outcome.error
        key, registry = (path, step.entry), _registry_of(step, observed)
        if error is not None:
            self._failures.record(key, _digest(step), error.problem, now)
            return RegistryRow(registry, RowState.FAILED, problem=error.problem)
        self._failures.clear(key)
        own = observed.own.get(step.entry)
        trusts = step.desired.trusts if isinstance(step, Switch) else own.trusts if own is not None else ()
        about = {"registry": registry, "trust": ",".join(trusts), "serial": serial}
        if isinstance(step, Remove):
            self._written.pop(key, None)
            log.info("removed %s/%s", path, step.entry, extra=about)
        elif isinstance(step, Switch):
            self._note_switch(key, step, about, now)
        return None

    def _note_switch(self, key: Key, step: Switch, about: Mapping[str, object], now: float) -> None:
        path, entry = key
        if step.replace:
            log.warning("replaced %s/%s, which is kept as %s/%s", path, entry, path, replaced_name(entry), extra=about)
        if self._is_repair(key, step):
            self._repairs.record(key, now)
            if not self._repairs.is_contested(key, now):
                log.warning("repaired %s/%s: it had been modified", path, entry, extra=about)
        else:
            log.info("wrote %s/%s", path, entry, extra=about)
        self._written[key] = _content(step)

    def _contest(self, plan: Plan, observed: ObservedRoot, rows: dict[str, RegistryRow], now: float) -> None:
        """Fail the rows of entries that somebody keeps undoing, whether or not they are in place right now."""
        switches = {step.entry: step for step in plan.steps if isinstance(step, Switch)}
        for key in self._repairs.contested(now):
            path, entry = key
            if path != plan.target.path or key not in self._written:
                continue
            digest, _ = self._written[key]
            own = observed.own.get(entry)
            registry = switches[entry].desired.registry if entry in switches else own.registry if own else ""
            if registry in rows and rows[registry].state is not RowState.FAILED:
                message = (
                    f"{path}/{entry} was changed or removed by another process more than 5 times within 10 minutes; "
                    "it is repaired more slowly, every 15 seconds at least. Find out what manages that directory "
                    "(another DaemonSet, a machine configuration) and stop it"
                )
                rows[registry] = RegistryRow(registry, RowState.FAILED, digest, Problem(Reason.CONTESTED, message))


def _content(step: Switch) -> _Content:
    carrying = step.desired.carrying
    return step.digest, None if carrying is None else carrying.carried


def _digest(step: Step) -> str:
    return step.digest if isinstance(step, Switch) else ""


def _registry_of(step: Step, observed: ObservedRoot) -> str:
    if isinstance(step, Switch):
        return step.desired.registry
    own = observed.own.get(step.entry)
    return own.registry if own is not None else step.entry
