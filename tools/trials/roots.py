"""Roots to try the store on: what is wanted of them, one pass over a folder, and the folder as a runtime reads it."""

from __future__ import annotations

import hashlib
import posixpath
import shutil
import stat
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from registry_trust.agent.store.garbage import Collected
from registry_trust.agent.store.locked_store import LockedStore, StepOutcome
from registry_trust.agent.store.observe import Observation
from registry_trust.agent.store.store import Store
from registry_trust.core.desired import Desired, DesiredRegistry
from registry_trust.core.layout import (
    STORE,
    ClientPair,
    Layout,
    Material,
    Reader,
    entry_name,
    lookup_names,
    possible_readers,
    replaced_name,
)
from registry_trust.core.observed import ObservedRoot, Target
from registry_trust.core.plan import Plan, Remove, make_plan
from registry_trust.core.problem import Problem

REGISTRY = "harbor.corp.example:5000"
OTHER = "other.corp.example"
LAYOUTS = list(Layout)

CA_1, CA_2 = b"the first CA\n", b"the second CA\n" * 40
PAIR_1 = ClientPair("client", b"the first certificate\n", b"the first key\n")
PAIR_2 = ClientPair("client", b"the second certificate\n", b"the second key\n" * 40)

NOTHING = Desired({})


def wanted(
    *cas: bytes,
    pairs: tuple[ClientPair, ...] = (),
    registry: str = REGISTRY,
    trusts: tuple[str, ...] = ("a",),
    replace: bool = False,
) -> Desired:
    return Desired({registry: DesiredRegistry(registry, tuple(trusts), Material(cas, pairs), replace)})


def both(first: Desired, second: Desired) -> Desired:
    return Desired({**first.registries, **second.registries})


@dataclass
class MovedClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Root:
    """A folder, the store on it, and a clock that only the test moves."""

    path: Path
    layout: Layout = Layout.DOCKER
    readers: tuple[Reader, ...] = ()
    clock: MovedClock = field(default_factory=MovedClock)

    def __post_init__(self) -> None:
        self.path.mkdir(exist_ok=True)
        self.restart()

    def restart(self) -> Root:
        self.store = Store(str(self.path), monotonic=self.clock)
        self.seen = Observation(ObservedRoot())
        self.collected = Collected(None, ())
        return self

    def plan(self, store: LockedStore, desired: Desired) -> Plan:
        self.seen = store.observe()
        return make_plan(
            Target(str(self.path), self.layout, readers=self.readers), desired, {str(self.path): self.seen.root}
        )

    def bring(self, desired: Desired, *, immediately: bool = False) -> tuple[StepOutcome, ...]:
        """One pass, as the agent does it."""
        with self.store.lock() as store:
            outcomes = store.apply(self.plan(store, desired).steps, self.layout)
            self.collected = store.collect_garbage(immediately=immediately)
        return outcomes

    def bring_well(self, desired: Desired, *, immediately: bool = False) -> tuple[StepOutcome, ...]:
        outcomes = self.bring(desired, immediately=immediately)
        assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
        return outcomes

    def observe(self) -> ObservedRoot:
        with self.store.lock() as store:
            self.seen = store.observe()
        return self.seen.root

    def findings(self) -> tuple[Problem, ...]:
        """Return what the last look and the last collection of garbage found."""
        return self.seen.findings + self.collected.findings

    def remove(self, entry: str) -> StepOutcome:
        with self.store.lock() as store:
            return store.apply([Remove(entry)], self.layout)[0]

    def read(self, registry: str = REGISTRY) -> dict[str, bytes] | None:
        return read_as_runtime(self.path, self.layout, registry)

    def entry(self, registry: str = REGISTRY) -> Path:
        return self.path / entry_name(self.layout, registry)

    def kept(self, registry: str = REGISTRY) -> Path:
        """Where something is that our entry replaced."""
        return self.path / replaced_name(self.entry(registry).name)

    def folder(self, registry: str = REGISTRY) -> Path:
        return self.path / STORE / self.entry(registry).name

    def generation(self, registry: str = REGISTRY) -> Path:
        return self.path / self.entry(registry).readlink()


