"""The store: one root as this process knows it from pass to pass; only what its lock yields reads or writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from registry_trust.agent.store import mounts
from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.drift import Changes
from registry_trust.agent.store.failures import failing
from registry_trust.agent.store.garbage import Garbage
from registry_trust.agent.store.lock import Lock
from registry_trust.agent.store.locked_store import LockedStore, Past
from registry_trust.agent.store.looks import Looks
from registry_trust.core.layout import STORE

GRACE = 60.0
"""Seconds that a superseded generation stays: a pull that has read its `hosts.toml` still finds the files."""

LOCK_WAIT = 10.0
"""Seconds that a pass waits for another process on the same root."""


class Store:
    """One root, by its path; each pass opens it again and locks it."""

    def __init__(
        self,
        directory: str,
        *,
        shown_path: str | None = None,
        grace: float = GRACE,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
        lock_wait: float = LOCK_WAIT,
        breathe: Callable[[], object] = lambda: None,
        source: str = "",
    ) -> None:
        """Describe a root; nothing is opened yet.

        Args:
            directory: the root's path in this process.
            shown_path: its path on the host, which messages use; the same where there is no difference.
            grace: seconds from the moment that this process saw a generation superseded to its removal.
            monotonic: a clock in seconds.
            clock: the time of day in seconds since 1970, which the kernel stamps changes with.
            lock_wait: seconds to wait for another process that has the root.
            breathe: called between any two pieces of work; what it raises ends the pass there, and nothing is torn.
            source: whose bundle is written, `namespace/name`; empty for nobody's.
        """
        self._directory = directory
        self._shown_path = shown_path or directory
        self._monotonic = monotonic
        self._lock_wait = lock_wait
        self._breathe = breathe
        self._source = source
        self._past = Past(Garbage(grace, monotonic), Looks(monotonic, clock))
        self._origin: str | None = None
        self._locked: LockedStore | None = None

    @contextmanager
    def lock(self, *, clear: bool = True) -> Iterator[LockedStore]:
        """Hold the root for one pass; the first one that may `clear` also clears what a dead process left.

        Raises:
            StoreFailure: the root can't be opened or what it remembers not be understood, another process has it for
                too long (Contested), or what a step of this process did can't be made durable.
        """
        if self._locked is not None:
            self._locked.close()  # What a pass that failed at its very end left open.
        with Directory.open_root(self._directory, self._shown_path) as root:
            if self._origin is None:
                self._origin = mounts.origin(self._directory)
            locked = LockedStore(
                root, self._directory, self._past, source=self._source, breathe=self._breathe, take_lock=self._take_lock
            )
            self._locked = locked
            try:
                locked.open()
                if clear:
                    locked.clear()
                yield locked
            finally:
                locked.close()

    def note(self, changes: Changes | None) -> None:
        """Take in what changed since the last pass; None for anything, as where nobody watches."""
        self._past.looks.note(None if changes is None else changes.entries(self._directory, STORE))

    def holds(self, path: str) -> bool:
        """Say whether a directory is the root, or in its store."""
        return path == self._directory or f"{path}/".startswith(f"{self._directory}/{STORE}/")

    def identity(self) -> tuple[int, int]:
        """Return device and inode of the root: two mounts may be one directory.

        Raises:
            StoreFailure: it can't be looked at.
        """
        with failing("look at", self._shown_path):
            status = Path(self._directory).stat()
        return status.st_dev, status.st_ino

    def is_detached(self) -> bool:
        """Say whether the root was moved or deleted under its mount: then this process writes where nobody reads."""
        return mounts.is_detached(self._directory, self._origin)

    def _take_lock(self, folder: Directory) -> Lock:
        return Lock.take(folder, self._shown_path, self._lock_wait, self._monotonic, self._breathe)
