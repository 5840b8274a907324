"""The plan: from what a node is to have and what a root holds to the steps that lead from one to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from registry_trust.core.desired import Desired, DesiredRegistry
from registry_trust.core.layout import (
    Layout,
    Reader,
    content_hash,
    entry_name,
    lookup_names,
    possible_readers,
    replaced_name,
)
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState


@dataclass(frozen=True, slots=True)
class Target:
    """A root of certificate directories on a node, and how it is read.

    `path` is the root's path on the host. `chain` lists every root that the same reader looks in, in its order, this
    one included. `readers` are those of which one reads it; empty: every one that the layout is for. A `standby` root
    is read by nothing today: it is written for the day the runtime reads it.
    """

    path: str
    layout: Layout
    chain: tuple[str, ...] = ()
    standby: bool = False
    readers: tuple[Reader, ...] = ()

    def possible_readers(self) -> tuple[Reader, ...]:
        """Return who may read this root, one at least."""
        return self.readers or possible_readers(self.layout)

    def lookup_chain(self) -> tuple[str, ...]:
        """Return the roots that this target's reader looks in, in its order."""
        return self.chain or (self.path,)


@dataclass(frozen=True, slots=True)
class OwnEntry:
    """An entry that this installation wrote.

    `generation` is what the link points to, and empty where the link is gone; `digest` is the content hash of what it
    points to or is to point to, and empty where the entry was removed; `intact` says that the files are exactly those
    of the manifest (names, bytes, modes, owner) and nothing else.
    """

    registry: str
    generation: str
    digest: str
    trusts: tuple[str, ...]
    intact: bool


@dataclass(frozen=True, slots=True)
class UnverifiedHost:
    """A registry that a `hosts.toml` leads to and has no `ca` for; `place` is its table, empty for the file's root."""

    registry: str
    place: str


@dataclass(frozen=True, slots=True)
class ForeignEntry:
    """Something in a root that this installation did not write.

    `reads` says whether a runtime would find anything in it, `hides` whether it keeps a runtime from looking further
    (an empty directory does, a link that leads nowhere doesn't). `unverified` is what its `hosts.toml` leads to.
    """

    description: str
    reads: bool = True
    hides: bool = True
    unverified: tuple[UnverifiedHost, ...] = ()


@dataclass(frozen=True, slots=True)
class ObservedRoot:
    """What a root holds: our entries by name (also those whose link is gone), and everybody else's.

    `unreadable` are entries in the store at which the system refuses to look, with its words: whose they are and what
    is in them is not known, so they are left as they are. `kept` are the entries of which the root keeps what they
    replaced.
    """

    own: Mapping[str, OwnEntry] = field(default_factory=dict)
    foreign: Mapping[str, ForeignEntry] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()

    def linked(self, name: str) -> bool:
        """Say whether `name` is one of our entries and in place."""
        return name in self.own and bool(self.own[name].generation) and name not in self.foreign

    def to_remove(self, name: str) -> bool:
        """Say whether an entry of ours that nobody wants has something to be taken away, or to be put back."""
        return bool(self.own[name].digest) or (name in self.kept and name not in self.foreign)


