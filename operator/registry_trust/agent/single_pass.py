"""One pass over one root, for a host in no cluster: the same store as the agent's, applied or removed once."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from registry_trust.agent.store.default import Defaults
from registry_trust.agent.store.failures import failing
from registry_trust.agent.store.locked_store import LockedStore, StepOutcome
from registry_trust.agent.store.store import Store
from registry_trust.core.desired import Desired
from registry_trust.core.layout import Layout
from registry_trust.core.observed import ObservedRoot, OwnEntry, Target
from registry_trust.core.plan import Plan, Remove, Switch, make_plan
from registry_trust.core.problem import Problem
from registry_trust.core.prune import spare
from registry_trust.core.report import RegistryRow, RowState
from registry_trust.core.text import listing

_PATIENCE = 5.0
"""Seconds for which a `_default` may change under a single pass."""


class Action(StrEnum):
    """What became of one registry's files in a pass (in a dry run: what would)."""

    CREATED = "created"
    UPDATED = "updated"
    REPAIRED = "repaired"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    KEPT = "kept"
    """No trust that was given asks for it, and removals were not asked for."""
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PassRow:
    """One registry after the pass.

    `generation` is the content hash of its files, empty where there are none; `remark` says why they stay as they are.
    """

    registry: str
    action: Action
    generation: str = ""
    problem: Problem | None = None
    remark: str = ""

    @property
    def message(self) -> str:
        """What the row says: its problem's message, or the remark."""
        return self.remark if self.problem is None else self.problem.message


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """What one pass did.

    Attributes:
        rows: one for each registry, from what came of its step.
        outcomes: one for each step that was taken (in a dry run: would be).
        findings: what is in the store and is not ours.
        failures: messages of everything that did not come out as asked; empty means done.
    """

    rows: tuple[PassRow, ...]
    outcomes: tuple[StepOutcome, ...]
    findings: tuple[Problem, ...]
    failures: tuple[str, ...]


def apply_once(
    directory: str,
    layout: Layout,
    desired: Desired,
    *,
    remove: bool = False,
    prune: bool = True,
    dry_run: bool = False,
    shown_path: str | None = None,
    others: Mapping[str, ObservedRoot] | None = None,
    chain: tuple[str, ...] = (),
) -> PassOutcome:
    """Make a root hold exactly what is desired, or with `remove` nothing of ours at all, at once and without a trace.

    Args:
        directory: the root; made if it is missing (not for a removal).
        layout: how it is read.
        desired: what it is to hold; not looked at for a removal.
        remove: take away everything that this store wrote, and the store directory.
        prune: take away what is not desired; without it, files of trusts that are not desired stay.
        dry_run: change nothing; say what would be done.
        shown_path: the root's path on the host, for messages.
        others: what the other roots of the reader's chain hold, by path.
        chain: the roots that the reader looks in, in its order.

    Raises:
        StoreFailure: the root as a whole can't be used.
    """
    shown = shown_path or directory
    target = Target(shown, layout, chain)
    if not Path(directory).exists():
        if remove:
            return PassOutcome((), (), (), ())
        if dry_run:
            plan = make_plan(target, desired, {**(others or {}), shown: ObservedRoot()})
            foreseen = tuple(StepOutcome(step) for step in plan.steps)
            return _outcome(plan, ObservedRoot(), foreseen, {}, (), ())
        _make_root(directory, shown)
    with Store(directory, shown_path=shown).lock(clear=not dry_run) as store:
        observed = store.observe().root if remove else _settled(store, shown)
        if remove:
            plan = Plan(target, tuple(Remove(entry) for entry in observed.own if observed.to_remove(entry)))
        else:
            plan = make_plan(target, desired, {**(others or {}), shown: observed})
        plan, spared = (plan, {}) if prune or remove else spare(plan, observed)
        if dry_run:
            outcomes, findings, dissolved = (
                tuple(StepOutcome(step) for step in plan.steps),
                store.observe().findings,
                True,
            )
        else:
            outcomes = store.apply(plan.steps, layout)
            collected = store.collect_garbage(immediately=remove)
            dissolved = store.dissolve() if remove else True
            findings = (*store.observe().findings, *collected.findings)
    leftovers = () if dissolved else (*observed.unreadable.values(), *(finding.message for finding in findings))
    return _outcome(plan, observed, outcomes, spared, findings, leftovers)


