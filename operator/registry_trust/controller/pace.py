"""Pace: how often nodes alone may ask for a trust's status: the first time at once, and then not before a pause."""

from __future__ import annotations


class Pace:
    """Keeps what nodes ask for until it is due; all moments are seconds of a steady clock."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._next: dict[str, float] = {}
        self.asked: set[str] = set()

    def ask(self, names: set[str]) -> None:
        """Remember trusts whose status may not be right any longer, only because of what nodes say."""
        self.asked |= names

    def due(self, now: float) -> set[str]:
        """Return what was asked for and need not wait any longer."""
        return {name for name in self.asked if now >= self._next.get(name, now)}

    def taken(self, names: set[str]) -> None:
        """Forget what was asked for of trusts whose status is looked at now."""
        self.asked -= names

    def wrote(self, name: str, now: float) -> None:
        """Let the next write that only nodes ask for wait."""
        self._next[name] = now + self._pause

    def forget_all_but(self, names: set[str]) -> None:
        """Drop trusts that are gone."""
        self.asked &= names
        for name in self._next.keys() - names:
            del self._next[name]