@dataclass(frozen=True, slots=True)
class Switch:
    """Build a new generation of these files and point the entry to it.

    With `replace`, somebody else's files that stand in its place are put aside in the same step.
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


def make_plan(target: Target, desired: Desired, roots: Mapping[str, ObservedRoot]) -> Plan:
    """Compare what a target is to hold with what it holds.

    Args:
        target: the root to plan for.
        desired: what the node is to have.
        roots: what every observed root holds, by path; the target's own must be among them. A root of the target's
            chain that is not mounted is simply not known.

    Nothing that this installation did not write is ever changed or removed, and only what a trust says `Replace` for
    is put aside or hidden: elsewhere the plan has a failing row in place of a step.
    """
    observed = roots[target.path]
    steps: list[Step] = []
    rows: list[RegistryRow] = []
    wanted: set[str] = set()
    for registry, item in desired.registries.items():
        entry = entry_name(target.layout, registry)
        wanted.add(entry)
        if entry in observed.unreadable:
            rows.append(_failed(registry, Reason.WRITE_FAILED, observed.unreadable[entry]))
            continue
        own = observed.own.get(entry)
        if own is not None and desired.held.intersection(own.trusts):
            rows.append(_held(registry, own, desired.held))
            continue
        conflict = _conflict(target, registry, entry, roots, replace=item.replace)
        if conflict is not None:
            rows.append(conflict)
            continue
        digest = content_hash(target.layout, registry, item.material)
        if own is None or own.digest != digest or not own.intact or not own.generation:
            repair = own is not None and own.digest == digest
            steps.append(Switch(entry, item, digest, repair, replace=entry in observed.foreign))
        elif own.trusts != item.trusts:
            steps.append(Record(entry, item.trusts))
        rows.append(_current(target, registry, entry, digest, roots, replace=item.replace))
    removals, kept = _unwanted(observed, desired, wanted)
    return Plan(target, (*steps, *removals), (*rows, *kept))


def _unwanted(observed: ObservedRoot, desired: Desired, wanted: set[str]) -> tuple[list[Step], list[RegistryRow]]:
    """Return the steps and rows for entries that the node is not to have."""
    steps: list[Step] = []
    rows: list[RegistryRow] = []
    for entry, own in observed.own.items():
        if entry in wanted:
            continue
        if desired.held.intersection(own.trusts):
            rows.append(_held(own.registry, own, desired.held))
        elif observed.to_remove(entry):
            steps.append(Remove(entry))
    rows.extend(
        _failed(entry, Reason.WRITE_FAILED, message)
        for entry, message in observed.unreadable.items()
        if entry not in wanted
    )
    return steps, rows


def _held(registry: str, own: OwnEntry, held: frozenset[str]) -> RegistryRow:
    names = ", ".join(sorted(held.intersection(own.trusts)))
    return RegistryRow(
        registry,
        RowState.HELD,
        own.digest,
        Problem(
            Reason.CONTENT_HELD,
            f"kept as it is: the operator does not know the content of trust {names}; see that trust's status",
        ),
    )


def _current(
    target: Target, registry: str, entry: str, digest: str, roots: Mapping[str, ObservedRoot], *, replace: bool
) -> RegistryRow:
    """Return the row of an entry that is or is about to be in place, and what gave way to it."""
    observed = roots[target.path]
    if entry in observed.foreign or entry in observed.kept:
        message = (
            f"{target.path}/{entry} took the place of what registry-trust did not write; that is kept as "
            f"{target.path}/{replaced_name(entry)}, and is put back when this entry goes"
        )
        return RegistryRow(registry, RowState.CURRENT, digest, Problem(Reason.EXISTING_FILES_REPLACED, message))
    hidden = _around(target, registry, entry, roots).hidden if replace else ""
    if hidden:
        message = f"{target.path}/{entry} hides {hidden}, which registry-trust did not write and leaves as it is"
        return RegistryRow(registry, RowState.CURRENT, digest, Problem(Reason.EXISTING_FILES_REPLACED, message))
    return RegistryRow(registry, RowState.CURRENT, generation=digest)


def _conflict(
    target: Target, registry: str, entry: str, roots: Mapping[str, ObservedRoot], *, replace: bool
) -> RegistryRow | None:
    """Return the failing row where writing the entry would touch or hide somebody else's, or would be hidden."""
    foreign = roots[target.path].foreign.get(entry)
    if foreign is not None and replace and entry in roots[target.path].kept:
        return _failed(
            registry,
            Reason.FOREIGN_FILE,
            f"{target.path}/{entry} is {foreign.description} that somebody put there after registry-trust had replaced "
            f"something else, which is kept as {target.path}/{replaced_name(entry)}; one of the two must be moved away",
        )
    if foreign is not None and not replace:
        return _failed(
            registry,
            Reason.FOREIGN_FILE,
            f"{target.path}/{entry} is {foreign.description} that registry-trust did not write; "
            "it is left alone. Move it away, and the entry is written at once",
        )
    around = _around(target, registry, entry, roots)
    if around.hiding:
        return _failed(
            registry,
            Reason.SHADOWED,
            f"{around.hiding} is not written by registry-trust and is read instead of {target.path}/{entry}"
            f"{around.remark}; move it away",
        )
    if around.hidden and not replace and not roots[target.path].linked(entry):
        return _failed(
            registry,
            Reason.WOULD_SHADOW,
            f"writing {target.path}/{entry} would hide {around.hidden}, which the runtime reads now and registry-trust "
            f"did not write{around.remark}; nothing was written. Move what it says into the trust, or move it away",
        )
    return None


@dataclass(frozen=True, slots=True)
class _Around:
    """Somebody else's directories around an entry of ours, by path; empty where there is none.

    `hiding` is the first that is read before our entry, `hidden` the first that would be read without it. `remark` says
    that this depends on the reader, which is not known.
    """

    hiding: str = ""
    hidden: str = ""
    remark: str = ""


def _around(target: Target, registry: str, entry: str, roots: Mapping[str, ObservedRoot]) -> _Around:
    """Look as each possible reader would; of several, one that has something to say counts."""
    seen = [_around_for(reader, target, registry, entry, roots) for reader in target.possible_readers()]
    found = next((each for each in seen if each.hiding), None) or next((each for each in seen if each.hidden), seen[0])
    return found if len(set(seen)) == 1 else _Around(found.hiding, found.hidden, _IF_CONTAINERD_STORE)


_IF_CONTAINERD_STORE = (
    " (if dockerd uses the containerd image store; which store it uses is not known here: a new installation of Docker "
    "29 does, an upgraded one does not)"
)


def _around_for(
    reader: Reader, target: Target, registry: str, entry: str, roots: Mapping[str, ObservedRoot]
) -> _Around:
    before = True
    hiding = ""
    for root in target.lookup_chain():
        observed = roots.get(root)
        for name in lookup_names(reader, registry):
            if root == target.path and name == entry:
                before = False
                continue
            if observed is None:
                continue
            if observed.linked(name) and not before:
                return _Around(hiding)
            foreign = observed.foreign.get(name)
            if foreign is None or not foreign.hides:
                continue
            if before:
                hiding = hiding or f"{root}/{name}"
            else:
                return _Around(hiding, f"{root}/{name}" if foreign.reads else "")
    return _Around(hiding)


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
