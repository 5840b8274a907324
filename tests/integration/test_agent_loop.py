"""The agent's loop: what it met in one turn costs no other turn, no other root, no report and no signal."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from registry_trust.agent import loop
from registry_trust.agent.loop import RUNTIME_PATIENCE
from registry_trust.agent.options import Mount
from registry_trust.agent.store.garbage import Collected
from registry_trust.agent.store.locked_store import LockedStore
from registry_trust.core.layout import Layout
from registry_trust.core.report import RowState, TargetState
from tests.integration.looping_agent import HOST, Agent, Looping
from tools.trials.roots import CA_1

SECRET = "what an exception quotes"

OURS = ("registry_trust/agent", "registry_trust/core")
ABOVE = {"turn", "_breathe", "_unforeseen", "kind_of", "<genexpr>", "<lambda>"}
"""The boundary itself, and what it does with an exception."""


def functions_of(turn: Callable[[], None]) -> list[CodeType]:
    """Return every function of the agent that a turn calls, in the order of the first calls."""
    found: dict[CodeType, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and any(part in code.co_filename for part in OURS) and code.co_name not in ABOVE:
            found[code] = None

    sys.setprofile(note)
    try:
        turn()
    finally:
        sys.setprofile(None)
    return list(found)


@contextmanager
def failing(code: CodeType) -> Iterator[None]:
    """Let the first call of a function raise what nobody foresaw."""
    done: list[int] = []

    def trace(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is code and not done:
            done.append(1)
            raise RuntimeError(SECRET)

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)


def test_an_exception_in_any_function_of_a_turn_ends_nothing_and_is_never_quoted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "config.toml").write_text('version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n')

    def agent(name: str) -> Agent:
        folder = tmp_path / name
        folder.mkdir()
        made = Agent(
            folder,
            (Layout.DOCKER, Layout.CONTAINERS),
            (Mount("/etc/containerd", str(etc)), Mount("/etc/docker", str(etc))),
        )
        made.inbox.put_runtime("containerd://2.4.2")
        made.hear(2)
        return made

    with closing(agent("counted")) as counted:
        functions = functions_of(counted.turn)
    assert len(functions) > 100, "a turn has more functions than that"
    caplog.set_level(logging.INFO)
    survived = []
    for number, code in enumerate(functions):
        with closing(agent(str(number))) as met:
            with failing(code):
                met.turn()
            first = {row.state for row in met.report.targets} if met.told.reports else set()
            for _ in range(8):
                met.turn()
                explicit = [row.state for row in met.report.targets if row.path.startswith(str(tmp_path))]
                states = explicit, {row.state for row in met.report.registries}
                if states == ([TargetState.READ] * 2, {RowState.CURRENT}):
                    break
            name = f"{code.co_name} ({Path(code.co_filename).name})"
            assert states == ([TargetState.READ] * 2, {RowState.CURRENT}), f"{name}: {met.report}"
            assert all((root / HOST.format(1)).exists() for root in met.roots.values()), name
            survived.append(bool(first))

    assert SECRET not in caplog.text
    assert "RuntimeError in " in caplog.text
    assert sum(survived) > len(functions) / 2, "most faults cost not even the report of that turn"


def test_an_exception_in_one_root_leaves_the_other_roots_and_the_report(
    tmp_path: Path, looping: Looping, monkeypatch: Any
) -> None:
    agent = looping(tmp_path, (Layout.CONTAINERS, Layout.DOCKER))
    agent.hear(2)
    spoiled = str(agent.roots[Layout.CONTAINERS])
    collect = LockedStore.collect_garbage

    def fail(store: LockedStore, **options: Any) -> Collected:
        if store._path == spoiled:
            raise KeyError(SECRET)
        return collect(store, **options)

    monkeypatch.setattr(LockedStore, "collect_garbage", fail)
    agent.turn()

    rows = {row.path: row for row in agent.report.targets}
    assert rows[spoiled].state is TargetState.FAILED
    assert "unexpected KeyError in fail (test_agent_loop.py" in rows[spoiled].problem.message
    assert SECRET not in rows[spoiled].problem.message
    assert rows[str(agent.roots[Layout.DOCKER])].state is TargetState.READ
    assert (agent.roots[Layout.DOCKER] / HOST.format(1)).exists()


def test_a_bundle_on_which_this_version_fails_is_unreadable_and_files_stay(
    tmp_path: Path, looping: Looping, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = looping(tmp_path)
    agent.hear(2)
    agent.turn()
    assert agent.is_well(2)

    agent.hear(1)
    with monkeypatch.context() as fault:  # none is known that decoding lets through
        fault.setattr(loop, "desired_state", lambda *_: int("x"))
        agent.turn()

    said = [str(notice) for notice in agent.report.notices]
    assert any(text.startswith("BundleUnreadable: this version fails on it (") for text in said)
    assert (agent.roots[Layout.DOCKER] / HOST.format(1)).exists()
    agent.hear(1)
    agent.turn()
    assert agent.is_well(1)
    assert not (agent.roots[Layout.DOCKER] / HOST.format(1)).exists()


@pytest.mark.parametrize(
    "text",
    [
        "imports = ['/etc/containerd/\\u0000.toml']".replace("'", '"'),
        f"version = {'9' * 5000}",
        f"a = {'[' * 5000}{']' * 5000}",
        "\ufeff",
    ],
)
@pytest.mark.parametrize("name", ["config.toml", "daemon.json"])
def test_a_bad_file_of_a_runtime_is_unknown_and_what_does_not_need_it_goes_on(
    tmp_path: Path, looping: Looping, name: str, text: str
) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / name).write_text(text.replace("a = ", "") if name == "daemon.json" else text)
    agent = looping(tmp_path, configurations=(Mount("/etc/containerd", str(etc)), Mount("/etc/docker", str(etc))))
    agent.inbox.put_runtime("containerd://2.4.2")
    agent.hear(1)

    for _ in range(3):
        agent.turn()

    assert agent.health.failures == 0, "no turn failed"
    (row,) = [row for row in agent.report.targets if row.path == str(agent.roots[Layout.DOCKER])]
    assert row.state is TargetState.READ
    assert (agent.roots[Layout.DOCKER] / HOST.format(0) / "ca.crt").read_bytes() == CA_1


@pytest.mark.parametrize("kind", ["fifo", "large", "directory"])
def test_a_file_of_a_runtime_that_is_no_small_regular_file_is_refused_before_it_is_read(
    tmp_path: Path, looping: Looping, kind: str
) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    if kind == "fifo":
        os.mkfifo(etc / "config.toml")
    elif kind == "large":
        with (etc / "config.toml").open("wb") as file:
            file.truncate(1 << 40)
    else:
        (etc / "config.toml").mkdir()
    agent = looping(tmp_path, configurations=(Mount("/etc/containerd", str(etc)),))
    agent.inbox.put_runtime("containerd://2.4.2")
    agent.hear(1)

    agent.turn()

    said = " ".join(row.message for row in agent.report.targets)
    assert "/etc/containerd/config.toml" in said
    assert "is not a regular file" in said or "has more than 1048576 bytes" in said or "can't be read" in said
    assert (agent.roots[Layout.DOCKER] / HOST.format(0)).exists()


def test_a_node_whose_runtime_is_not_told_within_ten_seconds_gets_its_files(tmp_path: Path, looping: Looping) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    agent = looping(tmp_path, configurations=(Mount("/etc/containerd", str(etc)),))
    agent.hear(1)

    entry = agent.roots[Layout.DOCKER] / HOST.format(0)
    began = agent.clock()
    agent.turn()
    assert not entry.exists(), "the first seconds belong to the question which runtime this is"
    assert agent.clock() - began == RUNTIME_PATIENCE
    agent.turn()

    assert entry.exists()
    assert agent.report.runtime == ""
