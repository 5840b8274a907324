"""The order in which tests run: shuffled by a seed, with the tests of a file together."""

from __future__ import annotations

import itertools

from tests.conftest import shuffled


def order(seed: int, files: int = 6, tests: int = 6) -> list[str]:
    every = [f"tests/unit/test_{file}.py::test_{test}" for file in range(files) for test in range(tests)]
    return sorted(every, key=lambda nodeid: shuffled(seed, nodeid))


def test_a_seed_gives_one_order_and_another_seed_another():
    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(1) != sorted(order(1))


def test_the_tests_of_a_file_stay_together():
    files = [nodeid.partition("::")[0] for nodeid in order(1)]

    assert sum(before != after for before, after in itertools.pairwise(files)) == 6 - 1


def test_tests_keep_their_order_when_fewer_run():
    fewer = order(1, files=3, tests=2)

    assert [nodeid for nodeid in order(1) if nodeid in fewer] == fewer
