"""The bundle's format: between the `Bundle` value and the data of its Secret, in both directions."""

from __future__ import annotations

import json
import marshal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry_trust.core import bundle_values as values
from registry_trust.core.bundle import (
    INDEX_KEY,
    MOST_WRITERS,
    SCHEMA,
    Bundle,
    CanaryContent,
    CAOrigin,
    IndexedTrust,
    LostHistory,
    Refusal,
    TrustContent,
    TrustState,
    Writer,
    reference_of,
)
from registry_trust.core.content_format import decode_content, encode_content
from registry_trust.core.errors import InvalidField, UnusableBundle
from registry_trust.core.pem_shape import is_certificates, is_private_key
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import MESSAGE_LIMIT
from registry_trust.core.trust import SourceRef


def encode(bundle: Bundle) -> dict[str, bytes]:
    """Return the Secret's data: `index.json` and one key for each distinct PEM, named by its SHA-256."""
    index: dict[str, Any] = {
        "schema": SCHEMA,
        "minReader": 1,
        "serial": bundle.serial,
        "fleetSize": bundle.fleet_size,
        "withdrawn": bundle.withdrawn,
        "removals": [list(removal) for removal in bundle.removals],
        "trusts": [_encode_trust(trust) for trust in bundle.trusts],
    }
    if bundle.lost_history is not None:
        lost = bundle.lost_history
        index["lostHistory"] = {"since": lost.since, "heldUntil": lost.held_until}
    if bundle.writers:
        index["writers"] = [[writer.name, writer.since] for writer in bundle.writers]
    text = json.dumps(index, separators=(",", ":"), sort_keys=True)
    return {INDEX_KEY: text.encode(), **dict(sorted(bundle.blobs.items()))}


def size_of(encoded: Mapping[str, bytes]) -> int:
    """Return the bytes that a bundle takes as the data of a Secret, names included."""
    return sum(len(key) + len(value) for key, value in encoded.items())


@dataclass(slots=True)
class Decoded:
    """What the last bundle was made of: a trust or a blob that is still the same is not checked again."""

    trusts: dict[str, tuple[bytes, IndexedTrust]] = field(default_factory=dict)
    """By name: what the index said, written out, and what it meant."""
    blobs: Mapping[str, bytes] = field(default_factory=dict)


def decode(data: Mapping[str, bytes], last: Decoded | None = None) -> Bundle:
    """Return the bundle that a Secret's data holds; unknown fields are ignored.

    Args:
        data: the Secret's data.
        last: what the last bundle was made of, and then this one; the result is the same without it.

    Raises:
        UnusableBundle: BundleMissing where there is no index at all, BundleUnreadable where it can't be understood or
            a blob is missing or altered, UnsupportedBundle where it asks for a newer reader. In every case the
            caller keeps what it has: none of them is an empty bundle.
    """
    if INDEX_KEY not in data:
        message = f"the bundle has no {INDEX_KEY}; the operator has not written it yet"
        raise UnusableBundle(Reason.BUNDLE_MISSING, message)
    try:
        index = values.mapping(json.loads(data[INDEX_KEY]))
        minimum = values.number(index["minReader"])
    except _NO_INDEX as error:
        raise _unreadable(error) from None
    if minimum > SCHEMA:
        raise UnusableBundle(
            Reason.UNSUPPORTED_BUNDLE,
            f"the bundle needs a reader of schema {minimum} and this one reads {SCHEMA}; upgrade registry-trust here",
        )
    last = last or Decoded()
    try:
        decoded = _decode_trusts(values.sequence(index["trusts"]), last)
        bundle = _decode_index(index, tuple(trust for _, trust in decoded.values()), data, last.blobs)
    except _NO_INDEX as error:
        raise _unreadable(error) from None
    _check_blobs(bundle, last)
    last.trusts, last.blobs = decoded, bundle.blobs
    return bundle


