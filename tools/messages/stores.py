"""Stores: what an agent says of files, by passes over a real directory, and of how the system refuses."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from registry_trust.agent.options import Mount
from registry_trust.agent.pacing import TOLERATED
from registry_trust.agent.passes import Passes, PassResult
from registry_trust.agent.rollback import Applied
from registry_trust.agent.runtime import candidates
from registry_trust.agent.store import drift, links
from registry_trust.agent.store.directories import Directory, Exchange
from registry_trust.agent.store.failures import failure, unexpected
from registry_trust.agent.store.manifest import Ownership
from registry_trust.agent.store.store import Store
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import STORE, Layout
from registry_trust.core.observed import Target
from registry_trust.core.problem import Problem
from tools.messages.cluster import REGISTRY
from tools.messages.nodes import REPLACING, WANTED

ROOT = "/etc/docker/certs.d"
APPLIED = Applied("uid", 9)
SOURCE = "registry-trust/registry-trust-bundle"
OFF = replace(WANTED, registries={})

ERRNOS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EEXIST),
    *(errno.ENOTEMPTY, errno.EXDEV, errno.EBUSY, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG, errno.ESTALE),
    *(errno.EACCES, errno.EINTR),
)
"""How the system may refuse; the last one stands for all that have no advice of their own."""


class Node:
    """An agent's passes over one root in a directory of its own."""

    def __init__(self, folder: Path, source: str = SOURCE) -> None:
        self.here = folder / "certs.d"
        self.here.mkdir(exist_ok=True)
        self.now = 1.0
        self.passes = Passes(
            (Mount(ROOT, str(self.here)),),
            (Mount("/etc/containers", str(folder / "containers")),),
            source=source,
            monotonic=lambda: self.now,
        )

    @property
    def entry(self) -> Path:
        return self.here / REGISTRY

    @property
    def store(self) -> Path:
        return self.here / STORE

    @property
    def folder(self) -> Path:
        return self.store / REGISTRY

    def bring(self, *chain: str, desired: object = WANTED) -> PassResult:
        target = Target(ROOT, Layout.DOCKER, (*chain, ROOT) if chain else ())
        return self.passes.apply((candidates.read(target),), desired, APPLIED, self.now)  # type: ignore[arg-type]

    def problems(self, *chain: str, desired: object = WANTED) -> Iterator[Problem]:
        result = self.bring(*chain, desired=desired)
        yield from (row.problem for row in result.rows if row.problem is not None)
        yield from (each.row.problem for each in result.candidates if each.row.problem is not None)
        yield from result.notices

    def looked(self) -> Iterator[Problem]:
        yield from (row.problem for row in self.passes.look()[1] if row.problem is not None)


def said() -> Iterator[Problem]:
    """Yield what is said of files in a root, and of the file system."""
    for make in (_written, _of_others, _replaced, _contested, _undone, _unknown, _chained, _locked, _altered):
        with tempfile.TemporaryDirectory() as folder:
            yield from make(Path(folder))
    for number in ERRNOS:
        yield failure("write", f"{ROOT}/{REGISTRY}", OSError(number, os.strerror(number))).problem
    yield unexpected(ROOT, ValueError()).problem
    yield from _of_rare_file_systems()
    for error, path in ((errno.ENOSPC, ROOT), (errno.EMFILE, ""), (errno.EIO, ROOT)):
        yield drift.not_watched(OSError(error, ""), path)


def _written(folder: Path) -> Iterator[Problem]:
    """Yield what is said while no bundle was received: of files in place, and of each way in which they may differ."""
    node = Node(folder)
    node.bring()
    yield from node.looked()
    generation = next(path for path in node.folder.iterdir() if path.is_dir())
    (generation / "ca.crt").write_bytes(b"other")
    yield from node.looked()
    (generation / "ca.crt").chmod(0o666)
    yield from node.looked()
    (generation / "ca.crt").unlink()
    yield from node.looked()
    (generation / "ca.crt").mkdir()
    yield from node.looked()
    (generation / "ca.crt").rename(generation / "added")
    yield from node.looked()
    node.folder.chmod(0o777)
    yield from node.looked()
    node.folder.chmod(0o755)
    generation.rename(folder / "generation")
    yield from node.looked()
    node.entry.unlink()
    yield from node.looked()


