"""Removals: how long a trust that is gone is still served, and when so many are gone that an admin should confirm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from registry_trust.core.bundle import Bundle, IndexedTrust, TrustContent, TrustState

GRACE = 30.0
"""Seconds that a trust is served after it is gone, so that a rename (new one applied, old one deleted) has no gap."""

GUARD_WINDOW = 600.0
"""Seconds over which removals are counted, and that they are held for when they are too many."""

GUARD_MINIMUM = 3
"""Below this number of trusts nothing is ever a mass removal."""


@dataclass(frozen=True, slots=True)
class Removals:
    """What becomes of the trusts that are gone.

    Attributes:
        tombstones: those that stay in the index, by name.
        carried_out: name and Unix time of the removals within the guard's window that nobody confirmed; a trust that
            was made again under its name does not count.
        guarded: names of those that the guard holds.
        due: Unix time at which the next one matures; None without any.
    """

    tombstones: Mapping[str, IndexedTrust]
    carried_out: tuple[tuple[str, float], ...]
    guarded: tuple[str, ...]
    due: float | None


def decide_removals(
    last: Bundle,
    live: Mapping[str, TrustContent | None],
    now: float,
    *,
    coming: Iterable[TrustContent] = (),
    confirmed_serial: int = 0,
    frozen: bool = False,
) -> Removals:
    """Decide which of the trusts that are gone are still served.

    Args:
        last: the bundle as it was written last.
        live: every trust that exists, with the content that it is about to have.
        now: Unix time.
        coming: what trusts are to have and do not have yet, because it goes to their canaries first.
        confirmed_serial: removals that began at this serial or before are confirmed by the admin.
        frozen: nothing matures (the CRD is missing or terminating: then nobody removed the trusts one by one).

    A trust that covers all that a removed one gave ends its tombstone at once: nothing is removed. One that is to
    cover it when its canaries have tried it lets it stay until then: a rename has no gap, however long that takes.
    """
    coming = tuple(coming)
    gone = [_tombstone(trust, last.serial + 1, now) for trust in last.trusts if trust.name not in live]
    gone = [trust for trust in gone if not _covered(trust, live.values())]
    carried_out = {name: moment for name, moment in last.removals if now - moment < GUARD_WINDOW}
    lost = {trust.name for trust in gone} | (carried_out.keys() - live.keys())
    total = len(lost | live.keys())
    guarded = total >= GUARD_MINIMUM and 2 * len(lost) > total
    stay: dict[str, IndexedTrust] = {}
    by_guard: list[str] = []
    due: list[float] = []
    for trust in gone:
        removed_at = trust.removed_at if trust.removed_at is not None else now
        confirmed = confirmed_serial >= trust.since
        if not confirmed and _covered(trust, coming):
            stay[trust.name] = replace(trust, held_until=None)
            continue
        matures = removed_at + GRACE + (GUARD_WINDOW if guarded and not confirmed else 0.0)
        if not frozen and (confirmed or now >= matures):
            if not confirmed:
                carried_out[trust.name] = now
            continue
        by_the_guard = guarded and not confirmed
        stay[trust.name] = replace(trust, held_until=matures if by_the_guard else None)
        if by_the_guard:
            by_guard.append(trust.name)
        if not frozen:
            due.append(matures)
    return Removals(
        tombstones=stay,
        carried_out=tuple(sorted(carried_out.items())),
        guarded=tuple(sorted(by_guard)),
        due=min(due, default=None),
    )


def _tombstone(trust: IndexedTrust, serial: int, now: float) -> IndexedTrust:
    if trust.state is TrustState.REMOVED:
        return trust
    return replace(trust, state=TrustState.REMOVED, since=serial, removed_at=now, verifiers=(), rollout=None)


def _covered(gone: IndexedTrust, live: Iterable[TrustContent | None]) -> bool:
    content = gone.content
    return content is not None and any(other is not None and _covers(other, content) for other in live)


def _covers(other: TrustContent, content: TrustContent) -> bool:
    """Say whether every node that has `content` gets all of it from `other` too."""
    return (
        (other.selector is None or other.selector == content.selector)
        and set(content.registries) <= set(other.registries)
        and set(content.ca_certificates) <= set(other.ca_certificates)
        and set(content.client_certificates) <= set(other.client_certificates)
    )
