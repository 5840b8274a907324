"""The store when it is interrupted: killed at every step, refused at every step, on a disk that is full."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from functools import partial

import pytest

from registry_trust.agent.store import linux_calls
from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.failures import failure
from registry_trust.agent.store.locked_store import StepOutcome
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import Layout
from registry_trust.core.reasons import Reason
from tools.torture.scenarios import SCENARIOS, Case, Template, after_restart, at_rest, quick_folder, target
from tools.trials.interruptions import Calls, interrupted, killed_at, refused_at
from tools.trials.roots import (
    CA_1,
    CA_2,
    LAYOUTS,
    NOTHING,
    Root,
    both,
    files_of,
    missing_for_mounts,
    names_below,
    unfinished_names,
    wanted,
)

MOST_POINTS = 100
ERRORS = [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EPERM]


@pytest.fixture
def place():
    with quick_folder() as folder:
        yield folder


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.value)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_killed_at_any_step_the_old_or_the_new_files_are_there_and_a_restart_converges(scenario, layout, place):
    """A crash of the process, not of the machine: what the kernel took stays."""
    template = Template(Case(scenario, layout), place / "template")
    for point in range(1, MOST_POINTS):
        root = template.copied_to(place / f"point-{point}")
        reached = killed_at(point, partial(root.bring, target(scenario), immediately=True))
        assert at_rest(root, scenario) == ""
        assert after_restart(root, template) == ""
        shutil.rmtree(root.path)
        if not reached:
            break
    assert scenario.points < point < MOST_POINTS


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_refused_at_any_step_the_last_good_files_stay_and_the_error_says_where_and_why(scenario, number, place):
    template = Template(Case(scenario, Layout.DOCKER), place / "template")
    said = 0
    for point in range(1, MOST_POINTS):
        root = template.copied_to(place / f"point-{point}")
        outcomes: list[StepOutcome] = []

        def bring(root: Root = root, outcomes: list[StepOutcome] = outcomes) -> None:
            outcomes.extend(root.bring(target(scenario)))

        reached = refused_at(point, number, bring)
        assert at_rest(root, scenario) == ""
        for outcome in outcomes:
            if outcome.error is not None:
                said += 1
                assert outcome.error.problem.reason is Reason.WRITE_FAILED
                assert f": {errno.errorcode[number]} (" in outcome.error.problem.message
                assert str(root.path) in outcome.error.problem.message
        if reached:
            assert len([name for name in unfinished_names(root.path) if ".new-" in name]) <= 1
        assert after_restart(root, template) == ""
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


def test_a_switch_that_was_not_made_durable_is_not_reported_until_it_is(tmp_path, monkeypatch):
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    sync, refused = Directory.sync, [True]

    def refuse(directory):
        if refused and directory.path == str(root.path):
            raise failure("make durable", directory.path, OSError(errno.EIO, os.strerror(errno.EIO)))
        sync(directory)

    monkeypatch.setattr(Directory, "sync", refuse)
    (outcome,) = root.bring(wanted(CA_2))
    assert "EIO" in outcome.error.problem.message
    for _ in range(3):
        assert root.read() == files_of(CA_2), "the link was switched: only its durability is not known"
        with pytest.raises(StoreFailure, match=r"make durable .*: EIO"):
            root.bring(wanted(CA_2))

    refused.clear()
    assert root.bring(wanted(CA_2)) == ()


def test_a_root_that_cant_be_made_durable_at_the_start_keeps_its_garbage_and_serves(tmp_path, monkeypatch):
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    root.bring_well(wanted(CA_2))

    def refuse(directory):
        raise failure("make durable", directory.path, OSError(errno.EROFS, os.strerror(errno.EROFS)))

    monkeypatch.setattr(Directory, "sync", refuse)
    assert root.restart().bring(wanted(CA_2), immediately=True) == ()

    assert len([path for path in root.folder().iterdir() if path.is_dir()]) == 2


def test_failing_again_and_again_takes_no_more_space(tmp_path, monkeypatch):
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    before = names_below(root.path)

    def refuse(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(linux_calls, "renameat2", refuse)
    for _ in range(5):
        (outcome,) = root.bring(wanted(CA_2))
        assert ": EPERM (" in outcome.error.problem.message
        assert names_below(root.path) == before


FULL_DISK = """
import sys
from pathlib import Path
from tools.trials.roots import CA_1, CA_2, PAIR_1, PAIR_2, ClientPair, Root, files_of, wanted
from tools.trials.roots import add_neighbours, neighbours, unfinished_names
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
told = outcome.error.problem.message
assert ": ENOSPC (" in told and "free space or inodes" in told, outcome.error
assert root.read() == files_of(CA_1, pairs=(PAIR_1,))
assert unfinished_names(root.path) == []
unfill()
root.bring_well(wanted(CA_2, pairs=(PAIR_2,)))
assert root.read() == files_of(CA_2, pairs=(PAIR_2,))
assert neighbours(root.path) == foreign
"""


@pytest.mark.parametrize("options", ["size=128k", "nr_inodes=40"], ids=["of-bytes", "of-inodes"])
def test_on_a_file_system_that_is_full_the_last_good_files_stay_until_there_is_room(options, tmp_path):
    in_a_mount_of_its_own(FULL_DISK, options, tmp_path)


FULL_FOR_LONG = """
import logging, sys
from pathlib import Path
from registry_trust.core.report import RowState
from tools.trials.roots import CA_1, OTHER, Root, files_of
from tools.torture.errors import AgentOnRoot
from tools.torture.scenarios import SCENARIOS, at_rest, prepared
logging.disable(logging.CRITICAL)
(rotation,) = [scenario for scenario in SCENARIOS if scenario.name == "rotate-pair"]
root = prepared(rotation, Root(Path(sys.argv[1])).layout, Path(sys.argv[1]))
filler = root.path / "filler.example"
filler.mkdir()
def fill():
    for number in range(10_000):
        try:
            (filler / str(number)).write_bytes(b"x" * 4096)
        except OSError:
            return
