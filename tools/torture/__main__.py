"""Runs the torture, or some of it, and says what came of it.

`python -m tools.torture [--small] [--report FOLDER] [PART...]`; with parts, the rest of a report in FOLDER stays.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tools.cluster.cluster import what_is_missing
from tools.torture import figures as report
from tools.torture import traced
from tools.torture.attacks import spied, swapped
from tools.torture.clearing import clearing
from tools.torture.containerd import containerd
from tools.torture.crash import crash
from tools.torture.errors import errors
from tools.torture.faults import faults
from tools.torture.figures import Figures
from tools.torture.hosts import hosts
from tools.torture.issuers import issuers
from tools.torture.leadership import leadership
from tools.torture.neighbourhood import neighbourhood
from tools.torture.operator_faults import operator_faults
from tools.torture.power import power_loss
from tools.torture.readers import read_while_rotating
from tools.torture.scenarios import quick_folder
from tools.torture.soak import soak
from tools.trials.leaders import Interruption
from tools.trials.rotating import SCENARIOS


def in_folder(part: Callable[[Path], Figures]) -> Figures:
    """Run one part in a folder of its own, and note how long it took."""
    began = time.monotonic()
    with quick_folder() as folder:
        figures = part(folder)
    figures.seconds = time.monotonic() - began
    return figures


def all_parts(*, small: bool) -> dict[str, Callable[[Path], Figures]]:
    """Return the parts by the word that chooses them, in the order in which they run."""
    changes = 2_000 if small else 100_000
    parts: dict[str, Callable[[Path], Figures]] = {
        "crash": partial(crash, sample=10 if small else 1),
        "power": partial(power_loss, sample=20 if small else 1),
        "errors": partial(errors, sample=80 if small else 2, lasting_sample=40 if small else 1),
        "neighbours": lambda _: neighbourhood(50 if small else 1_000),
        "swapped": partial(swapped, changes=changes),
    }
    if os.geteuid() == 0:  # It takes root to become the unprivileged user who spies.
        parts["spied"] = partial(spied, changes=changes)
    share = 0.02 if small else 1.0
    for name, scenario in SCENARIOS.items():
        parts[f"read-{name.replace(' ', '-')}"] = partial(read_while_rotating, scenario=scenario, share=share)
    for each in Interruption:
        parts[f"leaders-{each.name.lower()}"] = partial(leadership, interruption=each, duels_each=3 if small else 50)
    parts["containerd"] = partial(containerd, sets=100 if small else 5_000)
    parts["clearing"] = partial(clearing, starts=3 if small else 180)
    meets, lasts = (5, 5.0) if small else (1_000, 1_800.0)
    parts["faults"] = partial(faults, agents=1 if small else 20, meets=meets, lasts=lasts)
    parts["operator-faults"] = partial(operator_faults, rounds=1 if small else 10, lasts=1.0 if small else 120.0)
    parts["soak"] = partial(soak, groups=5, agents=4 if small else 100, seconds=15.0 if small else 1_800.0)
    parts["hosts"] = partial(hosts, files=100 if small else 5_000)
    if not what_is_missing():
        parts["issuers"] = partial(issuers, renewals=1 if small else 5)
    return parts


def main() -> int:
    """Run the parts, print the figures, write the report; return 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.torture", description=__doc__)
    parser.add_argument("--small", action="store_true", help="a sample of every part, as the tests take it")
    parser.add_argument("--report", type=Path, help="folder for torture.md and torture.json")
    parser.add_argument("parts", nargs="*", metavar="PART", help="one of the parts alone (default: all)")
    options = parser.parse_args()
    known = all_parts(small=options.small)
    names = options.parts or list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"there is no part {', '.join(unknown)}; there are: {', '.join(known)}")
    if "crash" in names and (lacking := traced.missing()):
        sys.stderr.write(f"error: {lacking}\n")
        return 2
    logging.disable(logging.CRITICAL)  # thousands of failures that are meant to be
    size = "small" if options.small else "full"
    parts: list[Figures] = []
    for name in names:
        parts.append(in_folder(known[name]))
        done = parts[-1]
        sys.stdout.write(f"{done.name}: {done.count:,} {done.tried}, {done.failed} failed, {done.seconds:.0f} s\n")
        sys.stdout.flush()
    sys.stdout.write(report.as_markdown(parts, size))
    if options.report is not None:
        earlier = report.read(options.report, size) if options.parts else ()
        report.write(report.merged(earlier, parts), size, options.report)
    short = [part.name for part in parts if not options.small and part.count < part.goal]
    for name in short:
        sys.stderr.write(f"error: {name}: fewer than its goal\n")
    return 1 if short or any(part.failed for part in parts) else 0


if __name__ == "__main__":
    sys.exit(main())
