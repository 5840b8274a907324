"""Pace: how often nodes alone have a status looked at: the first and the last word at once, others after a pause."""

from __future__ import annotations

from collections.abc import Callable


class Pace:
    """Keeps what nodes ask for until it is due; all moments are seconds of a steady clock.

    The last word on a change does not wait for the pause after the first one, but has a pause of its own: a trust is
    looked at twice in each pause at most, whatever its nodes report.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._next: dict[str, float] = {}
        self._next_last: dict[str, float] = {}
        self.asked: set[str] = set()

    def ask(self, names: set[str]) -> None:
        """Remember trusts whose status may not be right any longer, only because of what nodes say."""
        self.asked |= names

    def take_due(self, now: float, settled: Callable[[str], bool]) -> set[str]:
        """Return, and forget, what was asked for and need not wait any longer.

        Args:
            now: the moment.
            settled: says whether no node of a trust is still on its way.
        """
        due = {name for name in self.asked if now >= self._next.get(name, now)}
        last = {name for name in self.asked - due if now >= self._next_last.get(name, now) and settled(name)}
        self._next_last.update(dict.fromkeys(last, now + self._pause))
        self._next.update(dict.fromkeys(due | last, now + self._pause))
        self.asked -= due | last
        return due | last

    def withdraw(self, names: set[str]) -> None:
        """Forget what was asked for of trusts whose status is looked at for another reason."""
        self.asked -= names

    def forget_all_but(self, names: set[str]) -> None:
        """Drop trusts that are gone."""
        self.asked &= names
        for moments in (self._next, self._next_last):
            for name in moments.keys() - names:
                del moments[name]
