"""A clock that goes on from a Unix time and that nobody can set: what ends by the passing of time ends by it."""

from __future__ import annotations

import time

_COUNTER = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux counts the time that a machine slept in CLOCK_BOOTTIME only."""


_LATEST = 2.0**33
"""Unix time in the year 2242: whatever is counted from here on is a time that a bundle can hold."""


class SteadyClock:
    """Unix time as it was said to be at the start, and the seconds since then.

    A system clock that is put right, or wrong, moves neither a retained CA certificate nor a removal nearer. What
    another leader counted by a clock that was wrong is `compiler.handover`'s concern.
    """

    def __init__(self, unix_time: float) -> None:
        self._offset = min(max(unix_time, 0.0), _LATEST) - time.clock_gettime(_COUNTER)

    def now(self) -> float:
        """Return the Unix time."""
        return self._offset + time.clock_gettime(_COUNTER)
