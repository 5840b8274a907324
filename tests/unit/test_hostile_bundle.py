"""A bundle that another process wrote: it is refused as unusable, or whatever reads it goes on without an exception."""

from __future__ import annotations

import base64
import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_trust.compiler.compile import compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.sources import Sources
from registry_trust.controller.bundle_secret import stored_bundle
from registry_trust.core.bundle import (
    HIGHEST_SERIAL,
    Bundle,
    CAOrigin,
    ClientPairRef,
    IndexedTrust,
    LostHistory,
    TrustContent,
    TrustState,
    reference_of,
)
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.desired import desired_state
from registry_trust.core.errors import UnusableBundle
from registry_trust.core.layout import Layout
from registry_trust.core.observed import ObservedRoot, OwnEntry, Target
from registry_trust.core.plan import make_plan
from registry_trust.core.reasons import Reason
from registry_trust.core.removal_hold import confirmed_serial, held_removals, hold_losses
from registry_trust.core.selection import Operator, Requirement, Selector
from registry_trust.core.trust import SourceRef, Trust
from tools.authority import Authority

NOW = float(int(time.time()))
AUTHORITY = Authority.create("CA")
CA = AUTHORITY.pem
PAIR = AUTHORITY.client("node")
NO_CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
SELECTOR = Selector((("zone", "a"),), (Requirement("gpu", Operator.NOT_IN, ("yes",)),))
BLOBS = {reference_of(blob): blob for blob in (CA, PAIR.certificate, PAIR.key)}
CLIENT = (ClientPairRef("client", reference_of(PAIR.certificate), reference_of(PAIR.key)),)
AUTHORITIES = (reference_of(CA),)
SOURCE = SourceRef("Secret", "ca", "ca.crt")
BUNDLE = Bundle(
    7,
    (
        IndexedTrust(
            "harbor",
            "uid",
            3,
            TrustState.ACTIVE,
            TrustContent(("harbor.example:5000",), AUTHORITIES, CLIENT, SELECTOR),
            origins=(CAOrigin(AUTHORITIES[0], SOURCE, NOW - 60),),
            roots_replaced=((SOURCE, NOW - 60),),
        ),
        IndexedTrust("quay", "uid", 4, TrustState.ACTIVE, TrustContent(("quay.example",), AUTHORITIES, CLIENT)),
        IndexedTrust(
            "gone",
            "uid",
            5,
            TrustState.REMOVED,
            TrustContent(("gone.example",), AUTHORITIES),
            removed_at=NOW - 10,
            held_until=NOW + 600,
        ),
        IndexedTrust("unknown", "uid", 6, TrustState.HELD),
    ),
    BLOBS,
    fleet_size=4,
    removals=(("other", NOW - 60),),
    lost_history=LostHistory(5, NOW + 600),
)
DATA = encode(BUNDLE)
INDEX = json.loads(DATA["index.json"])
LIVE = [
    TrustInput(name, "uid", "2027-01-01T00:00:00Z", 1, Trust(name, "uid", "", 1, (f"{name}.example",), (source,)))
    for name, source in (
        ("harbor", SOURCE),
        ("quay", SourceRef("Secret", "gone", "ca.crt")),
    )
]
HOSTILE: list[Any] = [
    None,
    True,
    -1,
    0,
    2**53,
    2**63,
    10**400,
    1e18,
    1e308,
    float("inf"),
    float("nan"),
    -0.5,
    "",
    "..",
    "../../etc",
    "a" * 5000,
    "\ud800",
    "\x00",
    "\u0661",
    "0/" + "f" * 64,
    "9" * 5000,
    [],
    {},
    [[]],
    [["a", 1e18]],
    {"a": {}},
]


def data_of(index: object, blobs: dict[str, bytes] | None = None) -> dict[str, bytes]:
    return {**(BLOBS if blobs is None else blobs), "index.json": json.dumps(index).encode()}


def secret(data: dict[str, bytes], **annotations: str) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"metadata": {"uid": "u", "resourceVersion": "1", "annotations": annotations}, "data": encoded}


def read(data: dict[str, bytes]) -> Bundle | None:
    """Do everything that either side does with a bundle; return it, or None where it is unusable."""
    try:
        bundle = decode(data)
    except UnusableBundle:
        return None
    stored = stored_bundle(secret(data))
    for labels in ({}, {"zone": "a"}, {"zone": "b", "gpu": "yes"}):
        desired = desired_state(bundle, labels)
        held_removals(bundle, labels, "registry-trust", "bundle")
        for layout in Layout:
            plan = make_plan(Target("/etc/certs.d", layout), desired, {"/etc/certs.d": OBSERVED})
            if desired.lost_history is not None:
                hold_losses(plan, OBSERVED, desired.lost_history, "registry-trust", "bundle")
    for steady in (NOW, NOW - 1e6, NOW + 1e6):
        compiled = compile_bundle(LIVE, Sources("trusts", {}), stored.bundle, NOW, checker=Checker(), steady=steady)
        assert decode(encode(compiled.bundle)) == compiled.bundle
    return bundle


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def changed(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    made = copy.deepcopy(tree)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return made


PLACES = places(INDEX)
OBSERVED = ObservedRoot({"lost.example": OwnEntry("lost.example", "aa-1", "aa", ("lost",), intact=True)})


def test_every_value_of_an_index_replaced_by_every_hostile_one_is_refused_or_read_to_the_end() -> None:
    """About 3,000 indexes, some four seconds."""
    usable = [read(data_of(changed(INDEX, place, value))) is not None for place in PLACES for value in HOSTILE]

    assert read(DATA) == BUNDLE
    assert 0.02 < sum(usable) / len(usable) < 0.5


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(HOSTILE)), min_size=2, max_size=4))
def test_several_hostile_values_at_once_are_refused_or_read_to_the_end(
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    index: Any = INDEX
    for place, value in changes:
        if place in places(index):
            index = changed(index, place, value)
    read(data_of(index))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(DATA["index.json"]) - 1), st.binary(max_size=3), st.integers(0, 40))
