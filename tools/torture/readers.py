"""Readers: every generation of every runtime's loader reads in a loop while the store rotates."""

from __future__ import annotations

from pathlib import Path

from tools.torture.figures import Figures
from tools.trials.rotating import RotationScenario, rotate


def read_while_rotating(folder: Path, scenario: RotationScenario, share: float) -> Figures:
    """Rotate what one scenario says, or a share of it."""
    figures = Figures(f"read while it rotates: {scenario.name}", "updates", scenario.updates)
    seen = rotate(scenario, folder, share=share)
    figures.count = seen.updates
    figures.add("readings", seen.reads)
    figures.add("loaders", len(scenario.readers))
    figures.add("transient mismatches" if scenario.mismatches else "bad readings", seen.bad)
    figures.add("bad in a row at most", seen.in_a_row)
    for fault in seen.broken(scenario):
        figures.fail(scenario.name, fault)
    few = seen.reads < scenario.reads * share
    figures.fail(scenario.name, f"only {seen.reads} readings" if few else "")
    return figures
