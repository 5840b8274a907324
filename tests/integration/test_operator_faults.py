"""Faults between the operator and the API server: killed at its writes, events lost and late, and a start with many."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.bench.many_trusts import ManyTrusts
from tools.cluster.control_plane import ControlPlane
from tools.trials.fault_table import ROWS
from tools.trials.faulty_server import How, faulty
from tools.trials.operator_faults import OperatorTrial

TRUSTS = 20
SOME = [row for row in ROWS if row.fault and row.fault.how in (How.ENDS, How.HOLDS)]
"""Events that are lost with their watch, and events that come late; `make torture` has all rows."""


@pytest.fixture
def trial(plane: ControlPlane) -> Iterator[OperatorTrial]:
    """Start an operator behind a faulty way."""
    with OperatorTrial(plane) as started:
        yield started


def test_an_operator_comes_to_the_same_state_wherever_it_was_killed_and_whatever_it_did_not_hear(
    trial: OperatorTrial,
) -> None:
    assert trial.writes() >= 3, "the bundle, the status and an Event"

    assert trial.killed_at(0, answered=True) == []
    assert trial.killed_at(2, answered=False) == []
    for row in SOME:
        assert trial.through(row, meets=2, lasts=0.5) == []


def test_an_operator_that_starts_again_with_many_trusts_sources_and_reports_writes_nothing(
    plane: ControlPlane,
) -> None:
    with faulty(plane) as way:
        many = ManyTrusts(plane, way, TRUSTS)
        try:
            many.prepare()
            restart = many.restart()
        finally:
            many.stop()

    assert restart.asked["GET"] > 5
    assert restart.writes == 0, restart.asked
