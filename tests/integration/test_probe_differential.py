"""Never Verified where a pull fails, never Failed where it works: the probe before the loaders of three runtimes.

The full run: `python -m tests.integration.probing 1000`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from registry_trust.core.verdict.verdict import State
from tests.integration import probing
from tests.integration.probing import Figures

pytestmark = pytest.mark.tools("showing", "loaders")

CASES, SEED = 250, 7
MOST_UNKNOWN = 0.15
"""Of all cases: SHA-1, name constraints, critical extensions, and where OpenSSL and Go differ."""


@pytest.fixture(scope="module")
def figures(tmp_path_factory) -> Figures:
    return probing.run(CASES, SEED, tmp_path_factory.mktemp("certs.d"))


def test_no_verdict_says_the_contrary_of_a_pull(figures):
    assert figures.wrong == []
    assert CASES / 4 < figures.works < CASES * 3 / 4


def test_few_verdicts_are_unknown(figures):
    assert figures.states[State.UNKNOWN] < CASES * MOST_UNKNOWN, figures.reasons
    assert figures.states[State.VERIFIED] > figures.works * 0.8


def test_the_same_seed_makes_the_same_cases():
    now = datetime(2026, 6, 1, tzinfo=UTC)

    def origins(seed):
        return [case.origin for case in probing.cases(50, seed, now)]

    assert origins(1) == origins(1)
    assert origins(1) != origins(2)
