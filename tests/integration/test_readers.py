"""The runtimes' loaders while the store rotates: what they promise to see, and that the test would see a worse writer.

The full run: `make torture`.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from registry_trust.core.layout import Layout
from tools.cluster.loaders import Loaders, SpinError
from tools.trials.roots import REGISTRY
from tools.trials.rotating import MISMATCH, SCENARIOS, RotationFigures, authorities_alone, by_store, rotate

pytestmark = pytest.mark.tools("oracle")

SHARE = 0.02

SENTENCES = {
    "CA only": "all loaders read whole CA certificates of one generation, always",
    "containerd pair": "containerd reads the files of one generation, always",
    "pair with a new key": "docker and containers see at most a mismatch that is gone at the next reading",
    "pair with the same key": "docker and containers read a pair that fits, always",
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: SENTENCES[scenario.name])
def test_while_the_store_rotates(scenario, tmp_path):
    figures = rotate(scenario, tmp_path, share=SHARE)

    assert figures.broken(scenario) == []
    assert figures.updates >= scenario.updates * SHARE
    assert figures.reads >= scenario.reads * SHARE


@pytest.mark.parametrize(
    "scenario", SCENARIOS.values(), ids=lambda scenario: f"{scenario.name}: {scenario.worse.__name__}"
)
def test_a_worse_writer_is_found_out_within_ten_seconds(scenario, tmp_path):
    figures = rotate(scenario, tmp_path, writer=scenario.worse, until_broken=True)

    assert figures.broken(scenario) != []
    assert figures.bad < figures.reads, "not one reading was good: the writer is wrong, not worse"


OTHER_AGENT = """
import sys
from pathlib import Path
from registry_trust.core.layout import Layout

from tools.trials.rotating import authorities_alone, by_store
write = by_store(Path(sys.argv[1]), Layout.DOCKER)
contents = authorities_alone()
for number in range(60):
    write(contents[(number * int(sys.argv[2])) % len(contents)])
"""


def test_while_two_agents_write_to_one_root_a_loader_reads_whole_generations_only(tmp_path):
    by_store(tmp_path, Layout.DOCKER)(authorities_alone()[0])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    with Loaders(system_roots=False) as loaders:
        spin = loaders.spin_read(Layout.DOCKER, tmp_path, REGISTRY, expect=SCENARIOS["CA only"].expect, pause=0.001)
        command = [sys.executable, "-c", OTHER_AGENT, str(tmp_path)]
        agents = [subprocess.Popen([*command, factor], env=environment) for factor in ("5", "7")]
        try:
            assert [agent.wait(timeout=120) for agent in agents] == [0, 0]
        finally:
            for agent in agents:
                agent.kill()
                agent.wait()
        seen = spin.stop()

    assert seen.failures == 0, seen.errors
    assert seen.rounds > 100


def figures_with(**more) -> RotationFigures:
    return RotationFigures(
        **{"updates": 10, "reads": 100, "bad": 0, "in_a_row": 0, "errors": (), "at_rest": (), "seconds": 1, **more}
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"errors": (SpinError("missing key client.key", 1, 1, 0.0),)}, "missing key"),
        ({"in_a_row": 2}, "2 bad readings in a row"),
        ({"bad": 41}, "41 bad readings"),
        ({"at_rest": ("torn",)}, "at rest: torn"),
    ],
)
def test_whatever_is_more_than_a_transient_mismatch_breaks_the_promise(seen, words):
    assert words in "".join(figures_with(**seen).broken(SCENARIOS["pair with a new key"]))


def test_a_transient_mismatch_breaks_the_promise_where_there_is_none():
    seen = figures_with(bad=1, in_a_row=1, errors=(SpinError(f"tls: {MISMATCH}", 1, 1, 0.0),))

    assert seen.broken(SCENARIOS["pair with a new key"]) == []
    assert seen.broken(SCENARIOS["containerd pair"]) != []
