"""Drift: notices at once that somebody changed a watched directory; one inotify instance, or polling without it."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from registry_trust.agent.store import linux_calls as calls
from registry_trust.agent.store.failures import shown
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason

_MASK = (
    calls.IN_MODIFY
    | calls.IN_ATTRIB
    | calls.IN_CLOSE_WRITE
    | calls.IN_MOVED_FROM
    | calls.IN_MOVED_TO
    | calls.IN_CREATE
    | calls.IN_DELETE
    | calls.IN_DELETE_SELF
    | calls.IN_MOVE_SELF
    | calls.IN_ONLYDIR
    | calls.IN_EXCL_UNLINK
)
_EVENT = struct.Struct("iIII")
"""struct inotify_event without its name: watch, mask, cookie, length of the name."""

_BUFFER = 65536


_RENAMED = calls.IN_MOVED_FROM | calls.IN_MOVED_TO | calls.IN_CREATE | calls.IN_DELETE
"""After one of these a name may stand for another directory, which has no watch yet."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What was noticed: directories by their paths, each with a name in it; no name for the directory itself.

    After an overflow of the kernel's queue anything may have changed.
    """

    places: frozenset[tuple[str, str]] = frozenset()
    overflow: bool = False

    def __bool__(self) -> bool:
        return bool(self.places) or self.overflow

    def entries(self, root: str, store: str) -> set[str] | None:
        """Return the names in which something changed in a root, or in the directory `store` in it; None for any."""
        if self.overflow:
            return None
        found: set[str] = set()
        for path, name in self.places:
            if path in (root, f"{root}/{store}"):
                if not name or (path, name) == (root, store):
                    return None
                found.add(name)
            elif path.startswith(f"{root}/{store}/"):
                found.add(path[len(f"{root}/{store}/") :].partition("/")[0])
        return found


class Drift:
    """Watches directories, not below them; says only where something changed, a look then tells what.

    `polling` is None while every directory is watched; else it says why a timed look has to do.
    """

    def __init__(self) -> None:
        self.polling: Problem | None = None
        self._watches: dict[int, set[str]] = {}
        self._numbers: dict[str, int] = {}
        self._renamed: set[str] = set()
        """What may be another directory than the one that is watched under this path."""
        self._dropped: set[str] = set()
        """Paths whose watch the kernel has ended, with its directory."""
        self._descriptor: int | None = None
        try:
            self._descriptor = calls.inotify_init()
        except OSError as error:
            self.polling = not_watched(error, "")

    def watch(self, paths: Iterable[str], *, again: bool = True) -> Changes:
        """Watch exactly these directories from now on; those that are not there are left out.

        Args:
            paths: the directories.
            again: ask for every path: a directory that was replaced by another one of its name gets its watch. Else
                only for those that are new, or whose name was taken away or given meanwhile.

        Returns:
            The directories with a new watch: whatever changed in them before was not noticed.
        """
        if self._descriptor is None:
            return Changes()
        self.polling = None if again else self.polling
        renamed, self._renamed = self._renamed, set()
        wanted = set(paths)
        asked = wanted if again else self._unsure(wanted, renamed)
        before = {number for path in asked if (number := self._forget(path)) is not None}
        for path in self._numbers.keys() - wanted:
            before.add(self._numbers[path])
            self._forget(path)
        new: set[str] = set()
        for path in asked:
            try:
                number = calls.inotify_add_watch(self._descriptor, path, _MASK)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    self.polling = not_watched(error, path)
                continue
            if number not in self._watches and number not in before:
                new.add(path)
            self._numbers[path] = number
            self._watches.setdefault(number, set()).add(path)
        for number in before - self._watches.keys():
            try:
                calls.inotify_remove_watch(self._descriptor, number)
            except OSError:
                continue  # The kernel dropped it with its directory.
        return Changes(frozenset((path, "") for path in new))

    def _unsure(self, wanted: set[str], renamed: set[str]) -> set[str]:
        """Return the paths that are new, or whose watch may be another directory's by now."""
        unsure = (wanted - self._numbers.keys()) | (wanted & self._dropped)
        self._dropped.clear()
        return unsure | {path for path in wanted if _is_in_one_of(path, renamed)} if renamed else unsure

    def _forget(self, path: str) -> int | None:
        number = self._numbers.pop(path, None)
        if number is not None and number in self._watches:
            self._watches[number].discard(path)
            if not self._watches[number]:
                del self._watches[number]
        return number

    def fileno(self) -> int | None:
        """Return the descriptor that is readable when something changed; None where only polling is left."""
        return self._descriptor

    def drain(self) -> Changes:
        """Take what was noticed, without waiting."""
        places: set[tuple[str, str]] = set()
        overflow = False
        while self._descriptor is not None:
            try:
                data = os.read(self._descriptor, _BUFFER)
            except BlockingIOError:
                break
            except InterruptedError:
                continue
            if not data:
                break
            overflow = self._take(data, places) or overflow
        return Changes(frozenset(places), overflow)

    def close(self) -> None:
        """Stop watching."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._watches, self._numbers = {}, {}

    def _take(self, data: bytes, places: set[tuple[str, str]]) -> bool:
        """Take some events; say whether the queue has overflowed."""
        overflow = False
        position = 0
        while position < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, position)
            position += _EVENT.size
            name = os.fsdecode(data[position : position + length].rstrip(b"\0"))
            position += length
            if mask & calls.IN_IGNORED:
                self._dropped |= self._watches.pop(number, set())  # The end of the directory, or our own removal.
                continue
            overflow = overflow or bool(mask & calls.IN_Q_OVERFLOW)
            for path in self._watches.get(number, ()):
                places.add((path, name))
                if mask & _RENAMED:
                    self._renamed.add(f"{path}/{name}")
        return overflow


def _is_in_one_of(path: str, places: Collection[str]) -> bool:
    """Say whether a path is one of these places, or below one."""
    while path:
        if path in places:
            return True
        path = path.rpartition("/")[0]
    return False


def not_watched(error: OSError, path: str) -> Problem:
    """Return the notice of a directory that can't be watched; with an empty path, of none that can."""
    number = error.errno or 0
    name = errno.errorcode.get(number, f"errno {number}")
    if number in (errno.EMFILE, errno.ENFILE, errno.ENOSPC):
        limit = "fs.inotify.max_user_watches" if number == errno.ENOSPC else "fs.inotify.max_user_instances"
        advice = f"raise {limit} on this node"
    else:
        advice = os.strerror(number)
    subject = f"can't watch {shown(path)}" if path else "can't watch for changes"
    message = f"{subject}: {name}; {advice}. Changes are found only by the periodic check"
    return Problem(Reason.NOT_WATCHED, message)
