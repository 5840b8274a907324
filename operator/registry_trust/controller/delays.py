"""Delays: how long a change takes to be in the bundle, and to be on every node that has a live agent."""

from __future__ import annotations

from collections.abc import Mapping

from registry_trust.compiler.compile import Outcome
from registry_trust.controller import metrics


class Delays:
    """Measures from the moment at which the operator saw a change, in seconds of a steady clock."""

    def __init__(self) -> None:
        self._under_way: dict[str, tuple[int, float]] = {}

    def written(self, outcomes: Mapping[str, Outcome], serial: int, seen: float | None, now: float) -> None:
        """Take a bundle that was written because of a change that was seen at `seen` (None: only time passed)."""
        if seen is None:
            return
        metrics.WRITTEN_SECONDS.observe(max(0.0, now - seen))
        for name, outcome in outcomes.items():
            if outcome.since == serial:
                self._under_way[name] = (serial, seen)

    def stand(self, outcome: Outcome, *, distributed: bool, now: float) -> None:
        """Take a trust's standing: the first time that it is everywhere ends the measurement."""
        found = self._under_way.get(outcome.name)
        if found is None or (outcome.since == found[0] and not distributed):
            return
        del self._under_way[outcome.name]
        if outcome.since == found[0]:
            metrics.REPORTED_SECONDS.observe(max(0.0, now - found[1]))

    def forget_all_but(self, names: set[str]) -> None:
        """Drop what is measured of trusts that are gone."""
        for name in self._under_way.keys() - names:
            del self._under_way[name]
