"""Directories: every file operation of the store, relative to an open descriptor and never through a symbolic link."""

from __future__ import annotations

import errno
import os
import stat
from enum import Enum
from types import TracebackType
from typing import Self

from registry_trust.agent.store import linux_calls
from registry_trust.agent.store.failures import failing
from registry_trust.core.errors import StoreFailure

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CLOSED = -2
"""In place of a descriptor; not -1, for which `os.listdir` lists the working directory."""
_FITS = len(".owner-0123456789abcdef")
"""Bytes of the store's own names, at most."""
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
"""What renameat2(2) says where the kernel or the file system knows no flags (NFS, some overlays)."""


class Exchange(Enum):
    """What came of an exchange."""

    DONE = "done"
    MISSING = "missing"
    """One of the two was not there any longer."""
    UNSUPPORTED = "unsupported"


class Directory:
    """An open directory; `path` is what messages call it.

    Every name is one component: a slash, `.` or `..` is refused before any call. All methods raise `StoreFailure` with
    errno and path where the system refuses, and `ValueError` for such a name.
    """

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self.path = path

    @classmethod
    def open_root(cls, path: str, shown_path: str) -> Directory:
        """Open a directory by its path; links on the way to it are the admin's and are followed."""
        with failing("open", shown_path):
            return cls(os.open(path, _DIRECTORY), shown_path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor >= 0:
            os.close(descriptor)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def path_of(self, name: str) -> str:
        """Return what messages call the thing of that name in here."""
        return f"{self.path}/{name}"

    # Looking

    def open(self, name: str) -> Directory:
        """Open a directory in here."""
        path = self._path(name)
        with failing("open", path):
            return Directory(os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._descriptor), path)

    def names(self) -> list[str]:
        """Return all names in here, sorted."""
        with failing("list", self.path):
            return sorted(os.listdir(self._descriptor))  # noqa: PTH208 - pathlib knows no descriptors

    def status(self) -> os.stat_result:
        """Return this directory's own attributes."""
        with failing("look at", self.path):
            return os.fstat(self._descriptor)

    def look(self, name: str) -> os.stat_result | None:
        """Return the attributes of what is there (of a link itself); None where nothing is.

        A name that is too long for the file system stands for nothing, so an entry can go although its longest affix
        does not fit. Where the store's own names fit, none as short as those is too long: then the system refused.
        """
        path = self._path(name)
        with failing("look at", path):
            try:
                return os.lstat(name, dir_fd=self._descriptor)
            except OSError as error:
                if error.errno == errno.ENOENT or (error.errno == errno.ENAMETOOLONG and len(name) > _FITS):
                    return None
                raise

    def holds_directory(self, name: str) -> bool:
        """Say whether a real directory (no link to one) has that name."""
        status = self.look(name)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def link_text(self, name: str) -> str | None:
        """Return what a symbolic link says; None where there is no link."""
        path = self._path(name)
        with failing("read the link", path):
            try:
                return os.readlink(name, dir_fd=self._descriptor)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINVAL):
                    return None
                raise

    def regular_file(self, name: str, limit: int) -> tuple[os.stat_result, bytes] | None:
        """Return attributes and at most `limit` bytes of a regular file; None where there is none."""
        path = self._path(name)
        status = self.look(name)
        if status is None or not stat.S_ISREG(status.st_mode):
            return None  # Never opened: a FIFO would wait, a device might act.
        with failing("read", path):
            try:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(name, flags, dir_fd=self._descriptor)
            except FileNotFoundError:
                return None
            try:
                return os.fstat(descriptor), _read(descriptor, limit)
            finally:
                os.close(descriptor)

    # Changing

    def open_for_writing(self, name: str) -> int | None:
        """Open a regular file without waiting for anybody, and return its descriptor; None if there is none."""
        path = self._path(name)
        with failing("open", path):
            flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                return os.open(name, flags, dir_fd=self._descriptor)
            except FileNotFoundError:
                return None

    def create_for_writing(self, name: str, mode: int) -> int:
        """Make a new, empty file of exactly this mode, and return its descriptor."""
        path = self._path(name)
        with failing("make", path):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, mode, dir_fd=self._descriptor)
            try:
                if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
                    os.fchmod(descriptor, mode)
            except OSError:
                os.close(descriptor)
                raise
            return descriptor

    def make(self, name: str, mode: int) -> Directory:
        """Make a directory of exactly this mode and open it."""
        path = self._path(name)
        with failing("make the directory", path):
            os.mkdir(name, mode & 0o700, dir_fd=self._descriptor)
            made = Directory(os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._descriptor), path)
        try:
            made.set_mode(mode)
        except StoreFailure:
            made.close()
            raise
        return made

    def set_mode(self, mode: int) -> None:
        """Give this directory a mode, if it has another one."""
        with failing("change the mode of", self.path):
            if stat.S_IMODE(os.fstat(self._descriptor).st_mode) != mode:
                os.fchmod(self._descriptor, mode)

    def create(self, name: str, data: bytes, mode: int) -> None:
        """Make a new file of exactly this mode before its first byte, and make its content durable."""
        path = self._path(name)
        with failing("write", path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, mode, dir_fd=self._descriptor)
            try:
                if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
                    os.fchmod(descriptor, mode)  # The umask, or a default ACL of the directory, made it another one.
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def sync(self) -> None:
        """Make the names in here durable."""
        with failing("make durable", self.path):
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                if error.errno != errno.EINVAL:  # A file system that has no such thing for directories.
                    raise

    def symlink(self, name: str, text: str) -> bool:
        """Make a symbolic link; False where something of that name is there already."""
        path = self._path(name)
        with failing("make the link", path):
            try:
                os.symlink(text, name, dir_fd=self._descriptor)
            except FileExistsError:
                return False
        return True

    def rename(self, name: str, target: Directory, new_name: str) -> None:
        """Rename, over a file or link that has the new name."""
        path, _ = self._path(name), target._path(new_name)
        with failing("rename", path):
            os.rename(name, new_name, src_dir_fd=self._descriptor, dst_dir_fd=target._descriptor)

    def rename_to_free(self, name: str, target: Directory, new_name: str) -> bool:
        """Rename to a name that nobody has; False where somebody has it."""
        path, _ = self._path(name), target._path(new_name)
        with failing("rename", path):
            try:
                linux_calls.renameat2(
                    self._descriptor, name, target._descriptor, new_name, linux_calls.RENAME_NOREPLACE
                )
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
                if target.look(new_name) is not None:
                    return False
                os.rename(name, new_name, src_dir_fd=self._descriptor, dst_dir_fd=target._descriptor)
        return True

    def exchange(self, name: str, target: Directory, other: str) -> Exchange:
        """Exchange what two names stand for, in one step."""
        path, _ = self._path(name), target._path(other)
        with failing("exchange", path):
            try:
                linux_calls.renameat2(self._descriptor, name, target._descriptor, other, linux_calls.RENAME_EXCHANGE)
            except FileNotFoundError:
                return Exchange.MISSING
            except OSError as error:
                if error.errno in _UNSUPPORTED:
                    return Exchange.UNSUPPORTED
                raise
        return Exchange.DONE

    def unlink(self, name: str) -> None:
        """Remove a file or a link; nothing there is as good."""
        path = self._path(name)
        with failing("remove", path):
            try:
                os.unlink(name, dir_fd=self._descriptor)
            except FileNotFoundError:
                return

    def remove_directory(self, name: str) -> None:
        """Remove an empty directory; nothing there is as good."""
        path = self._path(name)
        with failing("remove", path):
            try:
                os.rmdir(name, dir_fd=self._descriptor)
            except FileNotFoundError:
                return

    def _path(self, name: str) -> str:
        if not name or name in (".", "..") or "/" in name or "\0" in name:
            raise ValueError(f"not the name of a file in a directory: {name!a}")
        return f"{self.path}/{name}"


def _read(descriptor: int, limit: int) -> bytes:
    parts: list[bytes] = []
    while limit > 0 and (part := os.read(descriptor, limit)):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)
