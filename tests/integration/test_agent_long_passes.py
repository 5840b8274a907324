"""Long passes of the agent on a slow disk: they are no stuck loop, are reported as they go, and hear a signal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from registry_trust.agent.delivery.inbox import ReceivedBundle
from registry_trust.agent.health import STUCK
from registry_trust.agent.passes import LONGEST
from registry_trust.core.bundle import Bundle
from registry_trust.core.layout import STORE, Layout
from registry_trust.core.report import RowState
from tests.integration.looping_agent import Agent, Looping
from tools.trials.interruptions import Calls, interrupted


@contextmanager
def slow_disk(agent: Agent, seconds: float, also: Callable[[], None] = lambda: None) -> Iterator[list[float]]:
    """Let each fsync take so many seconds of the agent's clock; give how old the loop's last turn was at each."""
    ages: list[float] = []

    class Slow(Calls):
        def before(self, name: str) -> None:
            if name == "fsync":
                agent.clock.now += seconds
                ages.append(agent.clock.now - agent.health.turned)
                also()

    with interrupted(Slow()):
        yield ages


def test_many_registries_on_a_slow_disk_are_written_in_one_life_with_reports_in_between(
    tmp_path: Path, looping: Looping
) -> None:
    agent = looping(tmp_path)
    agent.hear(400)

    turns = 0
    with slow_disk(agent, 0.05) as ages:
        while not agent.is_well(400):
            turns += 1
            assert turns < 100, f"{len(list(agent.roots[Layout.DOCKER].iterdir()))} entries after {turns} turns"
            agent.turn()
            assert not agent.health.trouble(agent.clock())

    assert sum(ages) > 0
    assert len(ages) * 0.05 > STUCK, "it takes longer than a stuck loop may, and so would be killed"
    assert max(ages) < 1.0, "the loop turned with every step"
    states = [{row.state for row in report.registries} for report in agent.told.reports]
    assert sum(RowState.PENDING in each for each in states) >= len(ages) * 0.05 / LONGEST - 2
    assert {report.serial for report in agent.told.reports[:-1]} == {0}, "not applied as a whole before the end"
    assert agent.report.serial == 1


def test_removing_many_registries_on_a_slow_disk_is_reported_until_the_last_is_gone(
    tmp_path: Path, looping: Looping
) -> None:
    agent = looping(tmp_path)
    agent.hear(300)
    while not agent.is_well(300):
        agent.turn()
    agent.inbox.put_bundle(ReceivedBundle("uid-1", "8", Bundle(2, (), {}, fleet_size=1)))

    with slow_disk(agent, 0.1) as ages:
        while agent.report.serial != 2 or any(agent.roots[Layout.DOCKER].glob(f"{STORE}/r*")):
            agent.turn()
            assert not agent.health.trouble(agent.clock())

    assert max(ages) < 5.0
    assert any(row.state is RowState.PENDING for report in agent.told.reports for row in report.registries)
    assert agent.report.registries == ()
    assert agent.report.failing == 0


def test_a_signal_is_heard_between_two_steps_and_the_next_process_goes_on(tmp_path: Path, looping: Looping) -> None:
    agent = looping(tmp_path)
    agent.hear(300)
    told_at: list[int] = []

    def tell() -> None:
        written = sum(path.is_symlink() for path in agent.roots[Layout.DOCKER].iterdir())
        if written >= 7 and not told_at:
            told_at.append(written)
            agent.stop.set()

    with slow_disk(agent, 0.01, tell):
        assert agent.loop.run() == 0
    written = [path for path in agent.roots[Layout.DOCKER].iterdir() if path.is_symlink()]
    assert len(written) <= told_at[0] + 1, "it ended with the step that it was at"

    again = looping(tmp_path)
    again.hear(300)
    again.turn()
    assert again.is_well(300)
