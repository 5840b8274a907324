"""`make bench`: measures one node, fleets and many trusts, each figure beside a floor of the same run.

`python -m tools.bench [--report FOLDER] [PART...]`; with parts, the rest of a report in FOLDER stays.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tools.bench import figures, fleets, hostile, many_trusts, node, oracle, plots
from tools.bench.figures import Part
from tools.cluster.folders import cache_folder

FLEETS = (100, 1_000, 3_000, 5_000)

_LINES = {
    "first node": "PATCH to the first node's files",
    "middle node": "PATCH to the middle node's files",
    "last node": "PATCH to the last node's files",
    "Distributed=True": "PATCH to Distributed=True",
}
_COST = {
    "API server, 1 node": "API server, CPU for each node and rotation",
    "operator, 100 nodes": "operator, CPU for each 100 nodes and rotation",
    "agent": "agent, CPU for a rotation",
}


def all_parts() -> dict[str, tuple[str, float, Callable[[Part], None]]]:
    """Return title, deadline in seconds, and what measures each part, by the word that chooses it."""
    parts: dict[str, tuple[str, float, Callable[[Part], None]]] = {
        "node": ("One node", 1_200, node.one_registry),
        "registries": ("One node with 1,000 registries", 1_200, node.many_registries),
        "updates": ("One node after 1,000 updates", 1_200, node.many_updates),
        "trusts": ("1,000 trusts", 1_200, many_trusts.measure),
    }
    for nodes in FLEETS:
        parts[f"fleet-{nodes}"] = (f"A fleet of {nodes:,} nodes", 600 + nodes * 0.4, fleets.measure)
    parts["hostile"] = ("Hostile input, checked in a fresh process each", 600, hostile.measure)
    parts["oracle"] = ("What the tests read with", 600, oracle.measure)
    return parts


def written(parts: list[Part], folder: Path) -> None:
    """Write the report and its plots into a folder."""
    made = {
        "bench-node.svg": ("PATCH to entry on one node", _of_node(parts)),
        "bench-delay.svg": (
            "From PATCH to nodes, by size of the fleet",
            plots.of_fleets(parts, _LINES, up="s", floors=True),
        ),
        "bench-cost.svg": ("CPU of one rotation, by size of the fleet", plots.of_fleets(parts, _COST, up="ms")),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, (_, plot) in made.items():
        if plot:
            (folder / file).write_text(plot)
    shown = [(title, file) for file, (title, plot) in made.items() if plot]
    (folder / "bench.json").write_text(figures.as_json(parts))
    names = {part.name for part in parts}
    missing = [
        Part(name, title, deadline, gave_up="it has not been run with this build yet.")
        for name, (title, deadline, _) in all_parts().items()
        if name not in names
    ]
    (folder / "bench.md").write_text(figures.as_markdown([*parts, *missing], shown))


def _of_node(parts: list[Part]) -> str:
    curves = next((part.curves for part in parts if part.curves), {})
    return plots.of_curves(curves, up="ms") if curves else ""


def main() -> int:
    """Measure, print the tables, write the report; return 1 if a part gave up."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--report", type=Path, help="folder for bench.md, bench.json and the plots")
    parser.add_argument("parts", nargs="*", metavar="PART", help="one of the parts alone (default: all)")
    options = parser.parse_args()
    known = all_parts()
    names = options.parts or list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"there is no part {', '.join(unknown)}; there are: {', '.join(known)}")
    # The image has its bytecode, made with it; so have the processes that are measured here.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(cache_folder() / "bytecode")
    parts: list[Part] = []
    for name in names:
        title, deadline, measure = known[name]
        nodes = int(name.partition("-")[2] or 0)
        parts.append(Part(name, title, deadline, nodes).run(measure))
        if options.report is not None:  # After each part: an hour's figures are not lost with the last one.
            written(figures.merged(figures.read(options.report) if options.parts else (), parts), options.report)
    sys.stdout.write(figures.as_markdown(parts))
    return 1 if any(part.gave_up for part in parts) else 0


if __name__ == "__main__":
    sys.exit(main())
