"""The bundle's history: what was written last, what the Secret holds now, and when it may be written again."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace

from registry_trust.compiler.compile import Compiled
from registry_trust.compiler.handover import take_over
from registry_trust.compiler.lost_history import go_on_after, highest_reported, is_contradicted
from registry_trust.controller import metrics
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.budget import Budget
from registry_trust.controller.bundle_secret import BundleSecret, StoredBundle
from registry_trust.controller.clock import Clock
from registry_trust.core.bundle import Bundle
from registry_trust.core.bundle_format import encode, size_of
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport

_log = logging.getLogger(__name__)

BYTES_PER_SECOND = 200_000_000
"""What a burst of bundle writes may cost the API server: fleet size times bundle size over time."""

LONGEST_PAUSE = 10.0
"""Seconds between two writes of the bundle, at most, however large fleet and bundle are."""

LEAP_PAUSE = 600.0
"""Seconds between two writes that only a report of a later serial asks for: a lying node must not cost more."""

HOLDS, HOLD_EVERY = 2, 3600.0
"""Times that this process lets nodes hold removals for a lost history, and the seconds until it may once more: the
first node to report after a restore need not be the one that has the newest bundle, and one that lies must not hold
removals for ever."""


class History:
    """The one writer of the bundle's Secret, and what it remembers between two writes."""

    def __init__(self, server: ApiServer, namespace: str, name: str, clock: Clock) -> None:
        self._server = server
        self._secret = BundleSecret(server, namespace, name)
        self._where = f"{namespace}/{name}"
        self._clock = clock
        self._counted = clock.counted_from(clock.wall())
        self._next_write = self._next_leap = clock.steady()
        self._holds = Budget(HOLDS, HOLD_EVERY)
        self._told_missing = False
        self._name = _some_name()
        self.stored: StoredBundle | None = None
        """The Secret as it was read or written last; None while it is not there, or another process wrote it."""
        self.last = Bundle()
        """The bundle that the next one follows."""

    @property
    def uid(self) -> str:
        """Return the UID of the Secret; empty while there is none."""
        return self.stored.uid if self.stored is not None else ""

    @property
    def refusal(self) -> Problem | None:
        """Return why nothing may be written over what the Secret holds: a newer operator wrote it."""
        problem = self.stored.problem if self.stored is not None else None
        return problem if problem is not None and problem.reason is Reason.UNSUPPORTED_BUNDLE else None

    def now(self) -> float:
        """Return the Unix time that the times in the bundle count by, which nobody can set."""
        return self._counted.now()

    def pause(self) -> float:
        """Return the seconds until the bundle may be written again."""
        return max(0.0, self._next_write - self._clock.steady())

    def look(self, reports: Sequence[NodeReport]) -> bool:
        """Look whether the Secret changed, or nodes have seen a later bundle; say whether to compile.

        Raises:
            ApiFailure: the API server did not say.
        """
        version = self._secret.version()
        changed = (self.stored is None or version != self.stored.version) and self._reload(version, reports)
        return self._leap(reports) or changed

    def write(self, compiled: Compiled, fleet_size: int) -> None:
        """Write a bundle over what was read.

        Raises:
            ApiFailure: it could not be written.
        """
        assert self.stored is not None  # noqa: S101 - nothing is compiled before it was read
        data = compiled.encoded if compiled.changed else encode(compiled.bundle)
        try:
            self.stored = self._secret.write(compiled.bundle, data, self.stored)
        except ApiFailure as error:
            metrics.BUNDLE_WRITES.labels("failure").inc()
            if error.status in (404, 409):
                self.stored = None  # Another process wrote it: read it again before the next compilation.
            raise
        serial, size = compiled.bundle.serial, size_of(data)
        metrics.BUNDLE_WRITES.labels("success").inc()
        metrics.BUNDLE_SERIAL.set(serial)
        metrics.BUNDLE_BYTES.set(size)
        _log.info("bundle written", extra={"serial": serial, "bytes": size, "trusts": len(compiled.bundle.trusts)})
        self._next_write = self._clock.steady() + min(LONGEST_PAUSE, fleet_size * size / BYTES_PER_SECOND)

    def _reload(self, version: str, reports: Sequence[NodeReport]) -> bool:
        """Read the Secret again; what is in memory stays in force where the Secret holds no bundle."""
        if not version:
            if not self._told_missing:
                _log.error(
                    "the bundle Secret does not exist; apply the chart or deploy/ again to create it",
                    extra={"secret": self._where},
                )
            self._told_missing, self.stored = True, None
            return False
        self._told_missing = False
        self.stored = stored = self._secret.read()
        if self.last.serial == 0:
            # The API server's clock is one for all leaders; without its word, this machine's.
            self._counted = self._clock.counted_from(self._server.date or self._clock.wall())
        if stored.problem is not None:
            _log.warning("the bundle Secret holds no bundle", extra={"error": str(stored.problem)})
            # A serial that no node of this bundle has seen yet, although the Secret was emptied.
            serial = max(self.last.serial, highest_reported(reports, stored.uid, self.last.serial))
            if self.last.serial == 0 and any(report.serial for report in reports):
                # Nodes have had a bundle, and neither the Secret nor this process knows what was in it.
                self._go_on_after(serial)
            else:
                self.last = replace(self.last.written_by(self._name, self.last.serial + 1), serial=serial)
        elif stored.bundle.serial < self.last.serial:
            # An older bundle under us (a restored etcd): what is in memory is newer, and is written over it.
            self.stored = _outdated(stored)
        elif stored.bundle.serial != self.last.serial or not stored.bundle.same_content(self.last):
            self.last = take_over(stored.bundle, self.now()).written_by(self._name, stored.bundle.serial + 1)
        return True

    def _leap(self, reports: Sequence[NodeReport]) -> bool:
        """Go on after the serials of a history that was lost (a restored etcd); say whether there is such a thing."""
        if self.stored is None or self.last.serial == 0 or self._clock.steady() < self._next_leap:
            return False
        reported = max(highest_reported(reports, self.stored.uid, self.last.serial), self.last.serial)
        if reported == self.last.serial and not is_contradicted(reports, self.stored.uid, self.last):
            return False
        _log.warning(
            "nodes have applied a bundle that is not known, so the cluster's state was set back; going on after it",
            extra={"serial": self.last.serial, "reported": reported},
        )
        self._next_leap = self._clock.steady() + LEAP_PAUSE
        self._go_on_after(reported)
        self.stored = _outdated(self.stored)
        return True

    def _go_on_after(self, serial: int) -> None:
        """Follow a serial of a lost history; nodes hold what they have of it, unless one may have said so in vain.

        It goes on under another name: what nodes find until then is answered by that (`is_contradicted`).
        """
        self._name = _some_name()
        last = self.last.written_by(self._name, serial + 1)
        self.last = go_on_after(last, serial, self.now() if self._holds.take(self._clock.steady()) else None)


def _some_name() -> str:
    return secrets.token_hex(4)


def _outdated(stored: StoredBundle) -> StoredBundle:
    message = f"the Secret holds serial {stored.bundle.serial}, an older one"
    return replace(stored, problem=Problem(Reason.BUNDLE_UNREADABLE, message))
