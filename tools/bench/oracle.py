"""How fast the oracle reads: each program with a runtime's loader, by question and answer, and in a loop of its own."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from registry_trust.core.layout import ClientPair, Layout
from registry_trust.core.layout import Layout as Written
from tools import pki
from tools.bench.figures import Part
from tools.cluster.loaders import GENERATIONS, Loaders
from tools.trials.roots import REGISTRY, Root, wanted

SECONDS = 2.0


def measure(part: Part) -> None:
    """Measure the readings a minute of every program and layout: a CA and a pair, by one worker."""
    pair = ClientPair("client", pki.client().pem, pki.pkcs8(pki.client().key))
    with tempfile.TemporaryDirectory() as folder:
        for layout in Layout:
            (Path(folder) / layout.value).mkdir()
            Root(Path(folder) / layout.value, Written(layout.value)).bring_well(wanted(pki.root().pem, pairs=(pair,)))
        for name, layouts in GENERATIONS.items():
            with Loaders(program=name, system_roots=False) as program:
                for layout in layouts:
                    asked, looping = _rates(program, layout, Path(folder) / layout.value)
                    remark = f"{looping:,} in a loop of its own"
                    part.add(f"{name} ({layout}), readings a minute", "", asked, remark=remark)


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
