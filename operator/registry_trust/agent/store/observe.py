"""Observing: what a root holds, ours and everybody else's, by names, bytes, modes and owner; changes nothing."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

from registry_trust.agent.store.default import offered, unreadable
from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.failures import failing, shown
from registry_trust.agent.store.garbage import is_resting
from registry_trust.agent.store.generations import attributes_difference, difference, strangers
from registry_trust.agent.store.links import is_kept, is_orphan
from registry_trust.agent.store.lock import LOCK
from registry_trust.agent.store.looks import Inspected, Looks, Recalled
from registry_trust.agent.store.manifest import (
    OWNER_FILE,
    STATE_FILE,
    Ownership,
    digest_of,
    is_link_of,
    temporary_kind,
)
from registry_trust.agent.store.open_store import OpenStore, may_be_entry
from registry_trust.agent.store.ownership import read_any_ownership
from registry_trust.core.carried import Carried, NotCarried
from registry_trust.core.errors import StoreFailure
from registry_trust.core.hosts_toml import HOSTS_LIMIT, parse_own
from registry_trust.core.layout import (
    DEFAULT,
    ENDINGS,
    HOSTS_FILE,
    PRIVATE_DIRECTORY,
    PRIVATE_FILE,
    PUBLIC_DIRECTORY,
    REPLACED,
    STORE,
    replaced_name,
)
from registry_trust.core.mirrors import unverified_hosts
from registry_trust.core.observed import ForeignEntry, ObservedRoot, OwnEntry
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import escape, listing, quote

_MOST_NAMES = 1000
"""Names of another process's directory that are looked at."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen.

    Attributes:
        root: for the plan.
        findings: what is inside the store and not ours.
        faults: what is wrong with those of our entries that are not intact, by entry.
        directory: the root's path in this process, where it is written.
        has_store: there is a store directory in it.
        resting: our entries in which there is no garbage.
    """

    root: ObservedRoot
    findings: tuple[Problem, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)
    directory: str = ""
    has_store: bool = False
    resting: frozenset[str] = field(default=frozenset(), compare=False)

    def watched(self) -> list[str]:
        """Return the directories, by their paths in this process, in which any change is drift."""
        paths = [self.directory]
        if self.has_store:
            store = f"{self.directory}/{STORE}"
            paths.append(store)
            for name, entry in self.root.own.items():
                paths.append(f"{store}/{name}")
                if entry.generation:
                    paths.append(f"{store}/{name}/{entry.generation}")
        if DEFAULT in self.root.foreign:
            paths.append(f"{self.directory}/{DEFAULT}")  # Followed, although it is not ours.
        return paths


def is_as_remembered(store: OpenStore, looks: Looks, entry: str) -> bool:
    """Read an entry, and say whether it is what an earlier pass saw of it."""
    kept = is_kept(store.root, entry)
    before = looks.forget(entry)
    try:
        return looks.look(store, entry, partial(_look_at, store, entry, kept=kept), kept=kept) == before
    except StoreFailure:
        return False  # The next look says why.


def observe_root(
    root: Directory,
    store: OpenStore | None,
    looks: Looks | None = None,
    breathe: Callable[[], object] = lambda: None,
) -> Observation:
    """Look at everything in a root.

    Args:
        root: the root.
        store: its store; None where there is none yet.
        looks: what was seen of the entries before; None for nothing.
        breathe: called before each entry that is looked at; what it raises ends the look.
    """
    seen = Recalled()
    unreadable: dict[str, str] = {}
    unknown: list[Problem] = []
    stored: list[str] = []
    names = root.names()
    kept = frozenset(
        name.removeprefix(REPLACED)
        for name in names
        if name.startswith(REPLACED) and is_kept(root, name.removeprefix(REPLACED))
    )
    if store is not None:
        looks = looks or Looks()
        looks.start(store.installation)
        stored = store.folder.names()
        entries = [name for name in stored if may_be_entry(name)]
        seen = looks.recall(entries, kept)
        for entry in seen.unread:
            breathe()
            try:
                inspect = partial(_look_at, store, entry, kept=entry in kept)
                seen.add(entry, looks.look(store, entry, inspect, kept=entry in kept))
            except StoreFailure as error:
                unreadable[entry] = error.problem.message  # One registry's bad sector stops no other registry.
        looks.end(entries)
        unknown = _unknown_in_store(store.folder, set(stored) - seen.own.keys() - unreadable.keys())
    ours = {STORE, *unreadable, *(name for name, own in seen.own.items() if own.generation)}
    foreign = {
        name: describe(root, name)
        for name in sorted(set(names) - ours)
        if not name.startswith(REPLACED)
        if not _is_orphan(root, None if store is None else store.folder, name, unreadable, known=name in stored)
    }
    observed = ObservedRoot(seen.own, foreign, unreadable, kept)
    findings = (problem for entry in sorted(seen.findings) for problem in seen.findings[entry])
    return Observation(
        observed,
        (*findings, *unknown, *_kept_for_good(root, observed)),
        seen.faults,
        resting=frozenset(seen.resting),
    )


def _look_at(store: OpenStore, entry: str, *, kept: bool) -> tuple[Inspected, Ownership | None]:
    if not store.folder.holds_directory(entry):
        return Inspected(None, ()), None
    with store.folder.open(entry) as folder:
        ownership = read_any_ownership(folder, entry)
        if ownership is None or not store.installation or ownership.installation != store.installation:
            return Inspected(None, (_not_ours(folder, ownership),)), None
        linked = ownership.generation_of(store.root.link_text(entry))
        findings = tuple(_strangers(folder, ownership, linked))
        if not linked and not ownership.current and not kept:
            return Inspected(None, findings), ownership
        fault = entry_fault(folder, ownership, linked)
        own = OwnEntry(
            registry=ownership.registry,
            generation=linked,
            digest=digest_of(linked or ownership.current),
            trusts=ownership.trusts,
            intact=not fault,
            carried=_carried(folder, ownership, linked) if not fault else None,
        )
        return Inspected(own, findings, fault, resting=is_resting(folder, ownership, linked)), ownership


def _carried(folder: Directory, ownership: Ownership, linked: str) -> Carried | None:
    record = ownership.generations[linked].get(HOSTS_FILE)
    if record is None:
        return None
    with folder.open(linked) as directory:
        found = directory.regular_file(HOSTS_FILE, record.size)
    return None if found is None else parse_own(found[1], private=record.mode == PRIVATE_FILE)


def entry_fault(folder: Directory, ownership: Ownership, linked: str) -> str:
    """Say what is wrong with an entry of ours; empty where it is as it was written."""
    if not linked:
        return "its link is gone or was replaced"
    if not folder.holds_directory(linked):
        return f"its generation {linked} is gone"
    allowed = PRIVATE_DIRECTORY if ownership.is_private() else PUBLIC_DIRECTORY
    fault = attributes_difference(folder.status(), allowed)
    if fault and stat.S_IMODE(folder.status().st_mode) != PRIVATE_DIRECTORY:
        return f"its directory in the store {fault}"
    with folder.open(linked) as directory:
        return difference(directory, ownership.generations[linked])


def _is_orphan(root: Directory, store: Directory | None, name: str, unreadable: dict[str, str], *, known: bool) -> bool:
    """Say whether an entry is a link of ours without a manifest; if that can't be looked for, note why as well.

    `known` says that the store has a directory of this name: only then can a link that can't be read be ours.
    """
    ours = known
    try:
        ours = is_link_of(name, root.link_text(name))
        return ours and is_orphan(store, name)
    except StoreFailure as error:
        if ours:
            unreadable[name] = error.problem.message
        return ours  # What can't be looked at is another process's.


def describe(root: Directory, name: str) -> ForeignEntry:
    """Classify something that another process put into a root, in the words of a message."""
    found = _describe(root, name)
    if name != DEFAULT or found.offer is not None or not found.reads:
        return found
    return replace(found, offer=NotCarried(f"it is {found.description}", "Make it a directory with regular files"))


def _describe(root: Directory, name: str) -> ForeignEntry:
    try:
        status = root.look(name)
    except StoreFailure as error:
        return ForeignEntry(f"something that can't be looked at ({_code(error)})")
    if status is None:
        return ForeignEntry("something (it is gone again)", reads=False, hides=False)
    if stat.S_ISDIR(status.st_mode):
        return _describe_directory(root, name)
    if stat.S_ISLNK(status.st_mode):
        return _describe_link(root, name)
    if stat.S_ISREG(status.st_mode):
        return ForeignEntry("a file", reads=False)
    return ForeignEntry("a special file (a FIFO, socket or device)", reads=False)


def _describe_directory(root: Directory, name: str) -> ForeignEntry:
    try:
        with root.open(name) as directory, failing("list", directory.path), os.scandir(directory.fileno()) as entries:
            found = {entry.name: _is_read(directory, entry.name) for entry in islice(entries, _MOST_NAMES)}
            names = sorted(found, key=lambda file: (not found[file], file))
            hosts = directory.regular_file(HOSTS_FILE, HOSTS_LIMIT + 1)
            whole = len(names) < _MOST_NAMES
            offer = offered(directory, names, hosts, whole=whole) if name == DEFAULT else None
    except StoreFailure as error:
        description = f"a directory that can't be listed ({_code(error)})"
        return ForeignEntry(description, offer=unreadable(_code(error)) if name == DEFAULT else None)
    if not names:
        return ForeignEntry("an empty directory", reads=False)
    return ForeignEntry(
        f"a directory (with {listing([escape(file) for file in names])})",
        reads=offer is not None if name == DEFAULT else any(found.values()) or not whole,
        unverified=unverified_hosts(hosts[1]) if hosts is not None else (),
        offer=offer,
    )


def _code(error: StoreFailure) -> str:
    number = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
    return errno.errorcode.get(number or 0, "no reason given")


def _is_read(directory: Directory, name: str) -> bool:
    if name.endswith(ENDINGS):
        return True
    if name != HOSTS_FILE:
        return False
    status = directory.look(name)
    # containerd goes on to the other files where hosts.toml has no byte (hosts.go, loadHostDir).
    return status is not None and (status.st_size > 0 or not stat.S_ISREG(status.st_mode))


def _describe_link(root: Directory, name: str) -> ForeignEntry:
    text = root.link_text(name) or ""
    description = f"a symbolic link to {quote(text)}"
    first = text.split("/", 1)[0]
    if not text.startswith("/") and first not in ("", ".", "..") and root.look(first) is None:
        # Nothing of that name in the root: runtimes go on to their next place (os.Stat says ENOENT).
        return ForeignEntry(f"{description}, which is not there,", reads=False, hides=False)
    # Where else it leads on the host can't be seen from inside a container: the host has other mounts.
    return ForeignEntry(description)


def _not_ours(folder: Directory, ownership: Ownership | None) -> Problem:
    if ownership is not None:
        gist = f"belongs to another installation of registry-trust ({escape(ownership.installation, 40)})"
    else:
        gist = f"has no {OWNER_FILE} of this installation"
    message = f"{shown(folder.path)} {gist}; it is left alone. Move it away if nobody needs it"
    return Problem(Reason.FOREIGN_FILE, message)


def _strangers(folder: Directory, ownership: Ownership, linked: str) -> list[Problem]:
    """Find what nobody reads through us and what our removal leaves in place."""
    paths = [
        folder.path_of(name)
        for name in folder.names()
        if name != OWNER_FILE and name not in ownership.generations and not temporary_kind(name)
    ]
    for name, files in ownership.generations.items():
        if name != linked:
            paths.extend(strangers(folder, name, files))
    return [_stranger(paths)] if paths else []


def _kept_for_good(root: Directory, observed: ObservedRoot) -> Iterator[Problem]:
    """Find what an entry replaced and that is not put back: somebody took the place, or the manifest is lost."""
    for entry in sorted(observed.kept):
        own = observed.own.get(entry)
        if own is not None and (own.digest or entry not in observed.foreign):
            continue
        yield Problem(
            Reason.EXISTING_FILES_REPLACED,
            f"{shown(root.path_of(replaced_name(entry)))} was replaced by an entry of registry-trust and is kept: it "
            f"can't be put back to {shown(root.path_of(entry))} automatically; move it where it belongs",
        )


def _unknown_in_store(store: Directory, names: Collection[str]) -> list[Problem]:
    paths = [
        store.path_of(name)
        for name in sorted(names)
        if name not in (STATE_FILE, LOCK) and not temporary_kind(name)
        if name.startswith(".") or not store.holds_directory(name)
    ]
    return [_stranger(paths)] if paths else []


def _stranger(paths: list[str]) -> Problem:
    return Problem(
        Reason.FOREIGN_FILE,
        f"{listing([shown(path) for path in paths])}: not written by registry-trust, or changed since, and nothing "
        "reads it there; it is left alone. Move it away",
    )