def _check_blobs(bundle: Bundle, last: Decoded) -> None:
    for reference, blob in bundle.blobs.items():
        if last.blobs.get(reference) is not blob and reference_of(blob) != reference:
            raise _altered(reference, "is not what its name says")
    for trust in bundle.trusts:
        # The same references mean the same bytes, which were checked.
        if trust.name in last.trusts and last.trusts[trust.name][1] is trust:
            continue
        for content in (trust.content, trust.candidate.content if trust.candidate is not None else None):
            if content is not None:
                _check_content(content, bundle.blobs)


def _check_content(content: TrustContent, blobs: Mapping[str, bytes]) -> None:
    certificates = {*content.ca_certificates, *(pair.certificate for pair in content.client_certificates)}
    for reference in sorted(certificates):
        if not is_certificates(blobs[reference]):
            raise _altered(reference, "is not PEM of certificates")
    for pair in content.client_certificates:
        if not is_private_key(blobs[pair.key]):
            raise _altered(pair.key, "is not the PEM of one private key")


_NO_INDEX = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError, InvalidField)
"""What reading an index raises where it is not one: brackets that are too deep and numbers without bound as well."""


def _altered(reference: str, what: str) -> UnusableBundle:
    return UnusableBundle(Reason.BUNDLE_UNREADABLE, f"the blob {reference[:12]} {what}; it was altered")


def _unreadable(error: Exception) -> UnusableBundle:
    # Only the kind of error: its text could repeat what stands in the Secret.
    return UnusableBundle(
        Reason.BUNDLE_UNREADABLE, f"the bundle's {INDEX_KEY} can't be understood ({type(error).__name__})"
    )


def _encode_trust(trust: IndexedTrust) -> dict[str, Any]:
    encoded: dict[str, Any] = {
        "name": trust.name,
        "uid": trust.uid,
        "since": trust.since,
        "state": trust.state.value,
    }
    if trust.removed_at is not None:
        encoded["removedAt"] = trust.removed_at
    if trust.held_until is not None:
        encoded["heldUntil"] = trust.held_until
    if trust.verifiers:
        encoded["verifiers"] = list(trust.verifiers)
    if trust.roots_replaced:
        encoded["rootsReplaced"] = [[str(source), moment] for source, moment in trust.roots_replaced]
    if trust.unserved:
        encoded["unserved"] = True
    if trust.rollout is not None:
        encoded |= _encode_rollout(trust.rollout)
    if trust.content is not None:
        content = trust.content
        encoded |= encode_content(content)
        if trust.origins:
            places = {reference: place for place, reference in enumerate(content.ca_certificates)}
            encoded["origins"] = [
                [places[each.reference], str(each.source), *([] if each.replaced_at is None else [each.replaced_at])]
                for each in trust.origins
            ]
    return encoded


def _decode_trusts(entries: Sequence[Any], last: Decoded) -> dict[str, tuple[bytes, IndexedTrust]]:
    """Return what each entry of the index says and the trust that it means, by name and in their order."""
    decoded: dict[str, tuple[bytes, IndexedTrust]] = {}
    for entry in map(values.mapping, entries):
        known = last.trusts.get(values.text(entry["name"]))
        # Not compared as they are: for Python, 1, 1.0 and True are equal, and only one of them is a number here.
        # Version 2 of the format knows no references, so the same value is the same bytes; a third of repr's time.
        said = marshal.dumps(entry, 2)  # type: ignore[arg-type]  # a dict from JSON
        found = known if known is not None and known[0] == said else (said, _decode_trust(entry))
        if found[1].name in decoded:
            raise ValueError("name")
        decoded[found[1].name] = found
    return decoded


def _decode_index(
    index: Mapping[str, Any], trusts: tuple[IndexedTrust, ...], data: Mapping[str, bytes], known: Mapping[str, bytes]
) -> Bundle:
    serial = values.number(index["serial"])
    lost = _decode_lost_history(index.get("lostHistory"))
    started = (trust.candidate.since for trust in trusts if trust.candidate is not None)
    if any(since > serial for since in (*(trust.since for trust in trusts), *started)) or (
        lost is not None and lost.since > serial
    ):
        raise ValueError(serial)
    blobs = {
        reference: known[reference] if known.get(reference) == data[reference] else data[reference]
        for trust in trusts
        for reference in trust.references()
    }
    return Bundle(
        serial=serial,
        trusts=trusts,
        blobs=blobs,
        fleet_size=values.number(index.get("fleetSize", 0)),
        withdrawn=index.get("withdrawn", False) is True,
        removals=_decode_moments(index.get("removals", [])),
        lost_history=lost,
        writers=tuple(
            Writer(values.text(name, 64), values.number(since))
            for name, since in map(values.pair, values.sequence(index.get("writers", []))[-MOST_WRITERS:])
        ),
    )


