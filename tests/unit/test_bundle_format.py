"""The bundle's format: what is no bundle is told apart from an empty one, and what is newer is ignored or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry_trust.core.bundle import SCHEMA, Bundle, CAOrigin, IndexedTrust, TrustContent, TrustState, reference_of
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.errors import UnusableBundle
from registry_trust.core.reasons import Reason
from registry_trust.core.registry import MAXIMUM_LENGTH
from registry_trust.core.trust import SourceKind, SourceRef

PEM = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
REFERENCE = reference_of(PEM)
TRUST = IndexedTrust("harbor", "uid", 3, TrustState.ACTIVE, TrustContent(("harbor.example",), (REFERENCE,)))
BUNDLE = Bundle(7, (TRUST,), {REFERENCE: PEM}, fleet_size=3)


def index(**changes: Any) -> dict[str, bytes]:
    data = encode(BUNDLE)
    return {**data, "index.json": json.dumps({**json.loads(data["index.json"]), **changes}).encode()}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, Reason.BUNDLE_MISSING),
        ({"index.json": b""}, Reason.BUNDLE_UNREADABLE),
        ({"index.json": b"[]"}, Reason.BUNDLE_UNREADABLE),
        (index(trusts=None), Reason.BUNDLE_UNREADABLE),
        ({**encode(BUNDLE), REFERENCE: b"another"}, Reason.BUNDLE_UNREADABLE),
        ({"index.json": encode(BUNDLE)["index.json"]}, Reason.BUNDLE_UNREADABLE),
        (index(minReader=SCHEMA + 1), Reason.UNSUPPORTED_BUNDLE),
    ],
    ids=["nothing", "empty", "no object", "no trusts", "altered blob", "blob missing", "newer"],
)
def test_what_is_no_bundle_is_refused_and_never_taken_for_an_empty_one(data: dict[str, bytes], reason: Reason) -> None:
    with pytest.raises(UnusableBundle) as caught:
        decode(data)

    assert caught.value.problem.reason is reason


def test_an_index_without_trusts_is_a_bundle() -> None:
    assert decode(index(trusts=[])).trusts == ()


def test_fields_of_a_later_version_are_ignored() -> None:
    entry = {**json.loads(encode(BUNDLE)["index.json"])["trusts"][0], "later": {"a": 1}}

    assert decode(index(trusts=[entry], schema=9, later=True)) == BUNDLE


def test_a_registry_that_an_earlier_version_admitted_is_not_lost_although_it_is_longer_than_new_ones_may_be() -> None:
    longer = f"{'.'.join(['a' * 49] * 5)}:5000"
    content = TrustContent((longer,), (REFERENCE,))
    bundle = Bundle(7, (IndexedTrust("harbor", "uid", 3, TrustState.ACTIVE, content),), {REFERENCE: PEM})

    assert len(longer) > MAXIMUM_LENGTH
    assert decode(encode(bundle)) == bundle


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("Secret/ca/ca.crt", SourceRef(SourceKind.SECRET, "ca", "ca.crt")),
        ("ConfigMap/corp-roots/ca.crt", SourceRef(SourceKind.CONFIG_MAP, "corp-roots", "ca.crt")),
        ("inline", SourceRef(SourceKind.INLINE)),
        ("OfALaterVersion/a/b/c", SourceRef("OfALaterVersion", "a/b", "c")),
        *((text, SourceRef(text)) for text in ("", "/", "//", "a/", "a/b")),
    ],
)
def test_a_source_is_remembered_by_its_text_also_one_of_a_later_version(text: str, reference: SourceRef) -> None:
    content = TrustContent(("harbor.example",), (REFERENCE,))
    origins = (CAOrigin(REFERENCE, reference),)
    bundle = Bundle(
        7, (IndexedTrust("harbor", "uid", 3, TrustState.ACTIVE, content, origins=origins),), {REFERENCE: PEM}
    )

    encoded = encode(bundle)

    assert json.loads(encoded["index.json"])["trusts"][0]["origins"] == [[0, text]]
    assert decode(encoded) == bundle
