"""The files of a node: at `/`, or where its file system was mounted or copied to; every link stays inside."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from pathlib import Path

from registry_trust.agent import regular_file
from registry_trust.cli.importing.found import Text
from registry_trust.core.text import escape

FILE_LIMIT = 1024 * 1024
"""Bytes of one file of certificates; the operator reads 330,000 of a source."""

ENTRIES_LIMIT = 10_000
"""Names in one directory."""

_LINKS_LIMIT = 40
"""Links that lead to one file, as in Linux."""


class Unreadable(Exception):
    """A file or directory that can't be read; the text is printable, and says which and why."""


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """Reads by the paths that the node itself uses; `root` is where its `/` is here."""

    root: str = "/"

    def read(self, path: str, limit: int = FILE_LIMIT) -> bytes:
        """Return the content of a regular file.

        Raises:
            Unreadable: it is missing, forbidden, too large, or not a regular file.
        """
        try:
            return regular_file.read(self._here(path), limit)
        except regular_file.Refused as error:
            raise Unreadable(f"{escape(path)} {error}") from None
        except (OSError, ValueError) as error:
            raise Unreadable(f"{escape(path)} can't be read: {_why(error)}") from None

    def text(self, path: str) -> Text:
        """Return the content of a file of certificates or of a key, with its place.

        Raises:
            Unreadable: as `read`.
        """
        return Text(escape(path), self.read(path))

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted as Go's `os.ReadDir` sorts them.

        Raises:
            Unreadable: it can't be listed, or has too many names.
        """
        try:
            with os.scandir(self._here(path)) as entries:
                found = [entry.name for entry, _ in zip(entries, range(ENTRIES_LIMIT + 1), strict=False)]
        except (OSError, ValueError) as error:
            raise Unreadable(f"{escape(path)} can't be read: {_why(error)}") from None
        if len(found) > ENTRIES_LIMIT:
            raise Unreadable(f"{escape(path)} has more than {ENTRIES_LIMIT} entries")
        return sorted(found, key=os.fsencode)

    def is_directory(self, path: str) -> bool:
        """Say whether a path leads to a directory."""
        try:
            return Path(self._here(path)).is_dir()
        except (OSError, ValueError):
            return False

    def exists(self, path: str) -> bool:
        """Say whether anything that can be reached has this path."""
        try:
            return Path(self._here(path)).exists()
        except (OSError, ValueError):
            return False

    def link(self, path: str) -> str:
        """Return what a link says, or nothing where there is no link."""
        try:
            parent, name = posixpath.split(path)
            return str(Path(self._here(parent), name).readlink())
        except (OSError, ValueError):
            return ""

    def _here(self, path: str) -> str:
        """Return where a path of the node is here; absolute links begin at the node's root, as they do there."""
        if self.root == "/":
            return path
        waiting = [part for part in reversed(path.split("/")) if part]
        inside: list[str] = []
        links = 0
        while waiting:
            part = waiting.pop()
            if part == ".." and inside:
                inside.pop()
            if part in (".", ".."):
                continue
            here = Path(self.root, *inside, part)
            if not here.is_symlink():
                inside.append(part)
                continue
            links += 1
            if links > _LINKS_LIMIT:
                raise OSError("too many links")
            target = str(here.readlink())
            inside = [] if target.startswith("/") else inside
            waiting += [each for each in reversed(target.split("/")) if each]
        return "/".join([self.root, *inside])


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or escape(str(error)) or type(error).__name__
