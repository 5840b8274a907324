"""Faults between agents and the API server: no file changes, nothing ends, few requests, and all converges after it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tools.cluster.control_plane import ControlPlane
from tools.trials.fault_table import ROWS, FaultTable, Outcome, Row
from tools.trials.faulty_server import How
from tools.trials.soak import Soak

AGENTS = 4
"""For each row: 60 in all."""

QUICK = tuple(row for row in ROWS if row.fault is None or row.fault.how is not How.SWALLOWS)
"""Only 80 seconds of silence end what a proxy swallowed: `make torture` waits for them."""


@pytest.fixture(scope="module")
def table(plane: ControlPlane) -> Iterator[FaultTable]:
    """Start real agents, four behind each faulty way."""
    with FaultTable(plane, QUICK, AGENTS) as started:
        yield started


@pytest.fixture(scope="module")
def outcomes(table: FaultTable) -> dict[str, Outcome]:
    """Let all faults happen at once, each to agents of its own, until each was met some tens of times."""
    return table.run(meets=20, lasts=5)


@pytest.mark.parametrize("row", QUICK, ids=[row.name for row in QUICK])
def test_a_fault_changes_no_file_ends_nothing_and_is_forgotten_after_it(row: Row, outcomes: dict[str, Outcome]) -> None:
    assert outcomes[row.name].broken_laws(AGENTS, outcomes["no fault"].state) == []


def test_files_are_whole_at_every_moment_of_a_short_soak(table: FaultTable, outcomes: dict[str, Outcome]) -> None:
    seed = random.randrange(1_000_000)  # noqa: S311 - the report shows it
    report = Soak(table, seed).run(10)

    assert report.violations == [], report.as_json()
    assert report.checks > len(table.fleet.names)
