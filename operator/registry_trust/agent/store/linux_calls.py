"""The few Linux calls that Python's `os` lacks: renameat2(2) and inotify(7), by way of the C library."""

from __future__ import annotations

import ctypes
import errno
import os

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
"""Flags of renameat2(2), linux/fs.h."""

IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x1000000
IN_EXCL_UNLINK = 0x4000000
"""Flags of inotify(7), linux/inotify.h."""

_libc = ctypes.CDLL(None, use_errno=True)


def renameat2(source: int, name: str, target: int, new_name: str, flags: int) -> None:
    """Rename relative to two directory descriptors.

    Raises:
        OSError: as the call does; ENOSYS also where the C library has no such function (glibc before 2.28).
    """
    _call("renameat2", source, os.fsencode(name), target, os.fsencode(new_name), ctypes.c_uint(flags))


def inotify_init() -> int:
    """Return a new inotify descriptor, non-blocking and closed on exec."""
    return _call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)


def inotify_add_watch(descriptor: int, path: str, mask: int) -> int:
    """Watch a path; the same inode always gets the same watch number."""
    return _call("inotify_add_watch", descriptor, os.fsencode(path), ctypes.c_uint32(mask))


def inotify_remove_watch(descriptor: int, watch: int) -> None:
    """Stop watching."""
    _call("inotify_rm_watch", descriptor, watch)


def _call(name: str, *arguments: object) -> int:
    function = getattr(_libc, name, None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    result: int = function(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
