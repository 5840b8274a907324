"""Runs the whole torture and says what came of it: `python -m tools.torture [--small] [--report FOLDER]`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tools.torture import figures as report
from tools.torture import traced
from tools.torture.attacks import spied, swapped
from tools.torture.crash import crash
from tools.torture.errors import errors
from tools.torture.figures import Figures
from tools.torture.leadership import leadership
from tools.torture.neighbourhood import neighbourhood
from tools.torture.power import power_loss
from tools.torture.readers import read_while_rotating
from tools.torture.scenarios import quick_folder
from tools.trials.leaders import Interruption
from tools.trials.rotating import SCENARIOS


def in_folder(part: Callable[[Path], Figures]) -> Figures:
    """Run one part in a folder of its own, and note how long it took."""
    began = time.monotonic()
    with quick_folder() as folder:
        figures = part(folder)
    figures.seconds = time.monotonic() - began
    return figures


def chosen(*, small: bool) -> list[Callable[[Path], Figures]]:
    """Return the parts in the order in which they run."""
    changes = 2_000 if small else 100_000
    parts: list[Callable[[Path], Figures]] = [
        partial(crash, sample=10 if small else 1),
        partial(power_loss, sample=20 if small else 1),
        partial(errors, sample=80 if small else 2, lasting_sample=40 if small else 1),
        lambda _: neighbourhood(50 if small else 1_000),
        partial(swapped, changes=changes),
    ]
    if os.geteuid() == 0:  # It takes root to become the unprivileged user who spies.
        parts.append(partial(spied, changes=changes))
    share = 0.02 if small else 1.0
    parts += [partial(read_while_rotating, scenario=scenario, share=share) for scenario in SCENARIOS.values()]
    parts += [partial(leadership, interruption=each, duels_each=3 if small else 50) for each in Interruption]
    return parts


def main() -> int:
    """Run every part, print the figures, write the report; return 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.torture", description=__doc__)
    parser.add_argument("--small", action="store_true", help="a sample of every part, as the tests take it")
    parser.add_argument("--report", type=Path, help="folder for torture.md and torture.json")
    options = parser.parse_args()
    if lacking := traced.missing():
        sys.stderr.write(f"error: {lacking}\n")
        return 2
    logging.disable(logging.CRITICAL)  # thousands of failures that are meant to be
    size = "small" if options.small else "full"
    parts: list[Figures] = []
    for part in chosen(small=options.small):
        parts.append(in_folder(part))
        done = parts[-1]
        sys.stdout.write(f"{done.name}: {done.count:,} {done.tried}, {done.failed} failed, {done.seconds:.0f} s\n")
        sys.stdout.flush()
    sys.stdout.write(report.as_markdown(parts, size))
    if options.report is not None:
        report.write(parts, size, options.report)
    short = [part.name for part in parts if not options.small and part.count < part.goal]
    for name in short:
        sys.stderr.write(f"error: {name}: fewer than its goal\n")
    return 1 if short or any(part.failed for part in parts) else 0


if __name__ == "__main__":
    sys.exit(main())
