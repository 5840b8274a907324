"""Shows a certs.d root as a tree, and tells whether another process's directory is still exactly what it was."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path

STORE = ".registry-trust"


def tree(root: Path) -> Iterator[str]:
    """Yield one line for each name in a root: an entry with the files that a reader finds through its link."""
    names = sorted(path for path in root.iterdir() if path.name != STORE)
    for path in names:
        arrow = f" -> {path.readlink()}" if path.is_symlink() else "/"
        yield f"|-- {path.name}{arrow}"
        for file in sorted(path.iterdir()):
            status = file.stat()
            yield f"|   |-- {stat.filemode(status.st_mode)} {status.st_size:6}  {file.name}{_content(file)}"
    store = root / STORE
    if store.is_dir():
        yield f"`-- {STORE}/  (the agent's store: {_generations(store)})"
    elif not names:
        yield "(empty)"


def fingerprint(folder: Path) -> str:
    """Return one digest of names, types, modes, owners, inodes, times and bytes of a folder and all below it."""
    digest = hashlib.sha256()
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.lstat()
        facts = (status.st_mode, status.st_uid, status.st_gid, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        digest.update(f"{path}\0{facts}\0".encode())
        if stat.S_ISREG(status.st_mode):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def link_of(root: Path, entry: str) -> str:
    """Return what an entry's link says; empty where there is none."""
    try:
        return str((root / entry).readlink())
    except OSError:
        return ""


def _content(file: Path) -> str:
    if file.suffix in (".crt", ".cert"):
        count = file.read_bytes().count(b"BEGIN CERTIFICATE")
        return f"  ({count} certificate{'s' if count != 1 else ''})"
    return "  (private key)" if file.suffix == ".key" else ""


def _generations(store: Path) -> str:
    count = sum(path.is_dir() for entry in store.iterdir() if entry.is_dir() for path in entry.iterdir())
    return f"{count} generation{'s' if count != 1 else ''}"
