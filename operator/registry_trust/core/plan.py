"""The plan: from what a node is to have and what a root holds to the steps that lead from one to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from registry_trust.core.around import Around, look_around
from registry_trust.core.carrying import carry, obstacle, remark
from registry_trust.core.desired import Desired, DesiredRegistry
from registry_trust.core.layout import Carrying, content_hash, entry_name, replaced_name
from registry_trust.core.observed import ObservedRoot, OwnEntry, Target
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState


@dataclass(frozen=True, slots=True)
class Switch:
    """Build a new generation of these files and point the entry to it.

    With `replace`, another process's files that stand in its place are put aside in the same step.
    """

    entry: str
    desired: DesiredRegistry
    digest: str
    repair: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """Write down which trusts the entry comes from; the files stay as they are."""

    entry: str
    trusts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remove:
    """Take the entry away, and put back what it replaced; its generations follow later."""

    entry: str


Step = Switch | Record | Remove


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps for one target, in the order to be taken, and what can be said of its registries without a step."""

    target: Target
    steps: tuple[Step, ...] = ()
    rows: tuple[RegistryRow, ...] = ()


@dataclass(slots=True)
class SettledRows:
    """The rows of one target's registries that needed no step, from one plan to the next.

    A row is still right if the very same value is wanted, the very same one was seen, and nothing around them is
    another. Nothing that depends on other registries is kept.
    """

    _around: object = None
    _rows: dict[str, tuple[DesiredRegistry, OwnEntry, str, RegistryRow]] = field(default_factory=dict)

    def begin(self, target: Target, desired: Desired, roots: Mapping[str, ObservedRoot]) -> None:
        """Begin a plan; where anything around the entries changed, no row is right any longer."""
        seen = {path: roots[path] for path in (target.path, *target.lookup_chain()) if path in roots}
        around = target, desired.unknown, {path: _around_entries(root) for path, root in seen.items()}
        if around != self._around:
            self._around, self._rows = around, {}
        elif len(self._rows) > len(desired.registries):
            self._rows = {name: row for name, row in self._rows.items() if name in desired.registries}

    def row(self, item: DesiredRegistry, observed: ObservedRoot) -> tuple[str, RegistryRow] | None:
        """Return an entry's name and its row, if that is still right."""
        known = self._rows.get(item.registry)
        if known is None or known[0] is not item or observed.own.get(known[2]) is not known[1]:
            return None
        return known[2], known[3]

    def keep(self, item: DesiredRegistry, own: OwnEntry, entry: str, row: RegistryRow) -> None:
        """Remember the row of a registry that needs no step."""
        self._rows[item.registry] = item, own, entry, row


def _around_entries(root: ObservedRoot) -> tuple[object, ...]:
    linked = frozenset([name for name, own in root.own.items() if own.generation])
    return root.foreign, root.unreadable, root.kept, linked


def make_plan(
    target: Target, desired: Desired, roots: Mapping[str, ObservedRoot], settled: SettledRows | None = None
) -> Plan:
    """Compare what a target is to hold with what it holds.

    Args:
        target: the root to plan for.
        desired: what the node is to have.
        roots: what every observed root holds, by path; the target's own must be among them. A root of the target's
            chain that is not mounted is simply not known.
        settled: what the last plan of this target found; the plan is the same without it.

    Nothing that this installation did not write is ever changed or removed, and only what a trust says `Replace` for
    is put aside or hidden: elsewhere the plan has a failing row instead of a step.
    """
    observed = roots[target.path]
    steps: list[Step] = []
    rows: list[RegistryRow] = []
    wanted: set[str] = set()
    settled = settled or SettledRows()
    settled.begin(target, desired, roots)
    for registry, item in desired.registries.items():
        known = settled.row(item, observed)
        if known is not None:
            wanted.add(known[0])
            rows.append(known[1])
            continue
        entry = entry_name(target.layout, registry)
        wanted.add(entry)
        if entry in observed.unreadable:
            rows.append(_failed(registry, Reason.WRITE_FAILED, observed.unreadable[entry]))
            continue
        own = observed.own.get(entry)
        if own is not None and desired.unknown.intersection(own.trusts):
            rows.append(_of_unknown(registry, own, desired.unknown))
            continue
        around = look_around(target, registry, entry, roots)
        conflict = _conflict(target, item, entry, observed, around)
        if conflict is not None:
            rows.append(conflict)
            continue
        carrying = carry(target.layout, item, around, own, desired.registries)
        carried = None if carrying is None else carrying.carried
        digest = content_hash(target.layout, registry, item.material, carrying)
        same = own is not None and own.digest == digest and own.carried == carried
        remarked = _remark(target, item, entry, observed, around, carrying)
        rows.append(RegistryRow(registry, RowState.CURRENT, digest, remarked))
        if own is None or not same or not own.intact or not own.generation:
            whole = replace(item, carrying=carrying)
            steps.append(Switch(entry, whole, digest, repair=same, replace=entry in observed.foreign))
        elif own.trusts != item.trusts:
            steps.append(Record(entry, item.trusts))
        elif around.offer is None:
            settled.keep(item, own, entry, rows[-1])
    removals, kept = _unwanted(observed, desired, wanted)
    return Plan(target, (*steps, *removals), (*rows, *kept))


