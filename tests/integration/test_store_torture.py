"""The torture in the size of a test: a spread sample of every part, and the proof that each part can see a fault.

In full: `make torture`.
"""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.entries import switch
from registry_trust.agent.store.links import point
from registry_trust.agent.store.manifest import StoreState
from registry_trust.agent.store.ownership import write_state
from registry_trust.core import plan
from registry_trust.core.layout import Layout, render
from registry_trust.core.report import RegistryRow, RowState
from tools.torture import traced
from tools.torture.crash import crash, enumerate_points
from tools.torture.errors import AgentOnRoot, errors
from tools.torture.neighbourhood import neighbourhood
from tools.torture.power import power_loss
from tools.torture.scenarios import CASES, UNINSTALL, Case, Template, quick_folder
from tools.trials.interruptions import Calls, interrupted

needs_strace = pytest.mark.skipif(bool(traced.missing()), reason=traced.missing() or "strace is here")
ROTATIONS = [case for case in CASES if case.scenario.name == "rotate-pair"]


@pytest.fixture
def place():
    with quick_folder() as folder:
        yield folder


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)  # the agent's own log of failures that are meant to be
    yield
    logging.disable(logging.NOTSET)


def figures_of(part):
    assert part.failures == []
    return part.count, part.numbers


# ---- crash -----------------------------------------------------------------------------------------------------------


@needs_strace
def test_killed_by_strace_at_a_sample_of_all_system_calls_nothing_is_torn(place):
    count, numbers = figures_of(crash(place, sample=12))

    assert numbers["points enumerated"] >= 400
    assert numbers["cases"] == len(CASES) >= 24
    assert count >= numbers["points enumerated"] // 12


@needs_strace
def test_a_writer_that_writes_the_readers_file_in_place_is_caught_by_the_kills(place, monkeypatch):
    """A writer of single files, such as everybody would write at first."""

    def in_place(store, step, layout):
        root = store.root
        if not Path(root.path_of(step.entry)).is_symlink():
            return switch(store, step, layout)
        directory = Path(root.path_of(step.entry)).readlink()
        with Directory.open_root(f"{root.path}/{directory}", root.path) as generation:
            for file in render(layout, step.desired.registry, step.desired.material, "0123456789abcdef-1"):
                generation.unlink(file.name)
                generation.create(file.name, file.data, file.mode)
        return ""

    monkeypatch.setattr("registry_trust.agent.store.locked_store.switch", in_place)
    monkeypatch.setattr("registry_trust.agent.store.locked_store.LockedStore.verify", lambda store, entry: None)
    monkeypatch.setattr("tools.torture.crash.CASES", ROTATIONS[:1])

    assert crash(place).numbers["torn at rest"] > 0


@needs_strace
def test_a_system_call_that_nobody_has_judged_is_no_silent_pass():
    with pytest.raises(AssertionError, match="nobody has judged"):
        traced.changing_calls("fallocate(3, 0, 0, 4096) = 0\n")


@needs_strace
def test_every_case_has_its_own_points(place):
    templates = {str(case): Template(case, place / case.layout.value) for case in CASES if case.scenario is UNINSTALL}

    points = enumerate_points(templates, place)

    assert all(len(calls) >= UNINSTALL.points for calls in points.values())


# ---- power loss ------------------------------------------------------------------------------------------------------


def test_after_a_power_loss_at_any_moment_nothing_is_torn(place):
    count, numbers = figures_of(power_loss(place, sample=15))

    assert count >= 500
    assert numbers["torn"] == 0


@pytest.mark.parametrize("case", [Case(scenario=ROTATIONS[0].scenario, layout=ROTATIONS[0].layout)], ids=str)
def test_the_model_of_a_power_loss_finds_what_a_missing_fsync_does(case, place):
    assert power_loss(place, cases=[case], sample=25, ignore_sync=True).numbers["torn"] > 0


def test_a_link_that_is_reported_before_it_is_durable_is_caught_by_the_model(place, monkeypatch):
    monkeypatch.setattr("registry_trust.agent.store.entries.point", point_without_sync)

    assert power_loss(place, cases=ROTATIONS[:1]).failed > 0


def point_without_sync(root, folder, ownership, *, replace):
    """Point, after which the root's names are never made durable."""
    point(root, folder, ownership, replace=replace)
    root.sync = lambda: None


# ---- errors ----------------------------------------------------------------------------------------------------------


def test_refused_at_a_sample_of_all_calls_the_last_good_files_stay_and_a_cure_is_seen(place):
    count, numbers = figures_of(errors(place, sample=80, lasting_sample=40))

    assert numbers["calls in all"] >= 600
    assert count >= 90
    assert "torn" not in numbers


@pytest.mark.parametrize("call", ["open", "write", "rename", "unlink"])
@pytest.mark.parametrize("case", [case for case in CASES if case.layout is Layout.CONTAINERD], ids=str)
def test_an_error_that_stays_is_no_hot_loop_although_each_failed_try_wakes_the_loop(case, call, place):
    def refuse(name):
        if name == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    agent = AgentOnRoot(Template(case, place / "root").root, case.scenario)
    busy = 0
    with interrupted(Calls(refuse, 1, lasting=True)) as calls:
        for turn in range(150):  # half a minute, woken five times a second
            agent.now, known = 1000 + turn / 5, len(calls.names)
            agent.turn()
            busy += bool(set(calls.names[known:]) - {"fsync", call})  # neither is an event that wakes anybody

    assert busy <= 30


def test_an_agent_that_swallowed_its_errors_is_caught(place, monkeypatch):
    monkeypatch.setattr(
        "registry_trust.agent.steps.RegistryRow", lambda registry, *_, **__: RegistryRow(registry, RowState.CURRENT)
    )
    monkeypatch.setattr("tools.torture.errors.CASES", ROTATIONS[:1])

    assert errors(place, sample=5, lasting_sample=1000).failed > 0


# ---- other people's files --------------------------------------------------------------------------------------------


def test_nothing_of_others_is_changed_or_hidden_whatever_happens_in_whatever_order():
    figures = neighbourhood(60)

    assert figures.failures == []
    assert figures.numbers["kills"] > 3  # 8 to 24: Hypothesis draws constants of the code, too.
    assert figures.numbers["changes of ours by others"] > 20
    assert figures.numbers["refusals at the end"] > 5


def test_a_plan_that_hides_what_is_read_is_caught(monkeypatch):
    monkeypatch.setattr(plan, "_conflict", lambda *_, **__: None)

    assert neighbourhood(400, shortest=False).failed > 0


def test_a_store_that_puts_nothing_back_is_caught(monkeypatch, place):
    monkeypatch.setattr("registry_trust.agent.store.links.is_kept", lambda *_: False)
    given_back = [case for case in CASES if case.scenario.name == "give-back"]
    monkeypatch.setattr("tools.torture.crash.CASES", given_back[:1])

    assert neighbourhood(600, shortest=False).failed > 0
    assert crash(place, sample=20).failed > 0


def test_a_pass_that_writes_every_time_is_caught(monkeypatch):
    monkeypatch.setattr("registry_trust.agent.store.locked_store.LockedStore.remember", remember_every_time)

    assert "made" in neighbourhood(5, shortest=False).failures[0]


def remember_every_time(store, uid, serial, writer=""):
    made = store._with_state()
    write_state(made.folder, StoreState(made.installation, uid, serial, writer=writer))
