"""The lock: one process at a time changes a root, and nobody who may not write there can keep it from that."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
import struct
import time
from collections.abc import Callable
from contextlib import suppress

from registry_trust.agent.store.directories import Directory, Exchange
from registry_trust.agent.store.failures import failing, shown
from registry_trust.agent.store.open_store import require_owner
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import PRIVATE_DIRECTORY, PRIVATE_FILE
from registry_trust.core.reasons import Reason

LOCK = ".lock"
"""The directory in a store that holds the lock file; nothing else is in it, and nobody watches it for drift."""

_FILE = "lock"
_TEMPORARY = re.compile(r"(?:new|old)-[0-9a-f]{16}")
_PAUSE = 0.05
"""Seconds between two tries."""

_STRUCT_FLOCK = "hhqqi0q"
"""struct flock of fcntl(2): type, whence, start, length, process; the last two q are its alignment."""


class Lock:
    """Holds a store for one process until it is closed, or until the process ends.

    It is a write lock of an open file description (fcntl(2), F_OFD_SETLK) on a file of mode 0600, and not flock(2):
    who can open a file for reading alone (uid 0 in a container that mounts the root read-only) can take flock(2)'s
    exclusive lock, but no write lock. A read lock, or a lease, is never one of ours: such a file is put aside and
    another one made.
    """

    def __init__(self) -> None:
        self._descriptor = -1

    @classmethod
    def take(
        cls, store: Directory, root: str, wait: float, monotonic: Callable[[], float], breathe: Callable[[], object]
    ) -> Lock:
        """Take the lock.

        Args:
            store: the store directory, open.
            root: the root's path, for messages.
            wait: seconds to wait for another process.
            monotonic: a clock in seconds.
            breathe: called between two tries; what it raises ends the waiting.

        Raises:
            StoreFailure: Contested, when the other process did not let go in time; WriteFailed.
        """
        deadline = monotonic() + wait
        lock = cls()  # Made first: a descriptor that nobody has would hold the lock for as long as the process lives.
        try:
            with _folder(store) as folder:
                while (descriptor := _try(folder)) is None and monotonic() < deadline:
                    breathe()
                    time.sleep(_PAUSE)
                if descriptor is not None:
                    lock._descriptor = descriptor
                    return lock
                path = folder.path_of(_FILE)
        except BaseException as error:
            lock.close()
            cause = error.__cause__
            if isinstance(error, StoreFailure) and isinstance(cause, OSError) and cause.errno == errno.EROFS:
                return lock  # Nobody can change anything in here, and each step will say so.
            raise
        raise StoreFailure(
            Reason.CONTESTED,
            f"{shown(root)} is locked by another process, and did not become free within {wait:g} s; are there two "
            f"agents on this node? This one keeps trying. To find the other one: fuser -v {shown(path)}",
        )

    def close(self) -> None:
        """Let go; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def last_sign(self) -> int:
        """Return when the last sign of life was left, in ns of the file system's clock; only its changes count."""
        return os.fstat(self._descriptor).st_mtime_ns if self._descriptor >= 0 else 0

    def leave_sign(self) -> None:
        """Leave a sign of life for those who wait for the store's owner to be gone."""
        if self._descriptor >= 0:
            with failing("touch", f"{LOCK}/{_FILE}"):
                os.utime(self._descriptor)


def remove(store: Directory) -> None:
    """Take the lock file and its directory away, which `is_only_ours`; whoever waits for it finds out by itself."""
    if store.look(LOCK) is None:
        return
    with _folder(store) as folder:
        for name in folder.names():
            if _is_name_of_ours(folder, name):
                folder.unlink(name)
    store.remove_directory(LOCK)


def is_only_ours(store: Directory) -> bool:
    """Say whether the lock's directory holds nothing but what is made here; true where there is none."""
    if store.look(LOCK) is None:
        return True
    with _folder(store) as folder:
        return all(_is_name_of_ours(folder, name) for name in folder.names())


def tidy(store: Directory) -> None:
    """Remove what processes that died while they took the lock left beside it; the lock is held."""
    if store.look(LOCK) is not None:
        with _folder(store) as folder:
            for name in folder.names():
                if name != _FILE and _is_name_of_ours(folder, name) and not _is_held(folder, name):
                    folder.unlink(name)


def _is_name_of_ours(folder: Directory, name: str) -> bool:
    """Say whether a name is one that is given here, to anything but a directory."""
    return (name == _FILE or bool(_TEMPORARY.fullmatch(name))) and not folder.holds_directory(name)


def _folder(store: Directory) -> Directory:
    if store.look(LOCK) is None:
        try:
            return store.make(LOCK, PRIVATE_DIRECTORY)
        except StoreFailure as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
    folder = store.open(LOCK)
    try:
        require_owner(folder)
        folder.set_mode(PRIVATE_DIRECTORY)
    except StoreFailure:
        folder.close()
        raise
    return folder