def read_as_runtime(root: Path, layout: Layout, registry: str) -> dict[str, bytes] | None:
    """Return the files that a runtime would load by their names, None where it finds no directory.

    containerd joins the paths in `hosts.toml` with the directory's own path as text (hosts.go, makeAbsPath), so they
    never pass the entry's link.
    """
    for name in lookup_names(possible_readers(layout)[0], registry):
        directory = root / name
        if not directory.exists():
            continue
        if layout is Layout.CONTAINERD and (directory / "hosts.toml").is_file():
            document = tomllib.loads((directory / "hosts.toml").read_text())
            paths = [*document.get("ca", ()), *(path for pair in document.get("client", ()) for path in pair)]
            resolved = [Path(posixpath.normpath(posixpath.join(str(directory), path))) for path in paths]
            return {path.name: path.read_bytes() for path in resolved}
        return {path.name: path.read_bytes() for path in directory.iterdir()}
    return None


def files_of(*cas: bytes, pairs: tuple[ClientPair, ...] = ()) -> dict[str, bytes]:
    """Return what `read_as_runtime` gives for this content."""
    files = {"ca.crt": b"".join(cas)} if cas else {}
    for pair in pairs:
        files |= {f"{pair.name}.cert": pair.certificate, f"{pair.name}.key": pair.key}
    return files


def fingerprint(path: Path) -> dict[str, tuple[object, ...]]:
    """Return kind, mode, owner, time and content of everything below a path, but of locks; follows no link."""
    everything: dict[str, tuple[object, ...]] = {}
    for found in [path, *sorted(each for each in path.rglob("*") if ".lock" not in each.parts)]:
        status = found.lstat()
        content = str(found.readlink()) if found.is_symlink() else ""
        if stat.S_ISREG(status.st_mode):
            content = hashlib.sha256(found.read_bytes()).hexdigest()
        time = None if found == path else status.st_mtime_ns
        everything[str(found.relative_to(path))] = (status.st_mode, status.st_uid, status.st_gid, time, content)
    return everything


def names_below(path: Path) -> list[str]:
    return sorted(str(found.relative_to(path)) for found in path.rglob("*"))


def unfinished_names(path: Path) -> list[str]:
    return [
        name
        for name in names_below(path)
        if posixpath.basename(name).startswith((".new-", ".owner-", ".link-", ".state-"))
    ]


def add_neighbours(path: Path) -> None:
    """Put other people's files beside ours: a directory, a file, links that lead somewhere and nowhere, a mirror."""
    (path / "mirror.example").mkdir()
    (path / "mirror.example" / "hosts.toml").write_text('server = "https://mirror.example"\n')
    (path / "lonely.example").mkdir(mode=0o711)
    (path / "README").write_text("ours\n")
    (path / "elsewhere.example").symlink_to("/nowhere/at/all")
    (path / "relative.example").symlink_to("mirror.example")


THEIRS = b"their CA\n"
"""What `add_theirs` puts where our entry is to be."""


def add_theirs(root: Root) -> None:
    """Put a directory of another process where our entry is to be."""
    root.entry().mkdir(mode=0o750)
    (root.entry() / "ca.crt").write_bytes(THEIRS)
    (root.entry() / "ca.crt").chmod(0o640)


def neighbours(path: Path) -> dict[str, tuple[object, ...]]:
    """Return the fingerprint of all that `add_neighbours` and `add_theirs` made; of the latter wherever it is now."""
    found = fingerprint(path)
    tops = ("mirror.example", "lonely.example", "README", "elsewhere.example", "relative.example")
    mine = {name: value for name, value in found.items() if name.split("/")[0] in tops}
    for entry in {entry_name(layout, REGISTRY) for layout in Layout}:
        for place in (entry, replaced_name(entry)):
            if (path / place).is_dir() and not (path / place).is_symlink():
                mine |= {
                    f"theirs{name.removeprefix(place)}": value
                    for name, value in found.items()
                    if name.split("/")[0] == place
                }
    return mine


def missing_for_mounts() -> str:
    """Say what is missing to mount something in a namespace of its own; empty where nothing is."""
    if shutil.which("unshare") is None:
        return "needs unshare and mount (Debian: util-linux, mount)"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, timeout=10, check=False)
    return "" if tried.returncode == 0 else "needs root to mount in a namespace of its own: run `sudo make test`"


def copy(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, symlinks=True)
    return target
