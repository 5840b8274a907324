"""Backoff: how long to wait after a failure, as pure arithmetic over a random number that is passed in."""

from __future__ import annotations

from collections.abc import Callable

Random = Callable[[], float]
"""Returns a number in [0, 1), as `random.random` does."""

LONGEST_REFUSAL = 150.0
"""Seconds of a server's Retry-After that are heeded: a maintenance page that names a day makes no fleet deaf for it."""


def full_jitter(failures: int, random: Random, *, floor: float = 0.5, ceiling: float = 30.0) -> float:
    """Return the seconds to wait after the given number of failures in a row (1 for the first).

    Uniform between 0 and an exponential bound, so that 5,000 agents that lost one API server together come back
    spread over half a minute; a whole one would leave some without the bundle for longer than that after the server's
    return (the first answer is often one more refusal). `floor` keeps a lucky draw from being a hot loop.
    """
    bound = min(ceiling, 2.0 ** min(failures, 16))
    return max(floor, bound * random())


def after_refusal(failures: int, retry_after: float, random: Random) -> float:
    """Return the seconds to wait if the server said how long: at least that, at most twice, and never above 300."""
    if not retry_after > 0:  # Not a number is not above 0, either.
        return full_jitter(failures, random)
    return min(retry_after, LONGEST_REFUSAL) * (1 + random())
