"""Configuration files of the runtimes: read through the mounted folders only, and watched for changes by their stat."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from registry_trust.agent import regular_file
from registry_trust.agent.options import Mount

SIZE_LIMIT = 1 << 20
"""Bytes of one configuration file."""

Signature = tuple[object, ...]


class UnreadableConfiguration(Exception):
    """A runtime's configuration that can't be read or understood; the text says which file, why and what to do."""


class ConfigurationFiles:
    """Reads files by their paths on the host. Remembers which ones were asked for, so that changes are noticed."""

    def __init__(self, mounts: Sequence[Mount]) -> None:
        self._mounts = sorted(mounts, key=lambda mount: -len(mount.host))
        self._asked: set[str] = set()
        self._patterns: set[str] = set()

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None where there is none.

        Raises:
            UnreadableConfiguration: the folder is not mounted, or the file can't be read.
        """
        if "\0" in path:
            raise UnreadableConfiguration(f"{path} can't be the path of a file")
        self._asked.add(path)
        here = self._here(path)
        if here is None:
            raise UnreadableConfiguration(f"{path} is not mounted into the agent; mount its folder (--runtime-config)")
        try:
            return regular_file.read(here, SIZE_LIMIT)
        except FileNotFoundError as error:
            if Path(here).is_symlink():
                raise UnreadableConfiguration(
                    f"{path} is a symbolic link to a folder that is not mounted into the agent; mount that one, too"
                ) from error
            return None
        except regular_file.Refused as error:
            raise UnreadableConfiguration(f"{path} {error}") from error
        except OSError as error:
            raise UnreadableConfiguration(f"{path} can't be read: {error.strerror}") from error

    def glob(self, pattern: str) -> list[str]:
        """Return the paths on the host that match, sorted.

        Raises:
            UnreadableConfiguration: the folder is not mounted.
        """
        if "\0" in pattern:
            raise UnreadableConfiguration(f"{pattern} can't be the path of a file")
        self._patterns.add(pattern)
        for mount in self._mounts:
            if pattern.startswith(mount.host + "/"):
                rest = pattern[len(mount.host) + 1 :]
                return sorted(f"{mount.host}/{name}" for name in glob.glob(rest, root_dir=mount.here))  # noqa: PTH207 (Path.glob has no counterpart of root_dir)
        raise UnreadableConfiguration(f"{pattern} is not mounted into the agent; mount its folder (--runtime-config)")

    def signature(self) -> Signature:
        """Return a value that changes when a file that was asked for changes, appears or goes."""
        paths = {*self._asked, *(path for pattern in self._patterns for path in self.glob(pattern))}
        return tuple((path, self._stat(path)) for path in sorted(paths))

    def newest(self) -> tuple[float, str]:
        """Return the newest time at which one of the files that were read was changed, and its path; 0 without any."""
        times = [(found[0] / 1e9, path) for path in self._asked if (found := self._stat(path)) is not None]
        return max(times, default=(0.0, ""))

    def _here(self, path: str) -> str | None:
        for mount in self._mounts:
            if path.startswith(mount.host + "/"):
                return mount.here + path[len(mount.host) :]
        return None

    def _stat(self, path: str) -> tuple[int, int, int] | None:
        here = self._here(path)
        try:
            status = Path(here).stat() if here is not None else None
        except OSError:
            return None
        return None if status is None else (status.st_mtime_ns, status.st_size, status.st_ino)
