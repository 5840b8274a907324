"""Looks: what was seen of each entry of ours last, and whether that still holds without reading its files again."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from registry_trust.agent.store.manifest import OWNER_FILE, Ownership
from registry_trust.agent.store.open_store import OpenStore
from registry_trust.core.observed import OwnEntry
from registry_trust.core.problem import Problem

CONTENT_EVERY = 600.0
"""Seconds after which an entry's files are read again although nothing says that they changed, at most."""

GRANULARITY = 2.5
"""Seconds. Two changes within one tick of a file system's clock have the same time: 10 ms at most where the kernel
stamps (CONFIG_HZ=100), a second on ext3 and older XFS, two on others. What changed later than this before a look may
have changed again after it, unseen."""

_Stamp = tuple[int, int, int, int, int, int, int, int]
"""Device, inode, mode, owner, links, size, and the times of the last change of content and of anything, in ns."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What one entry's directory in the store shows.

    `own` is None where the entry is not ours or was removed. `resting` says that its garbage needs no look: the only
    generation is the one that the entry points to and is to point to.
    """

    own: OwnEntry | None
    findings: tuple[Problem, ...]
    fault: str = ""
    resting: bool = False


@dataclass(slots=True)
class Recalled:
    """What is known of the entries of a root, by entry; `unread` are those that have to be looked at, in their order.

    Attributes:
        own: what is ours of them.
        faults: what is wrong with those that are not intact.
        findings: what is in their directories and not ours.
        resting: those whose garbage needs no look.
    """

    own: dict[str, OwnEntry] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    findings: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    resting: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)

    def add(self, entry: str, seen: Inspected) -> None:
        """Take in what an entry's directory shows."""
        if seen.findings:
            self.findings[entry] = seen.findings
        if seen.own is None:
            return
        self.own[entry] = seen.own
        if seen.fault:
            self.faults[entry] = seen.fault
        if seen.resting:
            self.resting.add(entry)

    def drop(self, entry: str) -> None:
        """Forget an entry."""
        for known in (self.own, self.faults, self.findings):
            known.pop(entry, None)
        self.resting.discard(entry)

    def without(self, entries: Iterable[str], unread: list[str]) -> Recalled:
        """Return a copy without some entries."""
        copy = Recalled(self.own.copy(), self.faults.copy(), self.findings.copy(), self.resting.copy(), unread)
        for entry in entries:
            copy.drop(entry)
        return copy


@dataclass(frozen=True, slots=True)
class _Remembered:
    found: Inspected
    kept: bool
    stamps: dict[str, _Stamp | None]
    """By path below the store directory; empty for the entry's link. No stamp at all: they prove nothing yet."""
    read_at: float


