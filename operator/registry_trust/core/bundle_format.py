"""The bundle's format: between the `Bundle` value and the data of its Secret, in both directions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from registry_trust.core import registry
from registry_trust.core.bundle import (
    INDEX_KEY,
    SCHEMA,
    Bundle,
    CAOrigin,
    ClientPairRef,
    IndexedTrust,
    TrustContent,
    TrustState,
    reference_of,
)
from registry_trust.core.errors import InvalidField, UnusableBundle
from registry_trust.core.layout import NAME_LIMIT
from registry_trust.core.reasons import Reason
from registry_trust.core.selection import NodeSelector, Operator, Requirement
from registry_trust.core.trust import ExistingFilesPolicy

PART = "0"
"""The Secret that holds a blob: one today; a reference names it, so that more can follow."""


def encode(bundle: Bundle) -> dict[str, bytes]:
    """Return the Secret's data: `index.json` and one key for each distinct PEM, named by its SHA-256."""
    index = {
        "schema": SCHEMA,
        "minReader": 1,
        "serial": bundle.serial,
        "fleetSize": bundle.fleet_size,
        "withdrawn": bundle.withdrawn,
        "removals": [list(removal) for removal in bundle.removals],
        "trusts": [_encode_trust(trust) for trust in bundle.trusts],
    }
    text = json.dumps(index, separators=(",", ":"), sort_keys=True)
    return {INDEX_KEY: text.encode(), **dict(sorted(bundle.blobs.items()))}


def encode_selector(selector: NodeSelector) -> dict[str, Any]:
    """Return a selector in the shape of a Kubernetes label selector."""
    encoded: dict[str, Any] = {}
    if selector.match_labels:
        encoded["matchLabels"] = dict(selector.match_labels)
    if selector.match_expressions:
        encoded["matchExpressions"] = [
            {"key": r.key, "operator": r.operator.value, **({"values": list(r.values)} if r.values else {})}
            for r in selector.match_expressions
        ]
    return encoded


def decode_selector(data: Mapping[str, Any]) -> NodeSelector:
    """Return the selector that a Kubernetes label selector describes.

    Raises:
        KeyError, ValueError, TypeError, AttributeError: the shape is another one.
    """
    return NodeSelector(
        tuple(sorted((str(k), str(v)) for k, v in data.get("matchLabels", {}).items())),
        tuple(
            Requirement(str(r["key"]), Operator(r["operator"]), tuple(str(v) for v in r.get("values", ())))
            for r in data.get("matchExpressions", ())
        ),
    )


def decode(data: Mapping[str, bytes]) -> Bundle:
    """Return the bundle that a Secret's data holds; unknown fields are ignored.

    Raises:
        UnusableBundle: BundleMissing where there is no index at all, BundleUnreadable where it can't be understood or
            a blob is missing or altered, UnsupportedBundle where it asks for a newer reader. In every case the
            caller keeps what it has: none of them is an empty bundle.
    """
    if INDEX_KEY not in data:
        message = f"the bundle has no {INDEX_KEY}; the operator has not written it yet"
        raise UnusableBundle(Reason.BUNDLE_MISSING, message)
    try:
        index = json.loads(data[INDEX_KEY])
        minimum = int(index["minReader"])
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(error) from None
    if minimum > SCHEMA:
        raise UnusableBundle(
            Reason.UNSUPPORTED_BUNDLE,
            f"the bundle needs a reader of schema {minimum} and this one reads {SCHEMA}; upgrade registry-trust here",
        )
    try:
        bundle = _decode_index(index, data)
    except (ValueError, KeyError, TypeError, AttributeError, InvalidField) as error:
        raise _unreadable(error) from None
    for reference, blob in bundle.blobs.items():
        if reference_of(blob) != reference:
            raise UnusableBundle(
                Reason.BUNDLE_UNREADABLE, f"the blob {reference[:12]} is not what its name says; it was altered"
            )
    return bundle


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
    if trust.roots_replaced:
        encoded["rootsReplaced"] = [list(replaced) for replaced in trust.roots_replaced]
    if trust.content is not None:
        content = trust.content
        encoded["registries"] = list(content.registries)
        encoded["ca"] = [f"{PART}/{reference}" for reference in content.ca_certificates]
        encoded["client"] = [
            {"name": pair.name, "certificate": f"{PART}/{pair.certificate}", "key": f"{PART}/{pair.key}"}
            for pair in content.client_certificates
        ]
        if content.selector is not None:
            encoded["nodeSelector"] = encode_selector(content.selector)
        if content.existing_files is not ExistingFilesPolicy.REFUSE:
            encoded["existingFilesPolicy"] = content.existing_files.value
        if trust.origins:
            places = {reference: place for place, reference in enumerate(content.ca_certificates)}
            encoded["origins"] = [
                [places[each.reference], each.source, *([] if each.replaced_at is None else [each.replaced_at])]
                for each in trust.origins
            ]
    return encoded


