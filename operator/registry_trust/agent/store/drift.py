"""Drift: notices at once that somebody changed a watched directory; one inotify instance, or polling without it."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable

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


class Drift:
    """Watches directories, not below them; says only that something changed, a look then tells what.

    `polling` is None while every directory is watched; else it says why a timed look has to do.
    """

    def __init__(self) -> None:
        self.polling: Problem | None = None
        self._watches: dict[int, str] = {}
        self._descriptor: int | None = None
        try:
            self._descriptor = calls.inotify_init()
        except OSError as error:
            self.polling = not_watched(error, "")

    def watch(self, paths: Iterable[str]) -> None:
        """Watch exactly these directories from now on; those that are not there are left out.

        Asked again for every path each time: a directory that was replaced by another one of its name gets its watch.
        """
        if self._descriptor is None:
            return
        self.polling = None
        watches: dict[int, str] = {}
        for path in paths:
            try:
                watches[calls.inotify_add_watch(self._descriptor, path, _MASK)] = path
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    self.polling = not_watched(error, path)
        for number in self._watches.keys() - watches.keys():
            try:
                calls.inotify_remove_watch(self._descriptor, number)
            except OSError:
                continue  # The kernel dropped it with its directory.
        self._watches = watches

    def fileno(self) -> int | None:
        """Return the descriptor that is readable when something changed; None where only polling is left."""
        return self._descriptor

    def drain(self) -> bool:
        """Take what was noticed, without waiting; say whether there was anything (an overflow counts)."""
        if self._descriptor is None:
            return False
        changed = False
        while True:
            try:
                data = os.read(self._descriptor, _BUFFER)
            except BlockingIOError:
                return changed
            except InterruptedError:
                continue
            if not data:
                return changed
            changed = self._take(data) or changed

    def close(self) -> None:
        """Stop watching."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._watches = {}

    def _take(self, data: bytes) -> bool:
        changed = False
        position = 0
        while position < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, position)
            position += _EVENT.size + length
            if mask & calls.IN_IGNORED:
                self._watches.pop(number, None)  # Our own removal, or the end of the directory (told before).
            elif mask & calls.IN_Q_OVERFLOW or number in self._watches:
                changed = True
        return changed


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
