"""Faults between agents and the API server: each of the fault table, for minutes, to agents of its own."""

from __future__ import annotations

from pathlib import Path

from tools.cluster.control_plane import ControlPlane
from tools.torture.figures import Figures
from tools.trials.fault_table import ROWS, FaultTable


def faults(_: Path, *, agents: int, meets: int, lasts: float) -> Figures:
    """Let all faults happen at once on one real API server, for so many seconds and until each was met so often."""
    figures = Figures("faults of the API server: what agents do", "agents through a fault", agents * len(ROWS))
    with ControlPlane() as plane, FaultTable(plane, ROWS, agents) as table:
        outcomes = table.run(meets=meets, lasts=lasts)
    for name, outcome in outcomes.items():
        figures.count += agents
        for broken in outcome.broken_laws(agents, outcomes["no fault"].state):
            figures.fail(name, broken)
        figures.add("requests and connections that met a fault", outcome.met)
    figures.add("faults", len(ROWS))
    figures.add("seconds each", int(max(outcome.lasted for outcome in outcomes.values())))
    slowest = max(outcome.converged or 0 for outcome in outcomes.values())
    figures.add("seconds from the mend to the last file and report", round(slowest))
    return figures
