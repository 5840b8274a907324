"""Events: what changed between two statuses of a trust that an admin should be told once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry_trust.core.reasons import Reason
from registry_trust.core.text import clip

NOTE_LIMIT = 1000
"""Bytes of an Event's note (the API server's limit is 1,024)."""

_ON_THE_WAY = frozenset({Reason.NODES_PENDING.value, Reason.NOT_ACCEPTED.value})
"""Reasons of Distributed that pass by themselves, or that Accepted tells already: no Event for them."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One Event to be: type (`Normal` or `Warning`), reason, action and note."""

    kind: str
    reason: str
    action: str
    note: str


def notices(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Notice]:
    """Return the Events for the way from one status to the next; none where nothing turned."""
    old, new = _by_type(before), _by_type(after)
    found: list[Notice] = []
    for kind, bad in (("Accepted", "Rejected"), ("Distributed", "NotDistributed")):
        was, now = old.get(kind, {}), new.get(kind, {})
        turned = was.get("status") != now.get("status")
        if turned and now.get("status") == "True":
            found.append(Notice("Normal", kind, kind, _note(now)))
        told = now.get("status") == "False" and now.get("reason") not in _ON_THE_WAY
        if told and (turned or was.get("reason") != now.get("reason")):
            found.append(Notice("Warning", bad, kind, f"{now.get('reason')}: {_note(now)}"))
    was, now = old.get("Expiring", {}), new.get("Expiring", {})
    if now.get("status") == "True" and (was.get("status"), was.get("reason")) != ("True", now.get("reason")):
        found.append(Notice("Warning", str(now.get("reason")), "Expiring", _note(now)))
    found.extend(_roots(before, after))
    return found


def _roots(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Notice]:
    """Return the Event that a change of trusted CA certificates always leaves, with their SHA-256."""
    old = {str(c["sha256"]) for c in before.get("certificates") or () if c.get("kind") == "CA"}
    new = {str(c["sha256"]) for c in after.get("certificates") or () if c.get("kind") == "CA"}
    if old == new or not before.get("revision"):
        return []
    parts = [
        f"{word} {', '.join(digest[:16] for digest in sorted(digests))}"
        for word, digests in (("added", new - old), ("removed", old - new))
        if digests
    ]
    note = clip("CA certificates by SHA-256: " + "; ".join(parts), NOTE_LIMIT)
    return [Notice("Normal", "TrustRootsChanged", "Compile", note)]


def _by_type(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(condition["type"]): condition for condition in status.get("conditions") or ()}


def _note(condition: Mapping[str, Any]) -> str:
    return clip(str(condition.get("message", "")), NOTE_LIMIT - 64)
