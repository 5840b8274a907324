"""Events: what changed between two statuses of a trust that an admin should be told once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry_trust.core.certificate_state import CertificateState
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import clip, listing

NOTE_LIMIT = 1000
"""Bytes of an Event's note (the API server's limit is 1,024)."""

MANY = 6
"""From this number of changed CA certificates on, their SHA-256 are shown by their beginnings, so that all fit."""

MOST_DIGESTS = 20
"""SHA-256 that one half of a note shows: two halves of as many beginnings fit."""

SHOWN = 3
"""Items that one note lists."""

Row = Mapping[str, Any]
"""One entry of a list in a status."""

_ON_THE_WAY = frozenset(
    {Reason.NODES_PENDING.value, Reason.NOT_ACCEPTED.value, Reason.ROLLING_OUT.value, Reason.CANARY_FAILED.value}
)
"""Reasons of Distributed that pass by themselves, or that something else tells already: no Event for them."""

_NOT_FAILING = frozenset(
    {
        Reason.NODE_PENDING.value,
        Reason.NODE_UNREACHABLE.value,
        Reason.AGENT_SILENT.value,
        Reason.ROLLING_OUT.value,
    }
)
"""Reasons in `failingNodes` of nodes that are only late, away, or without an agent."""


@dataclass(frozen=True, slots=True)
class Event:
    """One Event to be: its type (`Normal` or `Warning`), its reason and note, and the action that brought it about."""

    kind: str
    problem: Problem
    action: str


def events(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Event]:
    """Return the Events for the way from one status to the next; none where nothing turned."""
    old, new = _certificates(before, after)
    return [
        *_conditions(before, after),
        *_rollout(before, after),
        *_nodes(before, after),
        *_dates(old, new),
        *(_authorities(old, new) if before.get("revision") else ()),
    ]


def _conditions(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Event]:
    old, new = _by_type(before), _by_type(after)
    found: list[Event] = []
    for kind, bad in (
        (Reason.ACCEPTED, Reason.REJECTED),
        (Reason.DISTRIBUTED, Reason.NOT_DISTRIBUTED),
        (Reason.VERIFIED, Reason.VERIFICATION_FAILED),
    ):
        was, now = old.get(kind, {}), new.get(kind, {})
        turned = was.get("status") != now.get("status")
        if turned and now.get("status") == "True":
            found.append(Event("Normal", Problem(kind, _note(now)), kind))
        told = now.get("status") == "False" and now.get("reason") not in _ON_THE_WAY
        if told and (turned or was.get("reason") != now.get("reason")):
            found.append(Event("Warning", Problem(bad, f"{now.get('reason')}: {_note(now)}"), kind))
    return found


def _rollout(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Event]:
    """Yield the Event of content that went from its canaries to all nodes, or back."""
    was, now = ((status.get("rollout") or {}).get("revision") for status in (before, after))
    if was and was == after.get("revision"):
        yield Event("Normal", Problem(Reason.ROLLED_OUT, f"revision {was} goes from its canaries to all nodes"), "Roll")
    old, ready = (_by_type(status).get("Ready", {}) for status in (before, after))
    if ready.get("reason") == Reason.CANARY_FAILED and (old.get("reason") != ready["reason"] or was != now):
        yield Event("Warning", Problem(Reason.CANARY_FAILED, _note(ready)), "Roll")


def _nodes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Event]:
    """Return the Events for nodes that began to fail and that have recovered.

    Only where each status names all that fail: a whole fleet that fails is one Event of Distributed.
    """
    old, new = _failing(before), _failing(after)
    if old is None or new is None:
        return []
    found: list[Event] = []
    worse = [f"{name}: {_problem(row)}" for name, row in new.items() if _problem(old.get(name)) != _problem(row)]
    if worse:
        found.append(Event("Warning", Problem(Reason.NODE_FAILING, note_of(worse)), "Distribute"))
    recovered = sorted(old.keys() - new.keys())
    if recovered:
        note = f"{listing(recovered, 10)} {'has' if len(recovered) == 1 else 'have'} recovered"
        found.append(Event("Normal", Problem(Reason.NODE_RECOVERED, clip(note, NOTE_LIMIT)), "Distribute"))
    return found


def _failing(status: Mapping[str, Any]) -> dict[str, Row] | None:
    """Return the failing nodes by name; None where there are more than the status names."""
    rows = {str(row["name"]): row for row in status.get("failingNodes") or () if row.get("reason") not in _NOT_FAILING}
    return rows if len(rows) == (status.get("nodes") or {}).get("failed", 0) else None


def _problem(row: Row | None) -> str:
    if row is None:
        return ""
    registry = f"{row['registry']}: " if row.get("registry") else ""
    return f"{row.get('reason', '')}: {registry}{row.get('message', '')}"


def _dates(old: Mapping[str, Row], new: Mapping[str, Row]) -> list[Event]:
    """Return one Event for each date that certificates crossed, with all that crossed it."""
    found: list[Event] = []
    for state in CertificateState:
        crossed = [
            row
            for key, row in new.items()
            if row.get("state") == state.value
            and "retainedUntil" not in row
            and old.get(key, {}).get("state") != state.value
        ]
        if state is CertificateState.VALID:
            # Good news only where it was awaited: a new certificate is valid as a matter of course.
            awaited = CertificateState.NOT_YET_VALID.value
            crossed = [row for row in crossed if old.get(_key(row), {}).get("state") == awaited]
        if crossed:
            kind = "Normal" if state is CertificateState.VALID else "Warning"
            note = note_of([_dated(row, state) for row in crossed])
            found.append(Event(kind, Problem(Reason(state.value), note), "Date"))
    return found


def _dated(row: Row, state: CertificateState) -> str:
    match state:
        case CertificateState.NOT_YET_VALID:
            words = f"is not valid before {row['notBefore']}"
        case CertificateState.VALID:
            words = "is valid now"
        case CertificateState.EXPIRED:
            words = f"expired on {row['notAfter']}; replace it in its source"
        case _:
            words = f"expires on {row['notAfter']}"
    return f"{_named(row)} {words}"


def _authorities(old: Mapping[str, Row], new: Mapping[str, Row]) -> list[Event]:
    """Return the Events that a change of trusted CA certificates always leaves, with their SHA-256."""
    was = {str(row["sha256"]): row for row in old.values() if row.get("kind") == "CA"}
    now = {str(row["sha256"]): row for row in new.values() if row.get("kind") == "CA"}
    found: list[Event] = []
    length = 64 if len(was.keys() ^ now.keys()) < MANY else 16
    # Each half has its own limit: many that came must not hide which went.
    parts = [
        f"{word} {listing([digest[:length] for digest in sorted(digests)], MOST_DIGESTS)}"
        for word, digests in (("added", now.keys() - was.keys()), ("removed", was.keys() - now.keys()))
        if digests
    ]
    if parts:
        note = clip("CA certificates by SHA-256: " + "; ".join(parts), NOTE_LIMIT)
        found.append(Event("Normal", Problem(Reason.TRUST_ROOTS_CHANGED, note), "Compile"))
    retained = [row for digest, row in now.items() if _is_retained(row) and not _is_retained(was.get(digest, {}))]
    if retained:
        stays = [f"{_named(row)} stays until {row['retainedUntil']}" for row in retained]
        note = note_of(stays, "; its source has replaced it (spec.caRetention)")
        found.append(Event("Normal", Problem(Reason.CA_RETAINED, note), "Compile"))
    dropped = [row for digest, row in was.items() if _is_retained(row) and digest not in now]
    if dropped:
        note = note_of([f"{_named(row)} is no longer trusted" for row in dropped])
        found.append(Event("Normal", Problem(Reason.CA_DROPPED, note), "Compile"))
    return found


def _is_retained(row: Row) -> bool:
    return "retainedUntil" in row


def _certificates(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Row], dict[str, Row]]:
    """Return the certificates of both statuses, as far as both show them.

    A status lists the first to expire; of a longer list, only what both reach can be compared.
    """
    ends = [
        _order(rows[-1])
        for status in (before, after)
        if (rows := status.get("certificates") or ()) and len(rows) < status.get("certificateCount", 0)
    ]
    old, new = (
        {_key(row): row for row in status.get("certificates") or () if not ends or _order(row) <= min(ends)}
        for status in (before, after)
    )
    return old, new


def _order(row: Row) -> tuple[str, str]:
    return str(row["notAfter"]), str(row["sha256"])


def _key(row: Row) -> str:
    return f"{row.get('kind')}/{row['sha256']}"


def _named(row: Row) -> str:
    source = f" ({clip(str(row['source']), 100)})" if row.get("source") else ""
    return f"{row.get('kind')} certificate {clip(str(row.get('subject') or row['sha256']), 100)}{source}"


def _by_type(status: Mapping[str, Any]) -> dict[str, Row]:
    rows: Iterable[Row] = status.get("conditions") or ()
    return {str(condition["type"]): condition for condition in rows}


def note_of(items: list[str], tail: str = "") -> str:
    """Return a note that lists items, each clipped to its share: a long one hides neither the others nor `tail`."""
    share = (NOTE_LIMIT - len(tail) - len(", , and 1000 more")) // min(len(items), SHOWN)
    return listing([clip(item, share) for item in items], SHOWN) + tail


def _note(condition: Row) -> str:
    return clip(str(condition.get("message", "")), NOTE_LIMIT - 64)
