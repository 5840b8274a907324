"""Acceptance: the bundle that this node applies, the newest that it received unless that is a step back."""

from __future__ import annotations

import logging
from dataclasses import replace

from registry_trust.agent import rollback
from registry_trust.agent.delivery.inbox import ReceivedBundle
from registry_trust.agent.rollback import PATIENCE, Applied
from registry_trust.core.bundle import LostHistory
from registry_trust.core.problem import Problem

log = logging.getLogger(__name__)


class Acceptance:
    """What was accepted so far, and what is refused now.

    Attributes:
        bundle: the bundle to apply; None before the first. One that does not follow what this node applied says that a
            history was lost, as if its operator knew, for as long as `PATIENCE`; the roots remember it after that.
        notice: for the node report, why the last bundle was refused, or taken all the same; None where all is usual.
    """

    def __init__(self) -> None:
        self.bundle: ReceivedBundle | None = None
        self.notice: Problem | None = None
        self._received: ReceivedBundle | None = None
        """What was accepted last, as it came."""
        self._applied: tuple[Applied, ...] | None = None
        self._refused_since: float | None = None
        self._lost: LostHistory | None = None
        self._lost_until = 0.0
        """When the lost history that this node found by itself is over, in monotonic time."""

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

    def to_remember(self, applied: Applied) -> Applied:
        """Return what the roots are to remember when a bundle was applied as a whole.

        It is the one before for as long as this node holds what it has on its own: a restart must not end that.
        """
        return applied if self._lost is None else self.last_applied(applied.uid)

    def last_applied(self, uid: str) -> Applied:
        """Return the bundle that was last applied as a whole; one of this Secret, if there was one."""
        return rollback.newest(self._applied or (), uid) or Applied("", 0)

    def consider(self, received: ReceivedBundle | None, now: float, wall: float) -> None:
        """Accept or refuse what was received last, at a monotonic and a Unix time."""
        if self._lost is not None and now >= self._lost_until:
            self.bundle, self.notice, self._lost = self._received, None, None
        if received is None or received is self._received or self._applied is None:
            return
        serial = received.bundle.serial
        previous = rollback.newest(self._applied, received.uid)
        decision = rollback.decide(previous, received.uid, serial, self._refused_since, now)
        self._refused_since, notice = decision.refused_since, decision.notice
        if decision.accepted:
            log.info("bundle serial %d with %d trusts", serial, len(received.bundle.trusts))
            self._received = self.bundle = received
            if self._finds_a_loss(received, previous, now, wall):
                self.bundle = replace(received, bundle=replace(received.bundle, lost_history=self._lost))
                notice = rollback.lost_history(self.last_applied(received.uid), serial)
        if notice and notice != self.notice:
            log.warning("%s", notice)
        self.notice = notice

    def wait(self, now: float) -> float | None:
        """Return the seconds until a refused bundle is taken after all, or a hold is over; None if neither is."""
        ends = [] if self._refused_since is None else [self._refused_since + PATIENCE]
        ends += [] if self._lost is None else [self._lost_until]
        return max(0.0, min(ends) - now) if ends else None

    def _finds_a_loss(self, received: ReceivedBundle, previous: Applied | None, now: float, wall: float) -> bool:
        """Say whether this node holds what it has although the bundle does not say that a history was lost."""
        told = received.bundle.lost_history is not None
        if told or not rollback.is_of_another_history(previous, received.uid, received.bundle):
            self._lost = None
        elif self._lost is None:
            self._lost, self._lost_until = LostHistory(received.bundle.serial, wall + PATIENCE), now + PATIENCE
        return self._lost is not None
