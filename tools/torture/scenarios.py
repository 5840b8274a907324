"""Scenarios: passes from one content to another, what may be read at any moment of them, and what follows a restart."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry_trust.agent.single_pass import apply_once
from registry_trust.agent.store.manifest import OWNER_FILE
from registry_trust.core.desired import Desired
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import PRIVATE_FILE, STORE, ClientPair, Layout
from tools.trials.roots import (
    CA_1,
    CA_2,
    NOTHING,
    OTHER,
    PAIR_1,
    PAIR_2,
    REGISTRY,
    THEIRS,
    Root,
    add_neighbours,
    add_theirs,
    both,
    copy,
    files_of,
    fingerprint,
    neighbours,
    unfinished_names,
    wanted,
)

Files = dict[str, bytes] | None
"""What a runtime reads of a registry, by file name; None where it finds no directory."""

NEIGHBOUR = wanted(CA_1, registry=OTHER)
"""A second registry of ours, which is there before and after each scenario (but for an uninstallation)."""

RENEWED = ClientPair("client", b"the renewed certificate\n", PAIR_1.key)


@dataclass(frozen=True)
class Scenario:
    """A pass from one content to another; None reads as: the registry is not there."""

    name: str
    before: Desired | None
    after: Desired
    old: Files
    new: Files
    points: int = field(default=10)
    """Changing calls that it has at least."""
    edit: bool = False
    """Somebody edited our file: that content is the old one, and the edited file is theirs."""
    lost: bool = False
    """Another process took the manifest away."""
    uninstall: bool = False
    theirs: bool = False
    """Another process's directory stands where the entry is to be."""

    @property
    def stays(self) -> bool:
        """Say whether the entry is ours in the end."""
        return not self.uninstall and REGISTRY in self.after.registries

    def __str__(self) -> str:
        return self.name


PAIRED_1, PAIRED_2 = wanted(CA_1, pairs=(PAIR_1,)), wanted(CA_1, pairs=(PAIR_2,))
READ_1, READ_2 = files_of(CA_1, pairs=(PAIR_1,)), files_of(CA_1, pairs=(PAIR_2,))

SCENARIOS = [
    Scenario("first-ca", None, wanted(CA_1), None, files_of(CA_1), 25),
    Scenario("first-pair", None, PAIRED_1, None, READ_1, 30),
    Scenario("rotate-ca", wanted(CA_1), wanted(CA_2), files_of(CA_1), files_of(CA_2), 15),
    Scenario(
        "rotate-certificate",
        PAIRED_1,
        wanted(CA_1, pairs=(RENEWED,)),
        READ_1,
        files_of(CA_1, pairs=(RENEWED,)),
        20,
    ),
    Scenario("rotate-pair", PAIRED_1, PAIRED_2, READ_1, READ_2, 20),
    Scenario("add-pair", wanted(CA_1), PAIRED_1, files_of(CA_1), READ_1, 20),
    Scenario("drop-pair", PAIRED_1, wanted(CA_1), READ_1, files_of(CA_1), 15),
    Scenario("remove", PAIRED_1, NOTHING, READ_1, None, 12),
    Scenario("repair", wanted(CA_1), wanted(CA_1), {"ca.crt": b"edited"}, files_of(CA_1), 15, edit=True),
    Scenario("lost-manifest", PAIRED_1, PAIRED_1, READ_1, READ_1, 3, lost=True),
    Scenario(
        "lost-and-edited", wanted(CA_1), wanted(CA_1), {"ca.crt": b"edited"}, files_of(CA_1), 15, edit=True, lost=True
    ),
]
REPLACING = wanted(CA_1, pairs=(PAIR_1,), replace=True)
GIVEN_BACK = {"ca.crt": THEIRS}
SCENARIOS += [
    Scenario("replace", None, REPLACING, GIVEN_BACK, READ_1, 30, theirs=True),
    Scenario("give-back", REPLACING, NOTHING, READ_1, GIVEN_BACK, 12, theirs=True),
]
UNINSTALL = Scenario("uninstall", PAIRED_1, NOTHING, READ_1, None, 12, uninstall=True)


@dataclass(frozen=True)
class Case:
    """A scenario in a layout."""

    scenario: Scenario
    layout: Layout

    def __str__(self) -> str:
        return f"{self.scenario} ({self.layout.value})"


CASES = [Case(scenario, layout) for scenario in (*SCENARIOS, UNINSTALL) for layout in Layout]


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Yield a folder in memory where there is one: what survives a killed process does not depend on the disk."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="registry-trust-torture-") as folder:
        yield Path(folder)


def prepared(scenario: Scenario, layout: Layout, path: Path) -> Root:
    """Return a root with other people's files, another registry of ours and the scenario's content before."""
    root = Root(path, layout)
    add_neighbours(root.path)
    if scenario.theirs:
        add_theirs(root)
    if scenario.before is not None:
        root.bring_well(both(scenario.before, NEIGHBOUR))
    if scenario.edit:
        (root.generation() / "ca.crt").write_bytes(b"edited")
    if scenario.lost:
        (root.folder() / OWNER_FILE).unlink()
    return root


