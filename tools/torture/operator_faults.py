"""Faults between the operator and the API server: killed at each of its writes, and through each fault of the table."""

from __future__ import annotations

from pathlib import Path

from tools.cluster.control_plane import ControlPlane
from tools.torture.figures import Figures
from tools.trials.fault_table import ROWS
from tools.trials.operator_faults import OperatorTrial


def operator_faults(_: Path, *, rounds: int, lasts: float) -> Figures:
    """Kill an operator at each write of a change, before and after it is carried out, and let it meet each fault."""
    rows = [row for row in ROWS if not (row.starts or row.dns)]
    figures = Figures("faults of the API server: what the operator does", "kills and faults", rounds * (8 + len(rows)))
    with ControlPlane() as plane, OperatorTrial(plane) as trial:
        writes = trial.writes()
        for _round in range(rounds):
            for number in range(writes):
                for answered in (False, True):
                    for fault in trial.killed_at(number, answered=answered):
                        figures.fail(f"killed at write {number}, answered: {answered}", fault)
                    figures.count += 1
            for row in rows:
                for fault in trial.through(row, meets=3, lasts=lasts):
                    figures.fail(row.name, fault)
                figures.count += 1
    figures.add("writes of a change", writes)
    return figures
