"""Backoff: how long to wait after a failure, as pure arithmetic over a random number that is passed in."""

from __future__ import annotations

from collections.abc import Callable

Random = Callable[[], float]
"""Returns a number in [0, 1), as `random.random` does."""

LONGEST_REFUSAL = 150.0
"""Seconds of a server's Retry-After that are heeded: a maintenance page that names a day makes no fleet deaf for it."""


_SHARE = 7.0
"""The shortest pause is this part of the longest (or the floor). An agent asks in four threads, and with every answer
lost or refused each of them then waits 30/7 s at least: together they ask less than once a second."""


def full_jitter(failures: int, random: Random, *, floor: float = 0.5, ceiling: float = 30.0) -> float:
    """Return the seconds to wait after the given number of failures in a row (1 for the first).

    Uniform up to an exponential bound, so 5,000 agents that lost one API server together come back spread over
    half a minute; a whole one would leave some without the bundle for longer than that after the server's return (the
    first answer is often one more refusal). `floor` keeps lucky draws after the first failures from being a hot loop.
    """
    bound = min(ceiling, 2.0 ** min(failures, 16))
    return max(floor, bound / _SHARE, bound * random())


def after_refusal(failures: int, retry_after: float, random: Random) -> float:
    """Return the seconds to wait if the server said how long: at least that, at least the backoff, never above 300.

    The backoff, too, because kube-apiserver asks for 1 second with each 429, however long it has too much to do.
    """
    backoff = full_jitter(failures, random)
    if not retry_after > 0:  # Not a number is not above 0, either.
        return backoff
    return max(backoff, min(retry_after, LONGEST_REFUSAL) * (1 + random()))