def test_an_index_whose_bytes_were_changed_is_refused_or_read_to_the_end(at: int, by: bytes, cut: int) -> None:
    text = DATA["index.json"]

    read({**BLOBS, "index.json": text[:at] + by + text[at + cut :]})


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"9" * 5000,
        b'{"minReader":' + b"9" * 5000 + b"}",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
    ],
    ids=["brackets", "objects", "a number", "a number for a number", "no UTF-8", "a byte order mark"],
)
def test_what_stops_a_parser_of_json_is_an_unusable_bundle(text: bytes) -> None:
    with pytest.raises(UnusableBundle) as caught:
        decode({"index.json": text})

    assert caught.value.problem.reason is Reason.BUNDLE_UNREADABLE


@pytest.mark.parametrize("moment", [1e18, 10**30, float("inf"), float("nan"), -1.0, "2027", True])
def test_a_time_that_no_clock_shows_is_an_unusable_bundle(moment: object) -> None:
    entry = {**INDEX["trusts"][2], "heldUntil": moment}

    with pytest.raises(UnusableBundle):
        decode(data_of({**INDEX, "trusts": [entry]}))


@pytest.mark.parametrize(
    "lost",
    [[], "", 58, {}, {"since": 5}, {"heldUntil": NOW}, {"since": 8, "heldUntil": NOW}, {"since": 5, "heldUntil": 1e18}],
    ids=str,
)
def test_a_lost_history_that_no_operator_writes_is_an_unusable_bundle(lost: object) -> None:
    with pytest.raises(UnusableBundle):
        decode(data_of({**INDEX, "lostHistory": lost}))


def with_blob(old: bytes, new: bytes) -> dict[str, bytes]:
    """Return the bundle with one blob exchanged, under the new one's own name."""
    blobs = {reference_of(b): b for b in (*(b for b in BLOBS.values() if b != old), new)}
    text = DATA["index.json"].replace(reference_of(old).encode(), reference_of(new).encode())
    return {**blobs, "index.json": text}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (CA, b""),
        (CA, b"text"),
        (CA, PAIR.key),
        (CA, CA + PAIR.key),
        (CA, CA[:-10]),
        (CA, b"# a comment\n" + CA),
        (CA, CA.replace(b"\n", b"\r\n")),
        (CA, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        (PAIR.certificate, PAIR.key),
        (PAIR.key, PAIR.certificate),
        (PAIR.key, PAIR.key + PAIR.key),
        (PAIR.key, PAIR.key.replace(b"PRIVATE", b"ENCRYPTED PRIVATE")),
    ],
)
def test_a_blob_that_no_operator_wrote_is_an_unusable_bundle(old: bytes, new: bytes) -> None:
    with pytest.raises(UnusableBundle) as caught:
        decode(with_blob(old, new))

    assert "it was altered" in caught.value.problem.message


@pytest.mark.parametrize("old", [CA, PAIR.certificate], ids=["CA", "client"])
def test_a_blob_that_only_looks_like_certificates_ends_neither_side(old: bytes) -> None:
    assert read(with_blob(old, NO_CERTIFICATE)) is not None


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([CA, PAIR.certificate, PAIR.key]), st.integers(0, 2000), st.binary(max_size=2), st.integers(0, 2)
)
def test_a_blob_whose_bytes_were_changed_is_refused_or_read_to_the_end(
    old: bytes, at: int, by: bytes, cut: int
) -> None:
    place = at % len(old)

    read(with_blob(old, old[:place] + by + old[place + cut :]))


def test_a_serial_that_no_operator_reaches_is_read_by_agents_and_not_gone_on_from_by_the_operator() -> None:
    far = data_of({**INDEX, "serial": HIGHEST_SERIAL + 1})

    assert decode(far).serial == HIGHEST_SERIAL + 1
    assert stored_bundle(secret(far)).bundle == Bundle()
    assert stored_bundle(secret(data_of({**INDEX, "serial": HIGHEST_SERIAL}))).problem is None


@pytest.mark.parametrize("data", ["*", "AA", "\u0661"])
def test_data_that_is_not_base64_is_an_unusable_bundle(data: str) -> None:
    problem = stored_bundle({"metadata": {"uid": "u", "resourceVersion": "1"}, "data": {"index.json": data}}).problem

    assert problem is not None
    assert problem.reason is Reason.BUNDLE_UNREADABLE


@pytest.mark.parametrize(
    ("annotation", "serial"),
    [
        ("7", 7),
        ("", 0),
        (None, 0),
        ("9" * 5000, 0),
        ("-1", 0),
        ("1e9", 0),
        ("\u0661", 0),
        (" 7", 0),
        ("7\n", 0),
        (7, 0),
    ],
)
def test_an_annotation_confirms_a_serial_or_nothing(annotation: object, serial: int) -> None:
    assert confirmed_serial(annotation) == serial
