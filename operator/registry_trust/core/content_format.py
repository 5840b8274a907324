"""The format of a trust's content in the bundle's index, in both directions: for all nodes, or for canaries only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_trust.core import bundle_values as values
from registry_trust.core import registry
from registry_trust.core.bundle import ClientPairRef, TrustContent
from registry_trust.core.layout import NAME_LIMIT
from registry_trust.core.selection import Operator, Requirement, Selector
from registry_trust.core.trust import ExistingFilesPolicy

PART = "0"
"""The Secret that holds a blob: one today; a reference names it, so that more can follow."""


def encode_content(content: TrustContent) -> dict[str, Any]:
    """Return the fields of an entry of the index that say what nodes are to have."""
    encoded: dict[str, Any] = {
        "registries": list(content.registries),
        "ca": [f"{PART}/{reference}" for reference in content.ca_certificates],
        "client": [
            {"name": pair.name, "certificate": f"{PART}/{pair.certificate}", "key": f"{PART}/{pair.key}"}
            for pair in content.client_certificates
        ],
    }
    if content.selector is not None:
        encoded["nodeSelector"] = encode_selector(content.selector)
    if content.existing_files is not ExistingFilesPolicy.REFUSE:
        encoded["existingFilesPolicy"] = content.existing_files.value
    return encoded


def decode_content(entry: Mapping[str, Any]) -> TrustContent:
    """Return what an entry of the index says that nodes are to have.

    Raises:
        KeyError, ValueError, TypeError, AttributeError, InvalidField: the shape is another one.
    """
    selector = entry.get("nodeSelector")
    return TrustContent(
        # The agent is root: it checks every name again before it becomes a directory. Earlier versions admitted
        # longer names: those stay as they are until their trust goes.
        registries=tuple(
            registry.check(values.text(each), limit=NAME_LIMIT) for each in values.sequence(entry["registries"])
        ),
        ca_certificates=tuple(map(_decode_reference, values.sequence(entry.get("ca", [])))),
        client_certificates=tuple(map(_decode_pair, values.sequence(entry.get("client", [])))),
        selector=None if selector is None else decode_selector(values.mapping(selector)),
        existing_files=_decode_policy(entry.get("existingFilesPolicy")),
    )


def encode_selector(selector: Selector) -> dict[str, Any]:
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


def decode_selector(data: Mapping[str, Any]) -> Selector:
    """Return the selector that a Kubernetes label selector describes.

    Raises:
        KeyError, ValueError, TypeError, AttributeError: the shape is another one.
    """
    labels = values.mapping(data.get("matchLabels", {}))
    return Selector(
        tuple(sorted((values.text(k), values.text(v)) for k, v in labels.items())),
        tuple(
            Requirement(
                values.text(r["key"]),
                Operator(r["operator"]),
                tuple(values.text(v) for v in values.sequence(r.get("values", []))),
            )
            for r in map(values.mapping, values.sequence(data.get("matchExpressions", [])))
        ),
    )


def _decode_pair(encoded: object) -> ClientPairRef:
    entry = values.mapping(encoded)
    name = values.text(entry["name"], 253)
    if not name or not all(c.isalnum() or c in "-." for c in name) or name.startswith("."):
        raise ValueError("name")
    return ClientPairRef(name, _decode_reference(entry["certificate"]), _decode_reference(entry["key"]))


def _decode_policy(word: object) -> ExistingFilesPolicy:
    """Return the policy; a word of a later version is refused like none: only what is understood touches files."""
    return ExistingFilesPolicy.REPLACE if word == ExistingFilesPolicy.REPLACE.value else ExistingFilesPolicy.REFUSE


def _decode_reference(encoded: object) -> str:
    part, slash, reference = values.text(encoded).partition("/")
    if not slash or part != PART:
        raise ValueError("part")
    return reference
