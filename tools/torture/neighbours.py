"""Neighbours: what a reader takes of a place, and everything of another process's file that must not change."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from registry_trust.core.layout import STORE, Layout, lookup_names, possible_readers

Attributes = tuple[object, ...]
"""What `attributes` returns."""

Reading = tuple[Path, dict[str, bytes]]
"""The directory that a reader chooses, and the files in it that it would load."""


def looked_up(layout: Layout, registry: str) -> tuple[str, ...]:
    """Return the names that the layout's usual reader looks for; dockerd's is that of its classic store."""
    return lookup_names(possible_readers(layout)[0], registry)


def chosen(layout: Layout, chain: tuple[Path, ...], registry: str) -> Reading | None:
    """Port of the three lookups: the first root and name at which anything exists, links followed; then its files.

    docker: one root, one name. containers-image: the first root that has the name. containerd: in each root the three
    names; `hosts.toml` counts where it has a byte.
    """
    for root in chain:
        for name in looked_up(layout, registry):
            directory = root / name
            if not directory.exists():
                continue
            found = sorted(directory.iterdir()) if directory.is_dir() else []
            return directory, {
                path.name: path.read_bytes()
                for path in found
                if path.is_file() and (path.suffix in (".crt", ".cert", ".key") or path.name == "hosts.toml")
                if path.name != "hosts.toml" or path.stat().st_size
            }
    return None


def attributes(path: Path) -> Attributes:
    """Return everything that must not change of another process's file or directory, and of all below it."""
    status = path.lstat()
    content: object = b""
    if stat.S_ISLNK(status.st_mode):
        content = path.readlink()
    elif stat.S_ISREG(status.st_mode):
        content = path.read_bytes()
    elif stat.S_ISDIR(status.st_mode):
        content = tuple((found.name, attributes(found)) for found in sorted(path.iterdir()))
    names = [] if stat.S_ISLNK(status.st_mode) else sorted(os.listxattr(path))
    extended = tuple((name, os.getxattr(path, name)) for name in names)
    return (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_nlink, extended, content)


def follow(known: dict[Path, Attributes], theirs: set[Path], old: Path, new: Path) -> bool:
    """Take something of another process for moved where it is not at one place any more and at another now.

    Args:
        known: what is known of everything of others, by the path that it had; that of what moved is changed.
        theirs: the paths of everything of others, likewise.
        old: where it was.
        new: where it may be now, and nothing of others was.
    """
    if old not in known or new in known or not os.path.lexists(new):
        return False
    if os.path.lexists(old) and attributes(old) == known[old]:
        return False
    for path in [path for path in known if path.is_relative_to(old)]:
        moved = new / path.relative_to(old)
        theirs.discard(path)
        theirs.add(moved)
        known[moved] = known.pop(path)
    return True


def keys_below(roots: tuple[Path, ...]) -> Iterator[Path]:
    """Yield every private key in the stores of these roots."""
    for root in roots:
        yield from (root / STORE).rglob("*.key")


def mark(path: Path) -> None:
    """Give a file an extended attribute, where the file system knows them, and a time of its own."""
    with suppress(OSError):
        os.setxattr(path, "user.origin", b"theirs")
    os.utime(path, ns=(10**18, 10**18))
