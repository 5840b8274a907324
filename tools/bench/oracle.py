"""How fast the oracle reads: each program with a runtime's loader, by question and answer, and in a loop of its own.

Command line: `python -m tools.bench.oracle`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from registry_trust.core.layout import ClientPair, Layout
from registry_trust.core.layout import Layout as Written
from tools import pki
from tools.cluster.loaders import GENERATIONS, Loaders
from tools.trials.roots import REGISTRY, Root, wanted

SECONDS = 2.0


def table() -> str:
    """Return readings a minute of every program and layout, in words."""
    pair = ClientPair("client", pki.client().pem, pki.pkcs8(pki.client().key))
    lines = [f"{'readings a minute: CA and pair, by one worker':58} {'asked':>8} {'looping':>8}"]
    with tempfile.TemporaryDirectory() as folder:
        for layout in Layout:
            (Path(folder) / layout.value).mkdir()
            Root(Path(folder) / layout.value, Written(layout.value)).bring_well(wanted(pki.root().pem, pairs=(pair,)))
        for name, layouts in GENERATIONS.items():
            with Loaders(program=name, system_roots=False) as program:
                for layout in layouts:
                    asked, looping = _rates(program, layout, Path(folder) / layout.value)
                    lines.append(f"{f'{name} ({layout})':58} {asked:8,} {looping:8,}")
    return "\n".join(lines) + "\n"


def _rates(program: Loaders, layout: Layout, root: Path) -> tuple[int, int]:
    began, count = time.monotonic(), 0
    while time.monotonic() < began + SECONDS:
        assert program.read(layout, root, REGISTRY).ok
        count += 1
    asked = count / (time.monotonic() - began)
    began, spin = time.monotonic(), program.spin_read(layout, root, REGISTRY)
    time.sleep(SECONDS)
    seen = spin.stop()
    assert not seen.failures, seen.errors
    return round(asked * 60), round(seen.rounds / (time.monotonic() - began) * 60)


if __name__ == "__main__":
    sys.stdout.write(table())