def _decode_lost_history(encoded: object) -> LostHistory | None:
    if encoded is None:
        return None
    entry = values.mapping(encoded)
    return LostHistory(values.number(entry["since"]), values.moment(entry["heldUntil"]))


def _decode_trust(entry: Mapping[str, Any]) -> IndexedTrust:
    content = None
    if "registries" in entry:
        content = decode_content(entry)
    state = TrustState(entry["state"])
    if content is None and state is TrustState.ACTIVE:
        raise ValueError(state)
    removed_at, held_until = entry.get("removedAt"), entry.get("heldUntil")
    return IndexedTrust(
        name=values.name(entry["name"]),
        uid=values.text(entry["uid"]),
        since=values.number(entry["since"]),
        state=state,
        content=content,
        removed_at=None if removed_at is None else values.moment(removed_at),
        origins=tuple(_decode_origin(each, content) for each in values.sequence(entry.get("origins", []))),
        roots_replaced=tuple(
            (SourceRef.parse(source), moment) for source, moment in _decode_moments(entry.get("rootsReplaced", []))
        ),
        held_until=None if held_until is None else values.moment(held_until),
        verifiers=tuple(values.text(name) for name in values.sequence(entry.get("verifiers", []))),
        rollout=_decode_rollout(entry),
        unserved=entry.get("unserved", False) is True and content is None,
    )


def _encode_rollout(rollout: CanaryContent | Refusal) -> dict[str, Any]:
    if isinstance(rollout, Refusal):
        problem = {"reason": rollout.problem.reason.value, "message": rollout.problem.message}
        return {
            "refused": {"revision": rollout.revision, "node": rollout.node, "registry": rollout.registry, **problem}
        }
    return {
        "candidate": {
            **encode_content(rollout.content),
            "since": rollout.since,
            "startedAt": rollout.started_at,
            "canaries": list(rollout.canaries),
            **({"failing": list(rollout.failing)} if rollout.failing else {}),
        }
    }


def _decode_rollout(entry: Mapping[str, Any]) -> CanaryContent | Refusal | None:
    if "candidate" in entry:
        candidate = values.mapping(entry["candidate"])
        return CanaryContent(
            decode_content(candidate),
            values.number(candidate["since"]),
            values.moment(candidate["startedAt"]),
            tuple(values.text(node) for node in values.sequence(candidate.get("canaries", []))),
            tuple(values.text(registry) for registry in values.sequence(candidate.get("failing", []))),
        )
    if "refused" in entry:
        refused = values.mapping(entry["refused"])
        found = refused.get("reason")
        # A word of a later version: what it says is still why.
        reason = Reason(found) if found in _REASONS else Reason.WRITE_FAILED
        return Refusal(
            values.text(refused["revision"]),
            values.text(refused["node"]),
            values.text(refused["registry"]),
            Problem(reason, values.text(refused["message"], 2 * MESSAGE_LIMIT)),
        )
    return None


_REASONS = frozenset(reason.value for reason in Reason)


def _decode_moments(entries: object) -> tuple[tuple[str, float], ...]:
    return tuple((values.text(name), values.moment(at)) for name, at in map(values.pair, values.sequence(entries)))


def _decode_origin(origin: object, content: TrustContent | None) -> CAOrigin:
    place, source, *replaced_at = values.sequence(origin)
    if content is None:
        raise ValueError("place")
    return CAOrigin(
        content.ca_certificates[values.number(place)],
        SourceRef.parse(values.text(source)),
        values.moment(replaced_at[0]) if replaced_at else None,
    )