def _try(folder: Directory) -> int | None:
    """Return the descriptor of the lock file, locked; None if another process has it, or anything changed meanwhile."""
    status = folder.look(_FILE)
    if status is None:
        return _make(folder)
    if not _is_ours(status):
        _put_aside(folder, status)
        return None
    try:
        descriptor = folder.open_for_writing(_FILE)
    except StoreFailure as error:
        if isinstance(error.__cause__, BlockingIOError):
            return _replace(folder, status)  # A lease (F_SETLEASE): its holder could keep us for 45 seconds.
        raise
    if descriptor is None:
        return None
    locked = False
    try:
        if _lock(descriptor):
            now = os.fstat(descriptor)
            locked = _is_ours(now) and _is_same(folder.look(_FILE), now)
            return descriptor if locked else None
        return None if _has_writer(descriptor) else _replace(folder, os.fstat(descriptor))
    finally:
        if not locked:
            os.close(descriptor)


def _make(folder: Directory) -> int | None:
    """Make the lock file, and lock it before it has its name."""
    name = f"new-{secrets.token_hex(8)}"
    descriptor = folder.create_for_writing(name, PRIVATE_FILE)
    locked = False
    try:
        locked = _lock(descriptor) and folder.rename_to_free(name, folder, _FILE)
    finally:
        if not locked:
            os.close(descriptor)
            folder.unlink(name)
    return descriptor if locked else None


def _replace(folder: Directory, judged: os.stat_result) -> int | None:
    """Put a locked file of ours in the place of one that nobody seemed to hold; None if somebody does by now.

    The last look comes after the exchange: who took the old file's lock before it is seen then, and who takes it later
    finds that the file has lost its name. To rename first and look before would let both of us have the lock.
    """
    name = f"new-{secrets.token_hex(8)}"
    descriptor = folder.create_for_writing(name, PRIVATE_FILE)
    exchanged = locked = False
    try:
        if _lock(descriptor):
            done = folder.exchange(name, folder, _FILE)
            exchanged = done is Exchange.DONE
            if exchanged:
                locked = _is_same(folder.look(name), judged) and not _is_held(folder, name)
            elif done is Exchange.UNSUPPORTED:
                _put_aside(folder, judged)
    finally:
        try:
            if exchanged and not locked:
                folder.exchange(name, folder, _FILE)
        finally:
            if not locked:
                os.close(descriptor)
        with suppress(StoreFailure):  # What stays, `tidy` removes; a lock that is ours must not be lost for it.
            folder.unlink(name)
    return descriptor if locked else None


def _is_held(folder: Directory, name: str) -> bool:
    """Say whether a living process holds the write lock of a file in the directory, whatever its name is now."""
    status = folder.look(name)
    if status is None or not _is_ours(status):
        return False
    try:
        descriptor = folder.open_for_writing(name)
    except StoreFailure as error:
        if isinstance(error.__cause__, BlockingIOError):
            return False  # A lease: the kernel gives none on a file that somebody has open for writing.
        raise
    if descriptor is None:
        return False
    try:
        return _has_writer(descriptor)
    finally:
        os.close(descriptor)


def _put_aside(folder: Directory, judged: os.stat_result) -> None:
    """Remove the file that was judged to be no lock of ours; if another has its name by now, that one stays."""
    name = f"old-{secrets.token_hex(8)}"
    if not _is_same(folder.look(_FILE), judged) or not folder.rename_to_free(_FILE, folder, name):
        return
    if not _is_same(folder.look(name), judged):
        folder.rename_to_free(name, folder, _FILE)
    elif not stat.S_ISDIR(judged.st_mode):
        folder.unlink(name)


def _is_ours(status: os.stat_result) -> bool:
    good = stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == PRIVATE_FILE
    return good and status.st_uid == os.geteuid() and status.st_nlink == 1


def _is_same(status: os.stat_result | None, other: os.stat_result) -> bool:
    return status is not None and (status.st_dev, status.st_ino) == (other.st_dev, other.st_ino)


def _lock(descriptor: int) -> bool:
    request = struct.pack(_STRUCT_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    with failing("lock", f"{LOCK}/{_FILE}"):
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)
        except BlockingIOError:
            return False
    return True


def _has_writer(descriptor: int) -> bool:
    """Say whether somebody holds a write lock: only that one would keep a read lock from being taken."""
    request = struct.pack(_STRUCT_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    with failing("look at the lock of", f"{LOCK}/{_FILE}"):
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, request)
    return bool(struct.unpack(_STRUCT_FLOCK, answer)[0] != fcntl.F_UNLCK)
