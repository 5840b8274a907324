"""Manifests: they survive a round trip, and nothing that is not one is taken for one."""

from __future__ import annotations

import json

import pytest

from registry_trust.agent.store.manifest import (
    FileRecord,
    Ownership,
    StoreState,
    UnusableManifest,
    decode_ownership,
    decode_state,
    encode_ownership,
    encode_state,
    is_link_of,
    next_number,
    records,
    temporary_kind,
)
from registry_trust.core.layout import File

GENERATION = "0123456789abcdef-1"
OWNERSHIP = Ownership(
    installation="i",
    registry="r.example",
    entry="r.example",
    layout="docker",
    trusts=("a",),
    generations={GENERATION: {"client.key": FileRecord("ab" * 32, 0o600, 7)}},
    current=GENERATION,
)


def test_a_manifest_and_a_state_survive_a_round_trip():
    assert decode_ownership(encode_ownership(OWNERSHIP)) == OWNERSHIP
    assert decode_state(encode_state(StoreState("i", "uid", 3))) == StoreState("i", "uid", 3)


def test_fields_that_a_later_version_adds_are_ignored():
    document = json.loads(encode_ownership(OWNERSHIP)) | {"later": True}

    assert decode_ownership(json.dumps(document).encode()) == OWNERSHIP


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"[]", b"{}", b'{"format": 1}', b'{"format": "1"}', b"[" * 100_000, b"\xff"]
)
def test_anything_else_is_no_manifest_and_no_state(data):
    for decode in (decode_ownership, decode_state):
        with pytest.raises(UnusableManifest):
            decode(data)


def test_a_later_format_is_left_to_the_version_that_wrote_it():
    document = json.loads(encode_ownership(OWNERSHIP)) | {"format": 2}

    with pytest.raises(UnusableManifest, match="format 2, which a later version wrote"):
        decode_ownership(json.dumps(document).encode())


@pytest.mark.parametrize("name", ["../x-1", "0123456789abcdef-0", "0123456789abcdef-01", "x", "", "0123456789ABCDEF-1"])
def test_a_generation_of_a_name_that_we_never_give_makes_no_manifest(name):
    document = json.loads(encode_ownership(OWNERSHIP))
    document["generations"] = {name: {"files": {}}}

    with pytest.raises(UnusableManifest):
        decode_ownership(json.dumps(document).encode())


@pytest.mark.parametrize("name", ["../ca.crt", "a/ca.crt", ".ca.crt", "ca.txt", "", "hosts.toml/"])
def test_a_file_of_a_name_that_we_never_give_makes_no_manifest(name):
    document = json.loads(encode_ownership(OWNERSHIP))
    document["generations"][GENERATION]["files"] = {name: {"sha256": "", "mode": "0600", "size": 0}}

    with pytest.raises(UnusableManifest):
        decode_ownership(json.dumps(document).encode())


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        GENERATION,
        f"/.registry-trust/r.example/{GENERATION}",
        f"./.registry-trust/r.example/{GENERATION}",
        f".registry-trust/r.example/{GENERATION}/",
        f".registry-trust/other.example/{GENERATION}",
        ".registry-trust/r.example/0123456789abcdef-2",
        ".registry-trust/r.example/",
    ],
)
def test_a_link_is_ours_only_if_it_says_exactly_what_we_write(text):
    assert OWNERSHIP.generation_of(text) == ""


def test_our_link_is_known_by_its_generation():
    assert OWNERSHIP.generation_of(f".registry-trust/r.example/{GENERATION}") == GENERATION
    assert is_link_of("r.example", ".registry-trust/r.example/0123456789abcdef-2")
    assert not is_link_of("r.example", "/etc/ssl")


def test_a_repair_takes_the_next_number_of_its_content():
    digest = "0123456789abcdef"

    assert next_number(digest, []) == 1
    assert next_number(digest, ["owner.json", f"{digest}-1", f"{digest}-3", "f" * 16 + "-9"]) == 4


def test_a_manifest_holds_hashes_and_no_bytes():
    found = records([File("client.key", 0o600, b"canary-key")])

    assert found["client.key"].size == 10
    assert "canary" not in repr(found)


def test_only_names_of_our_own_making_are_temporary():
    assert temporary_kind(".new-0123456789abcdef") == "new"
    for name in (
        ".new-1",
        ".new-0123456789abcdef.crt",
        "new-0123456789abcdef",
        ".other-0123456789abcdef",
        ".new-0123456789ABCDEF",
    ):
        assert temporary_kind(name) == ""
    for kind in ("new", "owner", "state", "link"):
        assert not f".{kind}-0123456789abcdef".endswith((".crt", ".cert", ".key"))
