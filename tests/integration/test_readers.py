"""The runtimes' loaders while the store rotates: what they promise to see, and that the test would see a worse writer.

The full run: `python -m tests.integration.rotating`.
"""

from __future__ import annotations

import pytest

from tests.cluster.loaders import SpinError
from tests.integration.rotating import MISMATCH, SCENARIOS, Figures, rotate

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


def figures_with(**more) -> Figures:
    return Figures(
        **{"updates": 10, "reads": 100, "bad": 0, "in_a_row": 0, "errors": (), "at_rest": (), "seconds": 1, **more}
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"errors": (SpinError("missing key client.key", 1, 1, 0.0),)}, "missing key"),
        ({"in_a_row": 2}, "2 bad readings in a row"),
        ({"bad": 21}, "21 bad readings"),
        ({"at_rest": ("torn",)}, "at rest: torn"),
    ],
)
def test_whatever_is_more_than_a_transient_mismatch_breaks_the_promise(seen, words):
    assert words in "".join(figures_with(**seen).broken(SCENARIOS["pair with a new key"]))


def test_a_transient_mismatch_breaks_the_promise_where_there_is_none():
    seen = figures_with(bad=1, in_a_row=1, errors=(SpinError(f"tls: {MISMATCH}", 1, 1, 0.0),))

    assert seen.broken(SCENARIOS["pair with a new key"]) == []
    assert seen.broken(SCENARIOS["containerd pair"]) != []
