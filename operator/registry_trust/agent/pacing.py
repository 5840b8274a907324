"""Pacing: how soon an entry is repaired or written again when somebody fights back or the disk refuses."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from registry_trust.agent.backoff import Random, full_jitter
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason

WINDOW = 600.0
"""Seconds in which repairs of one entry are counted."""
TOLERATED = 5
"""Repairs of one entry in the window that are made at once."""
SLOWEST = 60.0
"""Seconds between two tries, at most."""
SLOWEST_REPAIR = 15.0
"""Seconds between two repairs, at most: whoever clears the root at each start, every 20 s, is repaired at once."""
AGAIN = (0.5, 2.0)
"""Seconds until a repair that is undone is made again, the first and the second time in `SLOWEST_REPAIR`.

Whoever clears a root takes time for it, and can still delete files of the repair that its first deletion called for.
"""

Key = tuple[str, str]
"""A target's path and an entry; the entry is empty for the target as a whole."""


class Repairs:
    """Counts the repairs of each entry, and spaces them out when there are too many."""

    def __init__(self) -> None:
        self._times: dict[Key, deque[float]] = {}
        self.total = 0

    def record(self, key: Key, now: float) -> None:
        """Count one repair at monotonic time `now`."""
        self.total += 1
        self._times.setdefault(key, deque(maxlen=64)).append(now)

    def is_contested(self, key: Key, now: float) -> bool:
        """Say whether somebody keeps undoing the entry."""
        return self.recent(key, now) > TOLERATED

    def contested(self, now: float) -> list[Key]:
        """Return the entries that somebody keeps undoing."""
        return [key for key in list(self._times) if self.is_contested(key, now)]

    def recent(self, key: Key, now: float) -> int:
        """Return the number of repairs in the window (64 at most)."""
        times = self._times.get(key)
        if times is None:
            return 0
        while times and now - times[0] > WINDOW:
            times.popleft()
        if not times:
            del self._times[key]
        return len(times)

    def wait(self, key: Key, now: float) -> float:
        """Return the seconds until the next repair of the entry may be made; 0 where it may be made now."""
        if self.recent(key, now) <= TOLERATED:
            return 0.0
        times = self._times[key]
        lately = sum(now - each < SLOWEST_REPAIR for each in times)
        if not lately:
            return 0.0
        if lately <= len(AGAIN):
            return max(0.0, times[-1] + AGAIN[lately - 1] - now)
        return times[-1 - len(AGAIN)] + SLOWEST_REPAIR - now

    def notice(self) -> Problem | None:
        """Return a notice that does not change with each repair: a fight must not become a stream of reports."""
        if not self.total:
            return None
        steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
        reached = max(step for step in steps if step <= self.total)
        message = f"{reached} or more repairs since the agent started; another process is changing its files"
        return Problem(Reason.DRIFT_REPAIRED, message)


@dataclass(slots=True)
class _Failure:
    wanted: str
    count: int
    due: float
    problem: Problem


@dataclass(slots=True)
class Failures:
    """Remembers what failed, and when it is to be tried again: 1 s to 60 s later, with jitter."""

    rand: Random = random.random
    _failures: dict[Key, _Failure] = field(default_factory=dict)

    def record(self, key: Key, wanted: str, problem: Problem, now: float) -> None:
        """Note a failure; `wanted` is the digest that could not be written."""
        known = self._failures.get(key)
        count = known.count + 1 if known is not None and known.wanted == wanted else 1
        due = now + full_jitter(count, self.rand, floor=1.0, ceiling=SLOWEST)
        self._failures[key] = _Failure(wanted, count, due, problem)

    def clear(self, key: Key) -> None:
        """It worked."""
        self._failures.pop(key, None)

    def waiting(self, key: Key, wanted: str, now: float) -> Problem | None:
        """Return why something failed that is not yet to be tried again; other content is tried now."""
        known = self._failures.get(key)
        if known is None or known.wanted != wanted or now >= known.due:
            return None
        return known.problem

    def next_due(self, now: float) -> float | None:
        """Return the seconds until the next try; None where nothing failed."""
        return max(0.0, min(f.due for f in self._failures.values()) - now) if self._failures else None

    def keep(self, keys: set[Key]) -> None:
        """Forget everything but these."""
        for key in self._failures.keys() - keys:
            del self._failures[key]
