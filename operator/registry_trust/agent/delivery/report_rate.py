"""The report rate: how widely the reports of a fleet are spread, by what the API server takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from registry_trust.agent.backoff import Random


@dataclass(slots=True)
class ReportRate:
    """How many reports a second the API server takes from the whole fleet, as this agent's own reports let it think.

    No agent knows what the others do. But all of them ask one server, and each writes one report for a rotation: so
    they see much the same, and their rates rise and fall together.
    """

    rate: float = 150.0
    """Reports a second; before the first answer as many as an API server of two cores writes."""

    FEWEST: ClassVar[float] = 50.0
    """A second, at least, and the size of a fleet that never waits; a server that takes fewer refuses the others."""
    MOST: ClassVar[float] = 1000.0
    QUICK: ClassVar[float] = 0.25
    """Seconds within which an answer says that the server could take more."""
    SLOW: ClassVar[float] = 1.0
    """Seconds from which an answer says that requests wait in a queue (priority and fairness) or for the CPU."""

    def answered(self, seconds: float) -> None:
        """A report was taken, and its answer took so long."""
        if seconds < self.QUICK:
            self.rate = min(self.MOST, self.rate * 1.5)
        elif seconds > self.SLOW:
            self.slow_down()

    def slow_down(self) -> None:
        """The server has too much to do: it said so (429, 503), or did not answer in time."""
        self.rate = max(self.FEWEST, self.rate * 0.7)

    def spread(self, fleet_size: int, rand: Random) -> float:
        """Return the seconds to delay a report, so the fleet writes about `rate` reports a second.

        Up to a second's worth of reports is not delayed at all.
        """
        return 0.0 if fleet_size <= self.rate else fleet_size / self.rate * rand()
