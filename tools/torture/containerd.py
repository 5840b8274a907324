"""containerd: generated sets of its files, of which each of its versions and the agent say what will be read."""

from __future__ import annotations

from pathlib import Path

from tools.torture.figures import Figures
from tools.trials.containerd_oracle import VERSIONS, differences

GOAL = 5_000


def containerd(_: Path, *, sets: int) -> Figures:
    """Ask each version's own code about so many sets of files, and compare the agent's reading with the answer."""
    figures = Figures("asked of containerd: what it reads", "sets of files", GOAL)
    found, counts = differences(range(sets))
    figures.count = sets
    figures.add("versions of containerd", len(VERSIONS))
    for kind, words in (
        ("read", "readings compared"),
        ("refused", "that containerd refuses"),
        ("reviewed", "Unknown for a reviewed reason"),
    ):
        figures.add(words, sum(number for name, number in counts.items() if name.endswith(kind)))
    for each in found:
        figures.fail(f"containerd {each.version}, set {each.number}", f"{each.containerd} and not {each.agent}")
    return figures
