"""Lost history: nodes that have seen a later bundle than there is, because the cluster's state was set back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from registry_trust.core.bundle import HIGHEST_SERIAL, Bundle
from registry_trust.core.report import NodeReport


def highest_reported(reports: Iterable[NodeReport], bundle_uid: str) -> int:
    """Return the highest serial that a node says it has of a bundle; 0 where none speaks of it."""
    serials = (report.serial for report in reports if report.bundle_uid == bundle_uid)
    return max((serial for serial in serials if serial < HIGHEST_SERIAL), default=0)


def go_on_after(bundle: Bundle, serial: int) -> Bundle:
    """Return a bundle that every node takes as newer than a serial, and whose trusts all count as changed by it.

    What stood under the lost serials nobody knows, so that no node counts as current before it has this one.
    """
    return replace(
        bundle,
        serial=serial + 1,
        trusts=tuple(replace(trust, since=serial + 1) for trust in bundle.trusts),
    )
