"""One pass over one root, for a host in no cluster: the same store as the agent's, applied or removed once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from registry_trust.agent.store.failures import failing
from registry_trust.agent.store.store import StepOutcome, Store
from registry_trust.core.desired import Desired
from registry_trust.core.findings import Finding
from registry_trust.core.layout import Layout
from registry_trust.core.plan import ObservedRoot, Remove, Step, Target, make_plan
from registry_trust.core.report import RegistryRow, RowState


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """What one pass did.

    Attributes:
        rows: one for each registry (of an entry's removal none), as they stand after the pass.
        outcomes: one for each step that was taken.
        findings: what is in the store and is not ours.
        failures: messages of everything that did not come out as asked; empty means done.
    """

    rows: tuple[RegistryRow, ...]
    outcomes: tuple[StepOutcome, ...]
    findings: tuple[Finding, ...]
    failures: tuple[str, ...]


def apply_once(
    directory: str,
    layout: Layout,
    desired: Desired,
    *,
    remove: bool = False,
    shown_path: str | None = None,
    others: Mapping[str, ObservedRoot] | None = None,
    chain: tuple[str, ...] = (),
) -> PassOutcome:
    """Make a root hold exactly what is desired, or with `remove` nothing of ours at all, at once and without a trace.

    Args:
        directory: the root; made if it is missing (not for a removal).
        layout: how it is read.
        desired: what it is to hold; not looked at for a removal.
        remove: take away everything that this store wrote, and the store folder.
        shown_path: the root's path on the host, for messages.
        others: what the other roots of the reader's chain hold, by path.
        chain: the roots that the reader looks in, in its order.

    Raises:
        StoreFailure: the root as a whole can't be used.
    """
    shown = shown_path or directory
    if not remove:
        _make_root(directory, shown)
    elif not Path(directory).exists():
        return PassOutcome((), (), (), ())
    store = Store(directory, shown_path=shown)
    rows: tuple[RegistryRow, ...] = ()
    with store.lock():
        observed = store.observe()
        if remove:
            steps: tuple[Step, ...] = tuple(Remove(entry) for entry in observed.own if observed.to_remove(entry))
        else:
            plan = make_plan(Target(shown, layout, chain), desired, {**(others or {}), shown: observed})
            steps, rows = plan.steps, plan.rows
        outcomes = store.apply(steps, layout)
        store.collect_garbage(immediately=remove)
        dissolved = store.dissolve() if remove else True
        store.observe()
        findings = store.findings()
    failures = [outcome.error.message for outcome in outcomes if outcome.error is not None]
    failures += [row.message for row in rows if row.state is RowState.FAILED]
    if not dissolved:
        failures += [*observed.unreadable.values(), *(finding.message for finding in findings)]
    return PassOutcome(rows, outcomes, findings, tuple(failures))


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
