"""Rest: waits between two turns of the loop for news, for drift, or for the time."""

from __future__ import annotations

import select
import time

from registry_trust.agent.delivery.inbox import Inbox
from registry_trust.agent.store.drift import Drift

DRIFT_PAUSE = 0.2
"""Seconds between two passes that drift alone asks for."""

RESTLESS = 10
"""Passes in a row for drift after which the pause becomes `QUIET`: somebody writes there all the time."""

QUIET = 1.0
"""Seconds without drift after which nobody writes there all the time."""


class Rest:
    """Drift alone is let wait a moment, so that a burst is one pass."""

    def __init__(self, inbox: Inbox, drift: Drift) -> None:
        self._inbox = inbox
        self._drift = drift
        self._restless = 0

    def wait(self, seconds: float) -> None:
        """Wait for so long at most."""
        began = time.monotonic()
        drift = self._drift.fileno()
        watched = [self._inbox.fileno(), *([] if drift is None else [drift])]
        readable, _, _ = select.select(watched, [], [], seconds)
        for_drift = bool(readable) and self._inbox.fileno() not in readable
        waited = time.monotonic() - began
        self._restless = self._restless + 1 if for_drift and waited < QUIET else 0
        rest = (DRIFT_PAUSE if self._restless < RESTLESS else QUIET) - waited
        if for_drift and rest > 0:
            select.select([self._inbox.fileno()], [], [], rest)