def target(scenario: Scenario) -> Desired:
    """Return everything that the root is to hold in the end."""
    return NOTHING if scenario.uninstall else both(scenario.after, NEIGHBOUR)


class Template:
    """A case made ready once, to be copied for each try."""

    def __init__(self, case: Case, path: Path) -> None:
        self.case = case
        self.root = prepared(case.scenario, case.layout, path)
        self.neighbours = neighbours(path)
        self.others = self._without_times(self.neighbours)

    @staticmethod
    def _without_times(found: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        return {name: (*value[:3], value[4]) for name, value in found.items()}

    def laid_out_anew(self, path: Path) -> str:
        """Take a copy's times for those to be kept; say whether it has everything of others, empty if so."""
        self.neighbours = neighbours(path)
        found = self._without_times(self.neighbours)
        lost = sorted(name for name in self.others if found.get(name) != self.others[name])
        return f"of somebody else's files these are lost or changed: {lost}" if lost else ""

    def copied_to(self, path: Path) -> Root:
        """Return a root that is a copy of it."""
        return Root(copy(self.root.path, path), self.case.layout)


def act(root: Root, scenario: Scenario) -> None:
    """Do what a process does in this scenario, garbage included."""
    if scenario.uninstall:
        done = apply_once(str(root.path), root.layout, NOTHING, remove=True)
        assert done.failures == (), done.failures
        return
    root.bring_well(target(scenario))
    root.bring_well(target(scenario), immediately=True)


def at_rest(root: Root, scenario: Scenario, *, done: bool = False) -> str:
    """Say what is torn while no process of ours runs; empty where nothing is.

    Args:
        root: the root as it was left.
        scenario: what was going on in it.
        done: the pass had reported success, so that only the new content will do.
    """
    try:
        read, other = root.read(), root.read(OTHER)
    except (OSError, ValueError) as error:
        return f"a runtime can't read the entry: {error!r}"
    if read not in ((scenario.new,) if done else (scenario.old, scenario.new)):
        return f"a runtime reads {_names(read)}, neither the old nor the new files"
    kept = files_of(CA_1)
    gone: list[Files] = [None] if scenario.before is None or scenario.uninstall else []
    expected: list[Files] = [*gone] if done and scenario.uninstall else [kept] if done else [kept, *gone]
    if other not in expected:
        return f"of the other registry a runtime reads {_names(other)}"
    for found in (root.path / STORE).rglob("*.key") if (root.path / STORE).exists() else ():
        mode = stat.S_IMODE(found.lstat().st_mode)
        if mode & ~PRIVATE_FILE:
            return f"{found.relative_to(root.path)} has mode {mode:04o}"
    return ""


def after_restart(root: Root, template: Template) -> str:
    """Let a new process make its pass; say what is not as it should be then, empty where everything is."""
    try:
        return _after_restart(root, template)
    except (AssertionError, OSError, StoreFailure) as error:
        return f"after the restart: {error!r}"


def _after_restart(root: Root, template: Template) -> str:
    scenario = template.case.scenario
    if scenario.uninstall:
        apply_once(str(root.path), root.layout, NOTHING, remove=True)
        left = fingerprint(root.path).keys() - template.neighbours.keys() - {"."}
        if left:
            return f"left after the removal: {sorted(left)}"
    else:
        outcomes = root.restart().bring(target(scenario))
        errors = [outcome.error.problem.message for outcome in outcomes if outcome.error is not None]
        if errors:
            return f"the first pass after the restart says {errors}"
        if left_over := unfinished_names(root.path):
            return f"temporary names after the restart: {left_over}"
        if fault := at_rest(root, scenario, done=True) or _after_garbage(root, scenario):
            return f"after the restart: {fault}"
    if neighbours(root.path) != template.neighbours:
        return "somebody else's files were changed"
    return ""


def _after_garbage(root: Root, scenario: Scenario) -> str:
    root.bring_well(target(scenario), immediately=True)
    entries = {OTHER, "state.json", ".lock"} | ({root.entry().name} if scenario.stays else set())
    found = {path.name for path in (root.path / STORE).iterdir()}
    if found != entries:
        return f"the store holds {sorted(found)}"
    if scenario.stays:
        generations = [path for path in root.folder().iterdir() if path.is_dir()]
        # An edited file is another process's now: it stays, and so does the generation around it.
        if len(generations) != (2 if scenario.edit else 1):
            return f"{len(generations)} generations are kept"
    if outcomes := root.bring(target(scenario)):
        return f"a second pass still has {len(outcomes)} steps"
    return ""


def _names(files: Files) -> str:
    return "no directory" if files is None else str({name: len(data) for name, data in files.items()})
