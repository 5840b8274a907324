"""Tenure: whose bundle a store serves, and how long another installation that finds it there has to wait."""

from __future__ import annotations

from dataclasses import dataclass

SIGN_EVERY = 60.0
"""Seconds between two signs of life that the agent whose bundle a store serves leaves in it."""

ABANDONED = 600.0
"""Seconds without one, as this process counted them, after which the store is another installation's to take over."""


@dataclass(slots=True)
class Tenure:
    """What this process saw of the installation that has a store."""

    owner: str = ""
    sign: int = 0
    since: float = 0.0

    def must_wait(self, owner: str, source: str, sign: int, now: float) -> bool:
        """Say whether the store is another installation's that is at work.

        Args:
            owner: whose bundle the store serves, `namespace/name`; empty for nobody's: `registry-trust apply` made it,
                or a version that did not write it down.
            source: our own bundle.
            sign: the last sign of life in the store; only its changes count, and no clock.
            now: monotonic time.
        """
        if owner in ("", source):
            self.owner = ""
            return False
        if (owner, sign) != (self.owner, self.sign):
            self.owner, self.sign, self.since = owner, sign, now
        return now - self.since < ABANDONED
