"""Configuration files of the runtimes: read through mounted directories only, and watched for changes by their stat."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from registry_trust.agent import regular_file
from registry_trust.agent.options import Mount

SIZE_LIMIT = 1 << 20
"""Bytes of one configuration file."""
_MAXIMUM_LINKS = 40

Signature = tuple[object, ...]

Read = Callable[[str], bytes | None]
"""Returns a file's content by its path on the host, None where there is none."""
Glob = Callable[[str], list[str]]
"""Returns the paths on the host that match a pattern, sorted."""


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
            UnreadableConfiguration: the directory is not mounted, or the file can't be read.
        """
        if "\0" in path:
            raise UnreadableConfiguration(f"{path} can't be the path of a file")
        self._asked.add(path)
        here = self.place_of(path)
        try:
            return regular_file.read(here, SIZE_LIMIT)
        except FileNotFoundError:
            return None
        except regular_file.Refused as error:
            raise UnreadableConfiguration(f"{path} {error}") from error
        except OSError as error:
            raise UnreadableConfiguration(f"{path} can't be read: {error.strerror}") from error

    def glob(self, pattern: str) -> list[str]:
        """Return the paths on the host that match, in the order of Go's filepath.Glob, which finds hidden names, too.

        Raises:
            UnreadableConfiguration: the directory is not mounted, or the pattern has more than `*` and `?`.
        """
        if "\0" in pattern:
            raise UnreadableConfiguration(f"{pattern} can't be the path of a file")
        self._patterns.add(pattern)
        if set(pattern) & set("[]\\"):
            raise UnreadableConfiguration(f"{pattern} has brackets or backslashes; import files by * alone")
        found = [""]
        for part in pattern.strip("/").split("/"):
            known = [f"{folder}/{part}" for folder in found]
            found = (
                known
                if not set(part) & set("*?")
                else [each for folder in found for each in self._matches(folder, part)]
            )
        return [
            path
            for path in found
            if os.path.lexists(self.place_of(posixpath.dirname(path)) + "/" + posixpath.basename(path))
        ]

    def _matches(self, folder: str, part: str) -> list[str]:
        try:
            names = sorted(path.name for path in Path(self.place_of(folder)).iterdir())
        except OSError:  # Go's Glob says nothing of directories that it can't list
            return []
        shape = re.compile(re.escape(part).replace(r"\?", ".").replace(r"\*", ".*"), re.DOTALL)
        return [f"{folder}/{name}" for name in names if shape.fullmatch(name)]

    def signature(self) -> Signature:
        """Return a value that changes when a file that was asked for changes, appears or goes."""
        paths = {*self._asked, *(path for pattern in self._patterns for path in self.glob(pattern))}
        return tuple((path, self._stat(path)) for path in sorted(paths))

    def newest(self) -> tuple[float, str]:
        """Return the newest time at which one of the files that were read was changed, and its path; 0 without any."""
        times = [(found[0] / 1e9, path) for path in self._asked if (found := self._stat(path)) is not None]
        return max(times, default=(0.0, ""))

    def place_of(self, path: str) -> str:
        """Return where this process finds a path of the host, with links followed as they lead on the host.

        Raises:
            UnreadableConfiguration: the path, or where a link leads, is not mounted.
        """
        there = path
        for _ in range(_MAXIMUM_LINKS):
            mount = next((each for each in self._mounts if f"{there}/".startswith(f"{each.host}/")), None)
            if mount is None:
                leads = path if there == path else f"{path}, which leads to {there},"
                raise UnreadableConfiguration(
                    f"{leads} is not mounted into the agent; mount its directory (--runtime-config)"
                )
            parts = there[len(mount.host) :].split("/")[1:]
            for count in range(1, len(parts) + 1):
                part = "/".join(parts[:count])
                link = Path(f"{mount.here}/{part}")
                if link.is_symlink():
                    target = str(link.readlink())
                    rest = "/".join(parts[count:])
                    there = posixpath.normpath(posixpath.join(posixpath.dirname(f"{mount.host}/{part}"), target, rest))
                    break
            else:
                return "/".join([mount.here, *parts])
        raise UnreadableConfiguration(f"{path} leads in circles")

    def _stat(self, path: str) -> tuple[int, int, int] | None:
        try:
            status = Path(self.place_of(path)).stat()
        except (OSError, UnreadableConfiguration):
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
