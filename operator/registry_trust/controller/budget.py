"""Budget: how much of something may happen in a time, as a bucket of tokens that fills again steadily."""

from __future__ import annotations


class Budget:
    """At most `burst` at once, and one more every `interval` seconds."""

    def __init__(self, burst: int, interval: float) -> None:
        self._burst = burst
        self._interval = interval
        self._left = float(burst)
        self._filled = 0.0

    def take(self, now: float) -> bool:
        """Take one at a steady time; False, and nothing is taken, where none is left."""
        self._left = min(self._burst, self._left + max(0.0, now - self._filled) / self._interval)
        self._filled = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
