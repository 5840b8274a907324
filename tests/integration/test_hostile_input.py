"""Hostile input is refused, or read, in little memory; `make bench` has what it costs in time."""

from __future__ import annotations

import pytest

from tools.bench import hostile

MOST = 32 * 1024
"""KiB that one source may cost while it is checked."""


@pytest.mark.parametrize("shape", hostile.SHAPES)
def test_in_a_fresh_process_it_costs_less_than_32_mib(shape):
    cost = hostile.cost_of(shape)

    assert cost.kibibytes < MOST
    if not shape.startswith(("limit", "pair")):
        assert cost.verdict == "TooLarge", "it was read, although it is over a limit"


def test_the_measure_sees_what_is_allocated(monkeypatch):
    monkeypatch.setattr(hostile, "read_ca_certificates", lambda *_, **__: b"x" * (2 * MOST * 1024))

    assert hostile.cost(b"", None).kibibytes > MOST