def _decode_index(index: Mapping[str, Any], data: Mapping[str, bytes]) -> Bundle:
    trusts = tuple(_decode_trust(entry) for entry in index["trusts"])
    names = [trust.name for trust in trusts]
    if len(set(names)) != len(names):
        raise ValueError(names)
    blobs = {
        reference: data[reference]
        for trust in trusts
        if trust.content is not None
        for reference in trust.content.references()
    }
    return Bundle(
        serial=int(index["serial"]),
        trusts=trusts,
        blobs=blobs,
        fleet_size=int(index.get("fleetSize", 0)),
        withdrawn=bool(index.get("withdrawn", False)),
        removals=tuple((str(name), float(moment)) for name, moment in index.get("removals", ())),
    )


def _decode_trust(entry: Mapping[str, Any]) -> IndexedTrust:
    content = None
    if "registries" in entry:
        selector = entry.get("nodeSelector")
        content = TrustContent(
            # The agent is root: it checks every name again before it becomes a directory. Earlier versions admitted
            # longer names: those stay as they are until their trust goes.
            registries=tuple(registry.check(str(name), limit=NAME_LIMIT) for name in entry["registries"]),
            ca_certificates=tuple(_decode_reference(text) for text in entry.get("ca", ())),
            client_certificates=tuple(_decode_pair(pair) for pair in entry.get("client", ())),
            selector=None if selector is None else decode_selector(selector),
            existing_files=_decode_policy(entry.get("existingFilesPolicy")),
        )
    state = TrustState(entry["state"])
    if content is None and state is TrustState.ACTIVE:
        raise ValueError(state)
    removed_at, held_until = entry.get("removedAt"), entry.get("heldUntil")
    return IndexedTrust(
        name=str(entry["name"]),
        uid=str(entry["uid"]),
        since=int(entry["since"]),
        state=state,
        content=content,
        removed_at=None if removed_at is None else float(removed_at),
        origins=tuple(_decode_origin(origin, content) for origin in entry.get("origins", ())),
        roots_replaced=tuple((str(source), float(moment)) for source, moment in entry.get("rootsReplaced", ())),
        held_until=None if held_until is None else float(held_until),
    )


def _decode_origin(origin: Sequence[Any], content: TrustContent | None) -> CAOrigin:
    place, source, *replaced_at = origin
    if content is None or not 0 <= int(place) < len(content.ca_certificates):
        raise ValueError(place)
    return CAOrigin(content.ca_certificates[place], str(source), float(replaced_at[0]) if replaced_at else None)


def _decode_pair(pair: Mapping[str, Any]) -> ClientPairRef:
    name = str(pair["name"])
    if not name or not all(c.isascii() and (c.isalnum() or c in "-.") for c in name) or name.startswith("."):
        raise ValueError("name")
    return ClientPairRef(name, _decode_reference(pair["certificate"]), _decode_reference(pair["key"]))


def _decode_policy(word: object) -> ExistingFilesPolicy:
    """Return the policy; a word of a later version is refused like none: only what is understood touches files."""
    return ExistingFilesPolicy.REPLACE if word == ExistingFilesPolicy.REPLACE.value else ExistingFilesPolicy.REFUSE


def _decode_reference(text: str) -> str:
    part, slash, reference = text.partition("/")
    if not slash or part != PART:
        raise ValueError("part")
    return reference
