"""Acceptance: the bundle that this node applies, the newest that it received unless that is a step back."""

from __future__ import annotations

import logging

from registry_trust.agent import rollback
from registry_trust.agent.delivery.inbox import ReceivedBundle
from registry_trust.agent.rollback import PATIENCE, Applied
from registry_trust.core.problem import Problem

log = logging.getLogger(__name__)


class Acceptance:
    """What was accepted so far, and what is refused now.

    Attributes:
        bundle: the bundle to apply; None before the first.
        notice: for the node report, why the last bundle was refused, or taken all the same; None where all is usual.
    """

    def __init__(self) -> None:
        self.bundle: ReceivedBundle | None = None
        self.notice: Problem | None = None
        self._applied: tuple[Applied, ...] | None = None
        self._refused_since: float | None = None

    def looked(self) -> bool:
        """Say whether it is known what the roots remember: before that no bundle is accepted."""
        return self._applied is not None

    def remember(self, applied: tuple[Applied, ...]) -> None:
        """Note what the roots remember of their bundles; with a bundle accepted, that one is known better."""
        if self.bundle is None or self._applied is None:
            self._applied = applied

    def applied(self, applied: Applied) -> None:
        """Note that a bundle was applied as a whole."""
        self._applied = (applied,)

    def last_applied(self, uid: str) -> Applied:
        """Return the bundle that was last applied as a whole; one of this Secret, if there was one."""
        return rollback.newest(self._applied or (), uid) or Applied("", 0)

    def consider(self, received: ReceivedBundle | None, now: float) -> None:
        """Accept or refuse what was received last (monotonic time `now`)."""
        if received is None or received is self.bundle or self._applied is None:
            return
        serial = received.bundle.serial
        previous = rollback.newest(self._applied, received.uid)
        decision = rollback.decide(previous, received.uid, serial, self._refused_since, now)
        if decision.notice and decision.notice != self.notice:
            log.warning("%s", decision.notice)
        self._refused_since = decision.refused_since
        self.notice = decision.notice
        if decision.accepted:
            log.info("bundle serial %d with %d trusts", serial, len(received.bundle.trusts))
            self.bundle = received

    def wait(self, now: float) -> float | None:
        """Return the seconds until a refused bundle is taken after all; None where none is refused."""
        return None if self._refused_since is None else max(0.0, self._refused_since + PATIENCE - now)