class Looks:
    """The memory of one root; what it says is a look's result, and nothing is ever changed because of it alone.

    An entry is read again when a note says that something changed in it, when the attributes of its link, of its
    directories or of one of its files are not those of before, and every ten minutes. The kernel sets the time of the
    last change (ctime) itself, and no call sets it back. So what is not seen until the entry is read: a change with
    the clock set back to the very nanosecond, and bytes that change without a call (a bad disk, a raw device, a layer
    below an overlay).
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, clock: Callable[[], float] = time.time) -> None:
        self._monotonic = monotonic
        self._clock = clock
        self._installation = ""
        self._seen: dict[str, _Remembered] = {}
        self._all = Recalled()
        """What `_seen` comes to, kept by differences: what nothing changed costs no step."""
        self._kept: set[str] = set()
        """Those in `_seen` of which is kept what they replaced."""
        self._noted: set[str] | None = None
        """Entries in which something may have changed since they were looked at; None: in any."""
        self._read: set[str] = set()
        """What this pass has read itself."""

    def begin(self) -> None:
        """Begin a pass."""
        self._read = set()

    def start(self, installation: str) -> None:
        """Start to look at every entry; those of another installation than before are not ours."""
        if installation != self._installation:
            self._installation, self._seen = installation, {}
            self._all, self._kept = Recalled(), set()

    def note(self, entries: Collection[str] | None) -> None:
        """Take in which entries something may have changed; None for any, as where nobody watches."""
        if entries is None or self._noted is None:
            self._noted = None
        else:
            self._noted.update(entries)

    def unread(self, entries: Iterable[str]) -> set[str]:
        """Return those of which a plan knows from an earlier pass alone."""
        return {entry for entry in entries if entry in self._seen and entry not in self._read}

    def recall(self, entries: Sequence[str], kept: frozenset[str]) -> Recalled:
        """Return what was seen of these entries, and of which of them something says that they changed.

        Args:
            entries: all that there are.
            kept: those of which is kept what they replaced.
        """
        if self._noted is None:
            return Recalled(unread=list(entries))
        here, seen = set(entries), self._seen.keys()
        changed = self._noted | (self._kept ^ kept)
        unread = (here - seen) | (here & changed)
        return self._all.without((seen - here) | (seen & changed), [entry for entry in entries if entry in unread])

    def look(
        self, store: OpenStore, entry: str, inspect: Callable[[], tuple[Inspected, Ownership | None]], *, kept: bool
    ) -> Inspected:
        """Look at an entry's attributes, and at all of it if they are not proven to be those of before.

        Args:
            store: the open store.
            entry: its name.
            inspect: reads it, and returns its manifest as well.
            kept: what it replaced is kept.
        """
        seen = self._seen.get(entry)
        if seen is not None and seen.kept is kept and self._holds(store, entry, seen):
            return seen.found
        self._drop(entry)
        began, now = self._clock(), self._monotonic()
        found, ownership = inspect()
        self._read.add(entry)
        if found.own is not None and ownership is not None:
            stamps = _stamps(store, entry, _paths(entry, ownership))
            set_back = abs((self._clock() - began) - (self._monotonic() - now)) > GRANULARITY / 2
            proven = not set_back and _newest(stamps) < (began - GRANULARITY) * 1e9
            self._seen[entry] = _Remembered(found, kept, stamps if proven else {}, now)
            self._all.add(entry, found)
            if kept:
                self._kept.add(entry)
        return found

    def forget(self, entry: str) -> Inspected | None:
        """Forget an entry, because this process is about to change it or to read it; return what was seen of it."""
        seen = self._drop(entry)
        self._read.discard(entry)
        return None if seen is None else seen.found

    def end(self, entries: Collection[str]) -> None:
        """All of these were looked at, and there are no others."""
        self._noted = set()
        if len(self._seen) > len(entries):
            for entry in self._seen.keys() - set(entries):
                self._drop(entry)

    def _drop(self, entry: str) -> _Remembered | None:
        seen = self._seen.pop(entry, None)
        if seen is not None:
            self._all.drop(entry)
            self._kept.discard(entry)
        return seen

    def _holds(self, store: OpenStore, entry: str, seen: _Remembered) -> bool:
        # Not all entries at once: a thousand would be a tenth of a second.
        share = 0.5 + zlib.crc32(entry.encode()) % 1000 / 2000
        if not seen.stamps or self._monotonic() - seen.read_at >= CONTENT_EVERY * share:
            return False
        return _stamps(store, entry, seen.stamps) == seen.stamps


def _paths(entry: str, ownership: Ownership) -> list[str]:
    """Return everything that was looked at, by its path below the store directory; empty for the link.

    A directory's own stamp changes with each name in it.
    """
    paths = ["", entry, f"{entry}/{OWNER_FILE}"]
    for name, files in ownership.generations.items():
        paths.append(f"{entry}/{name}")
        paths.extend(f"{entry}/{name}/{file}" for file in files)
    return paths


def _stamps(store: OpenStore, entry: str, paths: Iterable[str]) -> dict[str, _Stamp | None]:
    stamps: dict[str, _Stamp | None] = {}
    for path in paths:
        # A path of several names may pass a link that was just put there; then the directory's own stamp differs.
        name, directory = (path, store.folder) if path else (entry, store.root)
        stamps[path] = None
        with suppress(OSError):
            found = os.lstat(name, dir_fd=directory.fileno())
            stamps[path] = (
                found.st_dev,
                found.st_ino,
                found.st_mode,
                found.st_uid,
                found.st_nlink,
                found.st_size,
                found.st_mtime_ns,
                found.st_ctime_ns,
            )
    return stamps


def _newest(stamps: dict[str, _Stamp | None]) -> int:
    return max((max(stamp[-2:]) for stamp in stamps.values() if stamp is not None), default=0)
