"""hosts: generated `hosts.toml` files of others, beside which an entry of ours must change nothing but certificates."""

from __future__ import annotations

from pathlib import Path

from tools.torture.figures import Figures
from tools.trials.containerd_oracle import VERSIONS
from tools.trials.hosts_oracle import differences

GOAL = 5_000
_AT_ONCE = 500


def hosts(folder: Path, *, files: int) -> Figures:
    """Ask each version of containerd which hosts it tries for a registry, without our entry and with it."""
    figures = Figures("asked of containerd: which hosts it tries", "hosts.toml files", GOAL)
    figures.add("versions of containerd", len(VERSIONS))
    for first in range(0, files, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, files))
        found, counts = differences(folder, tuple(VERSIONS), numbers)
        figures.count += len(numbers)
        figures.add("carried", counts["written"])
        figures.add("hosts compared", counts["hosts"])
        for each in found:
            figures.fail(f"containerd {each.version}, file {each.number}", f"{each.found} and not {each.expected}")
    return figures
