"""Failures: a system call's errno in the words of an admin, with the path on the host and what to do."""

from __future__ import annotations

import errno
import os
from types import TracebackType

from registry_trust.core.errors import StoreFailure
from registry_trust.core.reasons import Reason
from registry_trust.core.text import escape
from registry_trust.process.unexpected import kind_of

PATH_LIMIT = 640
"""Characters of a path shown in a message; a root, an entry and a generation together stay below it."""

_RETRIED = "it is retried automatically"
_ADVICE = {
    errno.ENOSPC: "free space or inodes on that file system",
    errno.EDQUOT: "raise the quota of that file system",
    errno.EROFS: "mount that file system read-write",
    errno.EIO: "the disk reports errors, see the kernel log",
    errno.ENOENT: f"something removed it meanwhile, or it was never there; {_RETRIED}",
    errno.ENOTDIR: "registry-trust does not follow a symbolic link or a file here; move it away",
    errno.ELOOP: "registry-trust does not follow a symbolic link here; move it away",
    errno.EEXIST: f"something else made it meanwhile; {_RETRIED}",
    errno.ENOTEMPTY: "it holds files that registry-trust did not write; move them away",
    errno.EXDEV: "mount the root itself into the agent, not a directory inside it",
    errno.EBUSY: "it is a mount point; mount the root itself into the agent, not a directory inside it",
    errno.EMFILE: "the process has too many open files; raise its limit",
    errno.ENFILE: "the node has too many open files; raise fs.file-max",
    errno.ENAMETOOLONG: "that file system does not allow a name of this length",
    errno.ESTALE: "the network file system lost it; mount it again",
}


def shown(path: str) -> str:
    """Return a path as messages show it: printable ASCII."""
    return escape(path, PATH_LIMIT)


def failure(action: str, path: str, error: OSError) -> StoreFailure:
    """Return the error that says what was tried (`action`), where, how the system refused, and what to do."""
    number = error.errno or 0
    name = errno.errorcode.get(number, f"errno {number}")
    if number in (errno.EACCES, errno.EPERM):
        advice = f"uid {os.geteuid()} must own the directory, and SELinux or AppArmor must allow the write"
    else:
        advice = _ADVICE.get(number, _RETRIED)
    return StoreFailure(
        Reason.WRITE_FAILED, f"{action} {shown(path)}: {name} ({os.strerror(number) if number else error}); {advice}"
    )


def unexpected(subject: str, error: Exception) -> StoreFailure:
    """Return the failure of an entry or a root on which code of this project failed."""
    return StoreFailure(Reason.WRITE_FAILED, f"{shown(subject)}: unexpected {kind_of(error)}; {_RETRIED}")


class failing:  # noqa: N801 - it reads as a statement, like contextlib's own
    """Turn an OSError of the body into a `StoreFailure`; the OSError stays its cause.

    A class, because a pass over 1,000 registries enters it 20,000 times and a generator would take half of that time.
    """

    __slots__ = ("_action", "_path")

    def __init__(self, action: str, path: str) -> None:
        self._action = action
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise failure(self._action, self._path, error) from error