fill()
agent = AgentOnRoot(root, rotation)
began = agent.now
while agent.now < began + 300:
    rows = {row.registry: row for row in agent.turn().rows}
    failed = [row for row in rows.values() if row.state is RowState.FAILED]
    told = [row.problem.message for row in failed]
    assert [": ENOSPC (" in each and "free space or inodes" in each for each in told] == [True], rows
    assert root.read() == rotation.old and root.read(OTHER) == files_of(CA_1)
    assert rows[OTHER].state is RowState.CURRENT, rows
    fill()
assert agent.turns < 60, agent.turns
for path in filler.iterdir():
    path.unlink()
cured = agent.now
while any(row.state is RowState.FAILED for row in agent.turn().rows):
    assert agent.now - cured < 61
assert at_rest(root, rotation, done=True) == ""
"""


@pytest.mark.parametrize("options", ["size=256k", "nr_inodes=90"], ids=["of-bytes", "of-inodes"])
def test_an_agent_on_a_full_file_system_serves_what_it_has_never_loops_and_recovers_within_a_minute(options, tmp_path):
    in_a_mount_of_its_own(FULL_FOR_LONG, options, tmp_path)


READ_ONLY = """
import logging, subprocess, sys
from pathlib import Path
from registry_trust.core.report import RowState, TargetState
from tools.trials.roots import Root
from tools.torture.errors import AgentOnRoot
from tools.torture.scenarios import SCENARIOS, at_rest, prepared
logging.disable(logging.CRITICAL)
(rotation,) = [scenario for scenario in SCENARIOS if scenario.name == "rotate-pair"]
def remount(how):
    subprocess.run(["mount", "-o", f"remount,{how}", sys.argv[1]], check=True)
root = prepared(rotation, Root(Path(sys.argv[1])).layout, Path(sys.argv[1]))
remount("ro")
agent = AgentOnRoot(root, rotation)
began = agent.now
while agent.now < began + 300:
    result = agent.turn()
    (row,) = [row for row in result.rows if row.state is RowState.FAILED]
    told = row.problem.message
    assert ": EROFS (" in told and str(root.path) in told and "read-write" in told, row
    assert root.read() == rotation.old
assert agent.turns < 60, agent.turns
remount("rw")
cured = agent.now
while any(row.state is RowState.FAILED for row in agent.turn().rows):
    assert agent.now - cured < 61
assert all(row.state is not TargetState.FAILED for row in agent.turn().targets)
assert at_rest(root, rotation, done=True) == ""
remount("ro")
settled = AgentOnRoot(root, rotation)  # a new process on a disk that broke while everything was in place
result = settled.turn()
assert {row.state for row in result.rows} == {RowState.CURRENT}, result
assert {row.state for row in result.targets} == {TargetState.READ}, result
"""


def test_on_a_file_system_that_became_read_only_the_last_good_files_stay_until_it_is_writable(tmp_path):
    in_a_mount_of_its_own(READ_ONLY, "size=4m", tmp_path)


def in_a_mount_of_its_own(program, options, path):
    """Run a program in a mount namespace of its own, in which `path` is a tmpfs with these options."""
    if missing := missing_for_mounts():
        pytest.skip(missing)
    mount = f'mount -t tmpfs -o {options} tmpfs "$1" && exec "$2" -c "$3" "$1"'
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", str(path), sys.executable, program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
