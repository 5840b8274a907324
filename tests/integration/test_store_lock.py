"""Two processes on one root: they take turns, and one that waits too long says who has it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from functools import partialmethod

import pytest

from registry_trust.agent.store.store import Store
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import Layout
from registry_trust.core.plan import ObservedRoot
from registry_trust.core.reasons import Reason
from registry_trust.core.report import TargetState
from tests.integration.roots import CA_1, CA_2, PAIR_1, REGISTRY, Root, files_of, wanted
from tests.torture.errors import Agent
from tests.torture.scenarios import SCENARIOS, prepared

WRITER = """
import sys
from pathlib import Path
from tests.integration.roots import CA_1, CA_2, PAIR_1, Root, wanted
root = Root(Path(sys.argv[1]))
for number in range(40):
    root.bring_well(wanted(CA_1, bytes(sys.argv[2], "ascii") * (number + 1), pairs=(PAIR_1,)))
"""


def test_two_processes_on_one_root_take_turns_and_leave_whole_generations(tmp_path):
    path = tmp_path / "certs.d"
    path.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter], env=environment) for letter in ("x", "y")
    ]
    try:
        assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()

    root = Root(path)
    assert root.read() in (files_of(CA_1, b"x" * 40, pairs=(PAIR_1,)), files_of(CA_1, b"y" * 40, pairs=(PAIR_1,)))
    assert root.observe().own[REGISTRY].intact
    root.bring_well(wanted(CA_2), immediately=True)
    assert len([item for item in root.folder().iterdir() if item.is_dir()]) == 1


def test_a_root_that_another_process_keeps_is_given_up_after_a_while_and_the_holder_is_named(tmp_path):
    store = Store(str(tmp_path), lock_wait=0)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(StoreFailure) as caught, store.lock():
            pass
    finally:
        os.close(descriptor)

    assert caught.value.reason is Reason.CONTESTED
    assert f"process {os.getpid()}" in caught.value.message
    with store.lock():
        assert store.observe() == ObservedRoot()


def test_a_second_agent_waits_says_who_has_the_root_and_writes_once_it_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "__init__", partialmethod(Store.__init__, lock_wait=0))
    (rotation,) = [scenario for scenario in SCENARIOS if scenario.name == "rotate-pair"]
    root = prepared(rotation, Layout.DOCKER, tmp_path / "certs.d")
    agent = Agent(root, rotation)
    first = os.open(root.path, os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    try:
        (target,) = agent.turn().targets
        assert (target.state, target.reason) == (TargetState.FAILED, Reason.CONTESTED)
        assert f"process {os.getpid()}" in target.message
        assert root.read() == rotation.old
    finally:
        os.close(first)

    (target,) = agent.turn().targets

    assert target.state is TargetState.READ
    assert root.read() == rotation.new
