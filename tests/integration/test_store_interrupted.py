"""The store when it is interrupted: killed at every step, refused at every step, on a disk that is full."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from registry_trust.agent import linux_calls
from registry_trust.core.desired import Desired
from registry_trust.core.layout import PRIVATE_FILE, STORE, Layout
from registry_trust.core.reasons import Reason
from tests.integration.interruptions import Calls, interrupted, killed_at, refused_at
from tests.integration.roots import (
    CA_1,
    CA_2,
    LAYOUTS,
    NOTHING,
    OTHER,
    PAIR_1,
    PAIR_2,
    Root,
    add_neighbours,
    both,
    copy,
    files_of,
    missing_for_mounts,
    names_below,
    neighbours,
    unfinished_names,
    wanted,
)

MOST_POINTS = 100


@dataclass(frozen=True)
class Scenario:
    """A pass from one content to another; None reads as: the registry is not there."""

    name: str
    before: Desired | None
    after: Desired
    old: dict[str, bytes] | None
    new: dict[str, bytes] | None
    points: int = field(default=10)
    edit: bool = False

    def __str__(self) -> str:
        return self.name


SCENARIOS = [
    Scenario("first-ca", None, wanted(CA_1), None, files_of(CA_1), 25),
    Scenario("first-pair", None, wanted(CA_1, pairs=(PAIR_1,)), None, files_of(CA_1, pairs=(PAIR_1,)), 30),
    Scenario("rotate-ca", wanted(CA_1), wanted(CA_2), files_of(CA_1), files_of(CA_2), 15),
    Scenario(
        "rotate-pair",
        wanted(CA_1, pairs=(PAIR_1,)),
        wanted(CA_1, pairs=(PAIR_2,)),
        files_of(CA_1, pairs=(PAIR_1,)),
        files_of(CA_1, pairs=(PAIR_2,)),
        20,
    ),
    Scenario(
        "add-pair", wanted(CA_1), wanted(CA_1, pairs=(PAIR_1,)), files_of(CA_1), files_of(CA_1, pairs=(PAIR_1,)), 20
    ),
    Scenario(
        "drop-pair", wanted(CA_1, pairs=(PAIR_1,)), wanted(CA_1), files_of(CA_1, pairs=(PAIR_1,)), files_of(CA_1), 15
    ),
    Scenario("remove", wanted(CA_1, pairs=(PAIR_1,)), NOTHING, files_of(CA_1, pairs=(PAIR_1,)), None, 12),
    Scenario("repair", wanted(CA_1), wanted(CA_1), {"ca.crt": b"edited"}, files_of(CA_1), 15, edit=True),
]

ERRORS = [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EPERM]


@pytest.fixture
def place(tmp_path):
    """A folder in memory where there is one: what survives a killed process does not depend on the disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def prepared(scenario: Scenario, layout: Layout, path: Path) -> Root:
    """Return a root with other people's files, another registry of ours and the scenario's content before."""
    root = Root(path, layout)
    add_neighbours(root.path)
    if scenario.before is not None:
        root.bring_well(both(scenario.before, wanted(CA_1, registry=OTHER)))
    if scenario.edit:
        (root.generation() / "ca.crt").write_bytes(b"edited")
    return root


def target(scenario: Scenario) -> Desired:
    return both(scenario.after, wanted(CA_1, registry=OTHER))


def expect_old_or_new(root: Root, scenario: Scenario) -> None:
    assert root.read() in (scenario.old, scenario.new)
    for found in (root.path / STORE).rglob("*") if (root.path / STORE).exists() else ():
        if found.suffix == ".key":
            assert stat.S_IMODE(found.lstat().st_mode) == PRIVATE_FILE


