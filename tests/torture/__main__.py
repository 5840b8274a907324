"""Runs the whole torture and says what came of it: `python -m tests.torture [--small] [--report FOLDER]`."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.torture import figures as report
from tests.torture import traced
from tests.torture.crash import crash
from tests.torture.errors import errors
from tests.torture.figures import Figures
from tests.torture.neighbourhood import neighbourhood
from tests.torture.power import power_loss
from tests.torture.scenarios import quick_folder


def in_folder(part: Callable[[Path], Figures]) -> Figures:
    """Run one part in a folder of its own, and note how long it took."""
    began = time.monotonic()
    with quick_folder() as folder:
        figures = part(folder)
    figures.seconds = time.monotonic() - began
    return figures


def main() -> int:
    """Run every part, print the figures, write the report; return 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--small", action="store_true", help="a sample of every part, as the tests take it")
    parser.add_argument("--report", type=Path, help="folder for torture.md and torture.json")
    options = parser.parse_args()
    if lacking := traced.missing():
        sys.stderr.write(f"error: {lacking}\n")
        return 2
    logging.disable(logging.CRITICAL)  # thousands of failures that are meant to be
    small = options.small
    size = "small" if small else "full"
    parts: list[Figures] = []
    for part in (
        lambda folder: crash(folder, sample=10 if small else 1),
        lambda folder: power_loss(folder, sample=20 if small else 1),
        lambda folder: errors(folder, sample=80 if small else 2, lasting_sample=40 if small else 1),
        lambda _: neighbourhood(50 if small else 1_000),
    ):
        parts.append(in_folder(part))
        done = parts[-1]
        sys.stdout.write(f"{done.name}: {done.count:,} {done.tried}, {done.failed} failed, {done.seconds:.0f} s\n")
        sys.stdout.flush()
    sys.stdout.write(report.as_markdown(parts, size))
    if options.report is not None:
        report.write(parts, size, options.report)
    short = [part.name for part in parts if not small and part.count < part.goal]
    for name in short:
        sys.stderr.write(f"error: {name}: fewer than its goal\n")
    return 1 if short or any(part.failed for part in parts) else 0


if __name__ == "__main__":
    sys.exit(main())
