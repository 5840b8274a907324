"""A clock that goes on from a Unix time and that nobody can set: what ends by the passing of time ends by it."""

from __future__ import annotations

import time

_COUNTER = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux counts the time that a machine slept in CLOCK_BOOTTIME only."""


class SteadyClock:
    """Unix time as it was at the start, and the seconds since then.

    A system clock that is put right, or wrong, moves neither a retained CA certificate nor a removal nearer; a
    restart takes the system clock's word again.
    """

    def __init__(self, unix_time: float) -> None:
        self._offset = unix_time - time.clock_gettime(_COUNTER)

    def now(self) -> float:
        """Return the Unix time."""
        return self._offset + time.clock_gettime(_COUNTER)
