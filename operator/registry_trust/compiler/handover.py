"""Handover: what a new leader makes of the times in a bundle that another process wrote, by a clock of its own."""

from __future__ import annotations

from dataclasses import replace

from registry_trust.compiler.removals import GUARD_WINDOW
from registry_trust.core.bundle import Bundle, IndexedTrust, TrustState


def take_over(bundle: Bundle, now: float) -> Bundle:
    """Return a bundle whose times this process may count on from.

    The clock of whoever wrote it may have been wrong. So the short waits that keep a mistake from the nodes (a removed
    trust's grace, the mass-removal guard, the hold after a lost history) begin again and pass while this process looks
    on. What lasts a day would never end if restarts began it again: it goes on; a time that is in the future is now.

    Args:
        bundle: as it was read.
        now: Unix time of the clock that counts on from here.
    """
    return replace(
        bundle,
        trusts=tuple(_taken_over(trust, now) for trust in bundle.trusts),
        removals=tuple((name, now) for name, _ in bundle.removals),
        lost_history=None if (lost := bundle.lost_history) is None else replace(lost, held_until=now + GUARD_WINDOW),
    )


def _taken_over(trust: IndexedTrust, now: float) -> IndexedTrust:
    return replace(
        trust,
        removed_at=now if trust.state is TrustState.REMOVED else None,
        origins=tuple(
            origin if origin.replaced_at is None else replace(origin, replaced_at=min(origin.replaced_at, now))
            for origin in trust.origins
        ),
        roots_replaced=tuple((source, min(moment, now)) for source, moment in trust.roots_replaced),
        rollout=(
            trust.rollout
            if trust.candidate is None
            else replace(trust.candidate, started_at=min(trust.candidate.started_at, now))
        ),
    )
