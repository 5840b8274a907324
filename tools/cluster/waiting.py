"""Waits for a condition with a deadline, and says what was waited for when it does not come true."""

import time
from collections.abc import Callable
from typing import Literal, TypeVar

Found = TypeVar("Found")


class NotInTimeError(AssertionError):
    """The condition did not come true; the message says which, and what was seen last."""


def wait_until(
    condition: Callable[[], Found | Literal[False] | None],
    what: str,
    *,
    within: float = 30,
    every: float = 0.05,
    meanwhile: Callable[[], object] = lambda: None,
) -> Found:
    """The condition's first true value.

    The condition may raise AssertionError to say why it does not hold yet. `meanwhile` is called at every round, and
    may raise anything to end the wait early: a process that has died will not become ready. Times are in seconds.

    Raises NotInTimeError.
    """
    deadline = time.monotonic() + within
    while True:
        meanwhile()
        last: object = None
        try:
            if found := condition():
                return found
            last = found
        except AssertionError as error:
            last = error
        if time.monotonic() >= deadline:
            message = f"not within {within:g} s: {what} (last seen: {last})"
            raise NotInTimeError(message)
        time.sleep(every)
