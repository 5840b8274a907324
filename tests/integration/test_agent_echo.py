"""The agent's own writes wake it, and cost it a look at what they changed; what others do meanwhile is not missed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry_trust.agent.passes import Passes, PassResult
from registry_trust.core.layout import STORE, Layout
from tests.integration.looping_agent import HOST, Agent, Looping
from tools.trials.roots import CA_1


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the whole passes."""
    made: list[int] = []
    apply = Passes.apply

    def counted(*given: Any) -> PassResult:
        made.append(1)
        return apply(*given)

    monkeypatch.setattr(Passes, "apply", counted)
    return made


def at_rest(looping: Looping, tmp_path: Path) -> Agent:
    """Return an agent that has written everything and has looked at what it wrote."""
    agent = looping(tmp_path)
    agent.hear(3)
    for _ in range(3):
        agent.turn()
    return agent


def test_its_own_writes_ask_for_no_second_pass(looping: Looping, tmp_path: Path, passes: list[int]) -> None:
    agent = at_rest(looping, tmp_path)
    passes.clear()
    agent.hear(4, since=1)
    assert agent.loop.turn() > 0
    assert len(passes) == 1

    for _ in range(3):
        assert agent.loop.turn() > 0

    assert len(passes) == 1
    assert agent.is_well(4)


CHANGED_BY_OTHERS: dict[str, Callable[[Path], object]] = {
    "a file": lambda root: (root / HOST.format(3) / "ca.crt").write_bytes(b"X"),
    "a file of an old entry": lambda root: (root / HOST.format(0) / "ca.crt").write_bytes(b"X"),
    "a link": lambda root: (root / HOST.format(3)).unlink(),
    "a neighbour": lambda root: (root / "theirs.example").mkdir(),
}


@pytest.mark.parametrize("change", CHANGED_BY_OTHERS.values(), ids=CHANGED_BY_OTHERS)
def test_what_others_change_in_the_same_moment_does_ask_for_one(
    looping: Looping, tmp_path: Path, passes: list[int], change: Callable[[Path], object]
) -> None:
    agent = at_rest(looping, tmp_path)
    agent.hear(4, since=1)
    agent.loop.turn()
    passes.clear()

    change(agent.roots[Layout.DOCKER])
    agent.loop.turn()

    assert passes
    agent.turn()
    assert agent.is_well(4)
    assert (agent.roots[Layout.DOCKER] / HOST.format(0) / "ca.crt").read_bytes() == CA_1


def test_what_a_clearing_goes_on_to_remove_from_what_was_just_written_again_is_noticed_at_once(
    looping: Looping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = at_rest(looping, tmp_path)
    agent.loop.turn()  # The timed look at everything; there is none from here on, as the clock stands still.
    root, apply = agent.roots[Layout.DOCKER], Passes.apply
    written = root / HOST.format(0) / "ca.crt"

    def cleared_first(*given: Any) -> PassResult:
        monkeypatch.setattr(Passes, "apply", apply)
        for entry in [path for path in root.iterdir() if path.is_symlink()]:
            entry.unlink()
        shutil.rmtree(root / STORE)
        return apply(*given)

    monkeypatch.setattr(Passes, "apply", cleared_first)
    (root / HOST.format(1)).unlink()
    agent.loop.turn()
    assert written.read_bytes() == CA_1
    agent.loop.turn()
    for path in (written, root / STORE / HOST.format(0) / "owner.json"):
        path.unlink()
        agent.loop.turn()

        assert path.exists(), path
        assert written.read_bytes() == CA_1


def test_an_edit_while_nobody_watches_is_repaired_by_the_timed_look(looping: Looping, tmp_path: Path) -> None:
    agent = at_rest(looping, tmp_path)
    agent.loop._drift.drain()
    (agent.roots[Layout.DOCKER] / HOST.format(0) / "ca.crt").write_bytes(b"X")
    agent.loop._drift.drain()

    agent.turn()
    agent.turn()

    assert (agent.roots[Layout.DOCKER] / HOST.format(0) / "ca.crt").read_bytes() == CA_1
