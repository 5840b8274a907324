"""What nodes ask for has a pace and a bound: statuses, Events and the bundle's serial."""

from __future__ import annotations

import pytest

from registry_trust.compiler.lost_history import LONGEST_STEP, highest_reported
from registry_trust.controller.budget import Budget
from registry_trust.controller.pace import Pace
from registry_trust.core.bundle import HIGHEST_SERIAL
from registry_trust.core.report import NodeReport


def report(serial: int, uid: str = "bundle") -> NodeReport:
    return NodeReport("1", "", uid, serial, "", (), (), 0, 0)


def on_its_way(_trust: str) -> bool:
    return False


def settled(_trust: str) -> bool:
    return True


def test_the_first_change_goes_at_once_and_the_next_after_a_pause():
    pace = Pace(5.0)
    pace.ask({"corp"})
    assert pace.take_due(100.0, on_its_way) == {"corp"}

    pace.ask({"corp", "other"})

    assert pace.take_due(104.9, on_its_way) == {"other"}
    assert pace.take_due(105.0, on_its_way) == {"corp"}


def test_the_last_node_is_not_waited_for_longer_than_it_takes():
    pace = Pace(5.0)
    for name in ("corp", "other"):
        pace.ask({name})
        assert pace.take_due(100.0, on_its_way) == {name}
    pace.ask({"corp", "other"})

    assert pace.take_due(100.1, lambda trust: trust == "corp") == {"corp"}

    pace.ask({"corp"})
    assert pace.take_due(105.0, settled) == {"other"}
    assert pace.take_due(105.1, settled) == {"corp"}


@pytest.mark.parametrize("flaps", [settled, on_its_way, "each other time"], ids=str)
def test_a_report_that_flaps_ten_times_a_second_asks_for_two_looks_in_each_pause(flaps):
    pace = Pace(5.0)
    looks = []
    for tenth in range(600):
        now = 100.0 + tenth / 10
        pace.ask({"corp"})
        way = flaps if callable(flaps) else (settled, on_its_way)[tenth % 2]
        looks += [now] * len(pace.take_due(now, way))

    for start in looks:
        assert len([look for look in looks if start <= look < start + 5.0]) <= 2
    assert len(looks) >= 12


def test_what_waits_is_not_lost_and_a_trust_that_is_gone_is():
    pace = Pace(5.0)
    pace.ask({"corp", "gone"})
    pace.take_due(100.0, settled)
    pace.ask({"corp", "gone"})

    pace.forget_all_but({"corp"})

    assert pace.take_due(101.0, on_its_way) == set()
    assert pace.take_due(105.0, on_its_way) == {"corp"}


def test_what_is_looked_at_for_another_reason_does_not_wait_and_uses_up_no_pause():
    pace = Pace(5.0)
    pace.ask({"corp"})

    pace.withdraw({"corp"})

    assert pace.take_due(100.0, settled) == set()
    pace.ask({"corp"})
    assert pace.take_due(100.1, on_its_way) == {"corp"}


def test_a_budget_gives_its_burst_and_then_one_for_each_interval():
    budget = Budget(3, 10.0)

    assert [budget.take(1000.0) for _ in range(5)] == [True, True, True, False, False]
    assert not budget.take(1009.0)
    assert [budget.take(1010.0), budget.take(1010.0)] == [True, False]
    assert sum(budget.take(9000.0) for _ in range(10)) == 3


@pytest.mark.parametrize(
    ("own", "said", "believed"),
    [
        (40, [41], 41),
        (40, [40, 40, 47], 47),
        (40, [40, 40, 40 + LONGEST_STEP], 40 + LONGEST_STEP),
        (40, [40, 40, 41 + LONGEST_STEP], 40),
        (40, [40, 40, HIGHEST_SERIAL - 1], 40),
        (40, [40, HIGHEST_SERIAL, 2**53, 2**63], 40),
        (0, [3_500_000, 3_500_001, 3_499_000], 3_500_001),
        (0, [7, 3_500_000], 7),
        (40, [], 0),
    ],
    ids=str,
)
def test_one_node_raises_the_serial_by_a_step_at_most_and_most_nodes_by_all_they_say(
    own: int, said: list[int], believed: int
):
    assert highest_reported([report(serial) for serial in said], "bundle", own) == believed


def test_what_a_node_says_of_another_bundle_raises_nothing():
    assert highest_reported([report(9, "another")], "bundle", 3) == 0
