"""The soak of the agents: random rotations, relabels, kills and faults, and a report in JSON.

`python -m tools.torture.soak [--seconds 180] [--groups 5] [--agents 4] [--seed N]` prints the report and returns 1 if
anything was found. `CROWD_PLANTED=leaks` or `removes` in the environment plants a fault that it has to find.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
from pathlib import Path

from tools.cluster.control_plane import ControlPlane
from tools.torture.figures import Figures
from tools.trials.fault_table import FaultTable, Row
from tools.trials.soak import Report, Soak


def soak(_: Path, *, groups: int, agents: int, seconds: float) -> Figures:
    """Run one soak with a seed of its own."""
    figures = Figures("soak: rotations, relabels, kills and faults", "seconds", int(seconds))
    report = run(groups, agents, seconds, random.randrange(1_000_000))  # noqa: S311 - shown in the report
    figures.count = int(report.seconds)
    for violation in report.violations:
        figures.fail(f"seed {report.seed}", violation)
    figures.add("agents", report.agents)
    figures.add("looks at the files of a node", report.checks)
    for name, number in report.done.items():
        figures.add(name.partition(":")[0] + ("s" if name.startswith("fault:") else ""), number)
    return figures


def run(groups: int, agents: int, seconds: float, seed: int) -> Report:
    """Run one soak on a control plane of its own, with so many groups of agents, each behind a way of its own."""
    rows = [Row(f"group {number}") for number in range(groups)]
    with ControlPlane() as plane, FaultTable(plane, rows, agents) as table:
        return Soak(table, seed).run(seconds)


def main() -> int:
    """Run one soak, and print its report."""
    parser = argparse.ArgumentParser(prog="python -m tools.torture.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--groups", type=int, default=5)
    parser.add_argument("--agents", type=int, default=4, help="in each group")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))  # noqa: S311 - shown in the report
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # failures that are meant to be
    report = run(options.groups, options.agents, options.seconds, options.seed)
    sys.stdout.write(json.dumps(report.as_json(), indent=1) + "\n")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