def _unwanted(observed: ObservedRoot, desired: Desired, wanted: set[str]) -> tuple[list[Step], list[RegistryRow]]:
    """Return the steps and rows for entries that the node is not to have."""
    steps: list[Step] = []
    rows: list[RegistryRow] = []
    for entry, own in observed.own.items():
        if entry in wanted:
            continue
        if desired.unknown.intersection(own.trusts):
            rows.append(_of_unknown(own.registry, own, desired.unknown))
        elif observed.to_remove(entry):
            steps.append(Remove(entry))
    rows.extend(
        _failed(entry, Reason.WRITE_FAILED, message)
        for entry, message in observed.unreadable.items()
        if entry not in wanted
    )
    return steps, rows


def _of_unknown(registry: str, own: OwnEntry, unknown: frozenset[str]) -> RegistryRow:
    names = ", ".join(sorted(unknown.intersection(own.trusts)))
    return RegistryRow(
        registry,
        RowState.HELD,
        own.digest,
        Problem(
            Reason.CONTENT_HELD,
            f"kept as it is: the operator does not know the content of trust {names}; see that trust's status",
        ),
    )


def _remark(
    target: Target,
    item: DesiredRegistry,
    entry: str,
    observed: ObservedRoot,
    around: Around,
    carrying: Carrying | None,
) -> Problem | None:
    """Return what is to be said of an entry that is or is about to be in place: what gave way, or comes along."""
    if entry in observed.foreign or entry in observed.kept:
        message = (
            f"{target.path}/{entry} replaced something that registry-trust did not write; that is kept as "
            f"{target.path}/{replaced_name(entry)}, and will be put back when this entry is removed"
        )
        return Problem(Reason.EXISTING_FILES_REPLACED, message)
    if around.offer is not None:
        return remark(f"{target.path}/{entry}", around, carrying)
    if around.hidden and item.replace:
        message = f"{target.path}/{entry} hides {around.hidden}, which registry-trust did not write and leaves as it is"
        return Problem(Reason.EXISTING_FILES_REPLACED, message)
    return None


def _conflict(
    target: Target, item: DesiredRegistry, entry: str, observed: ObservedRoot, around: Around
) -> RegistryRow | None:
    """Return the row where writing the entry would touch or hide another process's, or would be hidden."""
    registry = item.registry
    foreign = observed.foreign.get(entry)
    if foreign is not None and item.replace and entry in observed.kept:
        return _failed(
            registry,
            Reason.FOREIGN_FILE,
            f"{target.path}/{entry} is {foreign.description} that was put there after registry-trust had replaced "
            f"something else, which is kept as {target.path}/{replaced_name(entry)}; move one of the two away",
        )
    if foreign is not None and not item.replace:
        return _failed(
            registry,
            Reason.FOREIGN_FILE,
            f"{target.path}/{entry} is {foreign.description} that registry-trust did not write; it is left alone. "
            "Move it away, and the entry will be written at once",
        )
    if around.hiding:
        return _failed(
            registry,
            Reason.SHADOWED,
            f"{around.hiding} is not written by registry-trust and is read instead of {target.path}/{entry}"
            f"{around.remark}; move it away",
        )
    problem = obstacle(f"{target.path}/{entry}", around, linked=observed.linked(entry))
    if problem is None or (item.replace and problem.reason is Reason.WOULD_SHADOW):
        return None
    state = RowState.FAILED if problem.reason is Reason.WOULD_SHADOW else RowState.PENDING
    return RegistryRow(registry, state, problem=problem)


def _failed(registry: str, reason: Reason, message: str) -> RegistryRow:
    return RegistryRow(registry, RowState.FAILED, problem=Problem(reason, message))


def merge_rows(by_target: Sequence[tuple[Target, Sequence[RegistryRow]]]) -> tuple[RegistryRow, ...]:
    """Unite the rows of all targets: for each registry the worst one counts; standby targets fail nothing.

    Of equally good ones, that counts which has something to say.
    """
    order = [RowState.FAILED, RowState.PENDING, RowState.HELD, RowState.CURRENT]

    def badness(row: RegistryRow) -> tuple[int, bool]:
        return order.index(row.state), row.problem is None

    worst: dict[tuple[str, str], RegistryRow] = {}
    for target, rows in by_target:
        for row in rows:
            if target.standby and row.state is not RowState.CURRENT:
                continue
            key = (row.registry, row.trust)
            if key not in worst or badness(row) < badness(worst[key]):
                worst[key] = row
    return tuple(worst.values())