def expect_converged(root: Root, scenario: Scenario, foreign: dict[str, tuple]) -> None:
    root.restart().bring_well(target(scenario))
    root.bring_well(target(scenario), immediately=True)
    assert root.read() == scenario.new
    assert root.read(OTHER) == files_of(CA_1)
    assert unfinished_names(root.path) == []
    assert neighbours(root.path) == foreign
    entries = {OTHER} | ({root.entry().name} if scenario.new is not None else set())
    assert {path.name for path in (root.path / STORE).iterdir()} == entries | {"state.json"}
    if scenario.new is not None:
        generations = [path for path in root.folder().iterdir() if path.is_dir()]
        # The edited file is somebody else's now: it stays, and so does the generation around it.
        assert len(generations) == (2 if scenario.edit else 1)
    assert root.bring(target(scenario)) == ()


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.value)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_killed_at_any_step_the_old_or_the_new_files_are_there_and_a_restart_converges(scenario, layout, place):
    """A crash of the process, not of the machine: what the kernel took stays."""
    template = prepared(scenario, layout, place / "template")
    foreign = neighbours(template.path)
    for point in range(1, MOST_POINTS):
        root = Root(copy(template.path, place / f"point-{point}"), layout)
        reached = killed_at(point, lambda root=root: root.bring(target(scenario), immediately=True))
        expect_old_or_new(root, scenario)
        expect_converged(root, scenario, foreign)
        shutil.rmtree(root.path)
        if not reached:
            break
    assert scenario.points < point < MOST_POINTS


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_refused_at_any_step_the_last_good_files_stay_and_the_error_says_where_and_why(scenario, number, place):
    template = prepared(scenario, Layout.DOCKER, place / "template")
    foreign = neighbours(template.path)
    said = 0
    for point in range(1, MOST_POINTS):
        root = Root(copy(template.path, place / f"point-{point}"))
        outcomes = []
        reached = refused_at(
            point, number, lambda root=root, outcomes=outcomes: outcomes.extend(root.bring(target(scenario)))
        )
        expect_old_or_new(root, scenario)
        for outcome in outcomes:
            if outcome.error is not None:
                said += 1
                assert outcome.error.reason is Reason.WRITE_FAILED
                assert f": {errno.errorcode[number]} (" in outcome.error.message
                assert str(root.path) in outcome.error.message
        if reached:
            assert len([name for name in unfinished_names(root.path) if ".new-" in name]) <= 1
        expect_converged(root, scenario, foreign)
        shutil.rmtree(root.path)
        if not reached:
            break
    assert said >= scenario.points // 2
    assert point < MOST_POINTS


def test_an_error_of_one_registry_never_stops_the_others(tmp_path):
    root = Root(tmp_path / "certs.d")
    desired = both(
        wanted(CA_1, registry="a.example"), both(wanted(CA_1, registry="b.example"), wanted(CA_1, registry="c.example"))
    )
    root.bring_well(NOTHING)
    with interrupted(Calls(lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "")), 20)):
        outcomes = root.bring(desired)

    failed = [outcome.step.entry for outcome in outcomes if outcome.error is not None]
    assert len(failed) == 1
    assert {name for name in ("a.example", "b.example", "c.example") if root.read(name) == files_of(CA_1)} == {
        "a.example",
        "b.example",
        "c.example",
    } - set(failed)


def test_failing_again_and_again_takes_no_more_space(tmp_path, monkeypatch):
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    before = names_below(root.path)

    def refuse(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(linux_calls, "renameat2", refuse)
    for _ in range(5):
        (outcome,) = root.bring(wanted(CA_2))
        assert ": EPERM (" in outcome.error.message
        assert names_below(root.path) == before


FULL_DISK = """
import sys
from pathlib import Path
from tests.integration.roots import CA_1, CA_2, PAIR_1, PAIR_2, ClientPair, Root, files_of, wanted
from tests.integration.roots import add_neighbours, neighbours, unfinished_names
root = Root(Path(sys.argv[1]))
add_neighbours(root.path)
root.bring_well(wanted(CA_1, pairs=(PAIR_1,)))
foreign = neighbours(root.path)
def fill():
    for number in range(10_000):
        try:
            (root.path / f"filler-{number}").write_bytes(b"x" * 4096)
        except OSError:
            return
def unfill():
    for path in root.path.glob("filler-*"):
        path.unlink()
fill()
big = ClientPair("client", b"c" * 20_000, b"k" * 20_000)
(outcome,) = root.bring(wanted(CA_2, pairs=(big,)))
assert ": ENOSPC (" in outcome.error.message and "free space or inodes" in outcome.error.message, outcome.error
assert root.read() == files_of(CA_1, pairs=(PAIR_1,))
assert unfinished_names(root.path) == []
unfill()
root.bring_well(wanted(CA_2, pairs=(PAIR_2,)))
assert root.read() == files_of(CA_2, pairs=(PAIR_2,))
assert neighbours(root.path) == foreign
"""


@pytest.mark.parametrize("options", ["size=128k", "nr_inodes=40"], ids=["of-bytes", "of-inodes"])
def test_on_a_file_system_that_is_full_the_last_good_files_stay_until_there_is_room(options, tmp_path):
    if missing := missing_for_mounts():
        pytest.skip(missing)
    mount = f'mount -t tmpfs -o {options} tmpfs "$1" && exec "$2" -c "$3" "$1"'
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", str(tmp_path), sys.executable, FULL_DISK],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