def _settled(store: LockedStore, path: str) -> ObservedRoot:
    """Look at a root until nobody is writing its `_default`, for a few seconds at most."""
    defaults = Defaults()
    end = time.monotonic() + _PATIENCE
    while True:
        now = time.monotonic()
        observed = defaults.settle(path, store.observe().root, now)
        wait = defaults.due(now)
        if wait is None or now >= end:
            return observed
        time.sleep(wait)


def _outcome(
    plan: Plan,
    observed: ObservedRoot,
    outcomes: tuple[StepOutcome, ...],
    spared: Mapping[str, tuple[str, ...]],
    findings: tuple[Problem, ...],
    leftovers: tuple[str, ...],
) -> PassOutcome:
    rows = {row.registry: _row_of_plan(row) for row in plan.rows}
    for outcome in outcomes:
        row = _row_of_step(outcome, observed.own.get(outcome.step.entry), rows)
        rows[row.registry] = row
    for entry, trusts in spared.items():
        own = observed.own[entry]
        rows[own.registry] = _row_of_spared(own, trusts, wanted=own.registry in rows)
    ordered = tuple(row for _, row in sorted(rows.items()))
    failures = (*(f"{row.registry}: {row.message}" for row in ordered if row.action is Action.FAILED), *leftovers)
    return PassOutcome(ordered, outcomes, findings, failures)


def _row_of_plan(row: RegistryRow) -> PassRow:
    actions = {RowState.FAILED: Action.FAILED, RowState.PENDING: Action.FAILED, RowState.HELD: Action.HELD}
    return PassRow(row.registry, actions.get(row.state, Action.UNCHANGED), row.generation, row.problem)


def _row_of_step(outcome: StepOutcome, own: OwnEntry | None, rows: Mapping[str, PassRow]) -> PassRow:
    """Return the row of a registry whose step was taken; what the plan remarks of it stays."""
    step, error = outcome.step, outcome.error
    registry = step.desired.registry if isinstance(step, Switch) else own.registry if own is not None else step.entry
    planned = rows.get(registry)
    if error is not None:
        return PassRow(registry, Action.FAILED, "", error.problem)
    if isinstance(step, Remove):
        return PassRow(registry, Action.REMOVED)
    if isinstance(step, Switch):
        action = (
            Action.REPAIRED if step.repair else Action.UPDATED if own is not None and own.digest else Action.CREATED
        )
        return PassRow(registry, action, step.digest, planned.problem if planned is not None else None)
    return planned or PassRow(registry, Action.UNCHANGED, own.digest if own is not None else "")


def _row_of_spared(own: OwnEntry, trusts: tuple[str, ...], *, wanted: bool) -> PassRow:
    names = listing(trusts, 5)
    if not wanted:
        message = f"it comes from {names}, which gives this node no such registry now; --prune removes it"
        return PassRow(own.registry, Action.KEPT, own.digest, remark=message)
    message = (
        f"nothing was changed, since the files of {names} would go, which does not give this node this registry now; "
        "add its manifest, or give --prune to let its files go"
    )
    return PassRow(own.registry, Action.FAILED, own.digest, remark=message)


def _make_root(directory: str, shown: str) -> None:
    """Make a missing root and its missing parents, each durable in the one above."""
    path = Path(directory)
    missing = [parent for parent in (path, *path.parents) if not parent.exists()]
    with failing("make the directory", shown):
        for parent in reversed(missing):
            parent.mkdir(mode=0o755, exist_ok=True)
            parent.chmod(0o755)  # Whatever the umask says: runtimes of other users read it.
            descriptor = os.open(parent.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