def _of_others(folder: Path) -> Iterator[Problem]:
    """Yield what is said of each kind of thing that another process put in the place of an entry, or into the store."""
    node = Node(folder)
    things: tuple[Callable[[Path], object], ...] = (
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b""),
        lambda path: path.symlink_to("/elsewhere"),
        lambda path: path.symlink_to("elsewhere"),
        os.mkfifo,
    )
    for thing in things:
        thing(node.entry)
        yield from node.problems()
        node.entry.rmdir() if node.entry.is_dir() else node.entry.unlink()
    node.entry.mkdir()
    (node.entry / "ca.crt").write_bytes(b"")
    yield from node.problems()
    (node.entry / "ca.crt").unlink()
    node.entry.rmdir()
    node.bring()
    (node.folder / "notes").write_bytes(b"")
    (node.store / "quay.example").mkdir()
    theirs = {**json.loads((node.folder / "owner.json").read_text()), "installation": "another", "entry": "quay"}
    (node.store / "quay").mkdir()
    (node.store / "quay" / "owner.json").write_text(json.dumps(theirs))
    yield from node.problems()


def _replaced(folder: Path) -> Iterator[Problem]:
    """Yield what is said of another process's directory that an entry replaced, and that can't go back."""
    node = Node(folder)
    node.entry.mkdir()
    yield from node.problems(desired=REPLACING)
    node.entry.unlink()
    node.entry.mkdir()
    yield from node.problems(desired=REPLACING)
    for _ in range(2):
        yield from node.problems(desired=OFF)


def _contested(folder: Path) -> Iterator[Problem]:
    """Yield what is said of a root that another installation writes."""
    Node(folder, "another/bundle").bring()
    yield from Node(folder).problems()


def _undone(folder: Path) -> Iterator[Problem]:
    """Yield what is said of an entry that somebody keeps removing."""
    node = Node(folder)
    for _ in range(TOLERATED + 3):
        node.bring()
        node.entry.unlink()
        node.now += 60
    yield from node.problems()


def _unknown(folder: Path) -> Iterator[Problem]:
    """Yield what is said of a store whose state can't be used."""
    for text in ("[", '{"format": 2}', "{}"):
        node = Node(folder)
        node.bring()
        (node.store / "state.json").write_text(text)
        yield from Node(folder).problems()
        (node.store / "state.json").unlink()
    (node.store / "state.json").mkdir()
    yield from Node(folder).problems()


def _chained(folder: Path) -> Iterator[Problem]:
    """Yield what is said of a root that is read as well and that is a symbolic link."""
    (folder / "containers").mkdir()
    (folder / "containers" / "certs.d").symlink_to("/elsewhere")
    yield from Node(folder).problems("/etc/containers/certs.d")


def _locked(folder: Path) -> Iterator[Problem]:
    """Yield what is said of a root that another process has."""
    Node(folder).bring()
    here = str(folder / "certs.d")
    try:
        with Store(here, shown_path=ROOT).lock(), Store(here, shown_path=ROOT, lock_wait=0.0).lock():
            pass
    except StoreFailure as error:
        yield error.problem


def _altered(folder: Path) -> Iterator[Problem]:
    """Yield what is said of an entry that is not as it was written directly after that, or not ours any more."""
    node = Node(folder)
    node.bring()
    generation = next(path for path in node.folder.iterdir() if path.is_dir())
    (generation / "ca.crt").write_bytes(b"other")
    with Store(str(node.here), shown_path=ROOT, source=SOURCE).lock() as store:
        if (error := store.verify(REGISTRY)) is not None:
            yield error.problem
    node.entry.unlink()
    node.entry.symlink_to("/elsewhere")
    with Store(str(node.here), shown_path=ROOT, source=SOURCE).lock() as store:
        if (error := store.verify(REGISTRY)) is not None:
            yield error.problem


class _Rare(Directory):
    """A directory of a file system that knows no exchange, or in which somebody is faster each time."""

    def exchange(self, name: str, target: Directory, other: str) -> Exchange:
        return Exchange.UNSUPPORTED

    def symlink(self, name: str, text: str) -> bool:
        return name != REGISTRY and super().symlink(name, text)


def _of_rare_file_systems() -> Iterator[Problem]:
    ownership = Ownership("installation", REGISTRY, REGISTRY, Layout.DOCKER.value, ())
    with tempfile.TemporaryDirectory() as folder, Directory.open_root(folder, ROOT) as opened:
        rare = _Rare(os.dup(opened.fileno()), ROOT)
        for replacing in (False, True):
            try:
                links.point(rare, opened, ownership, replace=replacing)
            except StoreFailure as error:
                yield error.problem
            Path(folder, REGISTRY).mkdir(exist_ok=True)
        rare.close()
