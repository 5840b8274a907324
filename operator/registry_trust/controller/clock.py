"""The clock that is handed in: the time that people and certificates go by, and the time that nobody can set."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

_COUNTER = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux counts the time that a machine slept in CLOCK_BOOTTIME only."""

_LATEST = 2.0**33
"""Unix time in the year 2242: whatever is counted from here on is a time that a bundle can hold."""


def _steady() -> float:
    return time.clock_gettime(_COUNTER)


@dataclass(frozen=True, slots=True)
class Clock:
    """Two clocks, in seconds: `wall` is Unix time as the machine has it, `steady` counts on from some moment."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = _steady

    def date(self) -> datetime:
        """Return the time as the machine has it, in UTC."""
        return datetime.fromtimestamp(self.wall(), UTC)

    def counted_from(self, unix_time: float) -> CountedTime:
        """Return Unix time that goes on from here by the steady clock."""
        return CountedTime(self.steady, min(max(unix_time, 0.0), _LATEST) - self.steady())


@dataclass(frozen=True, slots=True)
class CountedTime:
    """Unix time as it was said to be once, and the seconds since then.

    A system clock that is put right, or wrong, moves neither a retained CA certificate nor a removal nearer. What
    another leader counted by a clock that was wrong is `compiler.handover`'s concern.
    """

    _steady: Callable[[], float]
    _offset: float

    def now(self) -> float:
        """Return the Unix time."""
        return self._offset + self._steady()
