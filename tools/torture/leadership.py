"""Leadership: operators' Leases fought for, the leader's connection hung or its process stopped, 50 times each."""

from __future__ import annotations

from pathlib import Path

from tools.cluster.control_plane import ControlPlane
from tools.torture.figures import Figures
from tools.trials.leaders import Interruption, duels

AT_ONCE = 5
"""Duels that are fought at the same time: two processes each."""


def leadership(_: Path, *, interruption: Interruption, duels_each: int) -> Figures:
    """Interrupt a leader so many times on a real API server; every write of both processes is looked at afterwards."""
    figures = Figures(f"two leaders: {interruption.value}", "duels for a Lease", duels_each)
    with ControlPlane() as plane:
        for first in range(0, duels_each, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, duels_each))
            names = [f"{interruption.name.lower()}-{number}" for number in numbers]
            for fault in duels(plane, dict.fromkeys(names, interruption)):
                figures.fail("duel", fault)
            figures.count += len(names)
    figures.add("with an overlap or a leader that did not end", figures.failed)
    return figures
