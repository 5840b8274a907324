"""Pulse: what an attacker has done so far, shared with the writer, so that both are always at work together."""

from __future__ import annotations

import mmap
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tools.trials.interruptions import Calls

TURN = 0.002
"""Seconds that the store's next change waits at most for the attacker: it may find nothing to attack just then."""

PATIENCE = 60
"""Seconds after which an attacker that does nothing has failed the test."""


class AttackPulse:
    """What an attacker has done so far, in memory that it shares with the writer: rounds, attempts, successes."""

    def __init__(self, file: Path) -> None:
        """Map the file; its first owner makes it."""
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(descriptor, 24)
        self.numbers = memoryview(mmap.mmap(descriptor, 24)).cast("Q")
        os.close(descriptor)

    def round(self) -> None:
        """Count a round, whether there was anything to attack in it or not."""
        self.numbers[0] += 1

    def attempt(self, *, succeeded: bool = False) -> None:
        """Count an attempt."""
        self.numbers[1] += 1
        self.numbers[2] += succeeded

    @property
    def attempts(self) -> int:
        """How many there were."""
        return self.numbers[1]

    @property
    def successes(self) -> int:
        """How many of them succeeded."""
        return self.numbers[2]

    def await_change(self, after: int) -> int:
        """Wait until the attacker did anything, so that it and the writer are always at work together."""
        deadline = time.monotonic() + PATIENCE
        while (done := self.numbers[0] + self.numbers[1]) == after:
            assert time.monotonic() < deadline, f"the attacker has done nothing for {PATIENCE} s"
            time.sleep(0)
        return done


@dataclass
class Watched(Calls):
    """Counts the calls of the store, and before how many of them an attacker was at work."""

    pulse: AttackPulse | None = None
    attempts: int = 0
    attacked: int = 0

    def before(self, name: str) -> None:
        """Let the attacker act before each call, also where there is one processor for both."""
        super().before(name)
        if self.pulse is None:
            return
        deadline = time.monotonic() + TURN
        while self.pulse.attempts == self.attempts and time.monotonic() < deadline:
            time.sleep(TURN / 50)
        self.attacked += self.pulse.attempts != self.attempts
        self.attempts = self.pulse.attempts
