"""Faults between agents and the API server: no file changes, nothing ends, few requests, and all converges after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.cluster.control_plane import ControlPlane
from tools.trials.fault_table import ROWS, FaultTable, Outcome, Row

AGENTS = 4
"""For each row: 56 in all."""


@pytest.fixture(scope="module")
def outcomes(plane: ControlPlane) -> Iterator[dict[str, Outcome]]:
    """Let all faults happen at once, each to agents of its own, until each was met some tens of times."""
    with FaultTable(plane, ROWS, AGENTS) as table:
        yield table.run(meets=20, lasts=5)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_fault_changes_no_file_ends_nothing_and_is_forgotten_after_it(row: Row, outcomes: dict[str, Outcome]) -> None:
    assert outcomes[row.name].broken_laws(AGENTS, outcomes["no fault"].state) == []
