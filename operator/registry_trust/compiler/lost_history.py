"""Lost history: nodes that have seen a later bundle than there is, because the cluster's state was set back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from registry_trust.compiler.removals import GUARD_WINDOW
from registry_trust.core.bundle import HIGHEST_SERIAL, Bundle, IndexedTrust, LostHistory
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport

LONGEST_STEP = 1_000_000
"""Serials that one node's word may raise the bundle's by: one bundle a second for eleven days."""


def highest_reported(reports: Iterable[NodeReport], bundle_uid: str, own: int = 0) -> int:
    """Return the highest serial that nodes may be believed to have of a bundle; 0 where none speaks of it.

    One node is enough, since after a loss only one may have the newest bundle; but it is believed only for
    `LONGEST_STEP` serials beyond `own`, or beyond what most nodes say. So a node that lies costs one write, and can't
    use up the serials.
    """
    serials = sorted(
        report.serial for report in reports if report.bundle_uid == bundle_uid and report.serial < HIGHEST_SERIAL
    )
    if not serials:
        return 0
    bound = max(own, serials[(len(serials) - 1) // 2]) + LONGEST_STEP
    return max((serial for serial in serials if serial <= bound), default=0)


def is_contradicted(reports: Iterable[NodeReport], bundle_uid: str, bundle: Bundle) -> bool:
    """Say whether a node has found that this bundle's history is not the one of what it has applied.

    What it found before the present writer's first serial was answered with that serial: `History` goes on after a
    lost history under another name. So the report of a node that is gone for ever is answered once.
    """
    present = bundle.writer(bundle.serial)
    since = 0 if present is None else present.since
    return any(
        report.bundle_uid == bundle_uid
        and report.serial >= since
        and any(notice.reason is Reason.HISTORY_LOST for notice in report.notices)
        for report in reports
    )


def go_on_after(bundle: Bundle, serial: int, now: float | None = None) -> Bundle:
    """Return a bundle that every node takes as newer than a serial, and whose trusts all count as changed by it.

    What stood under the lost serials nobody knows, so that no node counts as current before it has this one, and no
    node loses what it has for as long as the mass-removal guard would hold it.

    Args:
        bundle: the last one that is known.
        serial: the highest one that was lost.
        now: Unix time from which nodes hold what they have; None where they are not to begin that again.
    """
    return replace(
        bundle,
        serial=serial + 1,
        trusts=tuple(_known_from(trust, serial + 1, certain=now is None) for trust in bundle.trusts),
        lost_history=bundle.lost_history if now is None else LostHistory(serial + 1, now + GUARD_WINDOW),
    )


def _known_from(trust: IndexedTrust, serial: int, *, certain: bool) -> IndexedTrust:
    """Return a trust that counts as changed by a serial; what nodes have of one that was new is certain no longer."""
    rollout = trust.rollout if trust.candidate is None else replace(trust.candidate, since=serial)
    return replace(trust, since=serial, rollout=rollout, unserved=trust.unserved and certain)


def still_held(lost: LostHistory | None, now: float, *, confirmed_serial: int, frozen: bool) -> LostHistory | None:
    """Return the lost history for which nodes still hold what they have; see `removals.judge` for what ends that."""
    if lost is None or confirmed_serial >= lost.since or (now >= lost.held_until and not frozen):
        return None
    return lost
