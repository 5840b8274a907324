"""Layouts: the directory names and files of each runtime, and what a content hash depends on."""

from __future__ import annotations

import tomllib

import pytest

from registry_trust.core.layout import (
    NAME_LIMIT,
    ClientPair,
    Layout,
    Material,
    Reader,
    content_hash,
    directory_mode,
    directory_names,
    entry_name,
    is_file_name,
    longest_registry,
    lookup_names,
    pair_names,
    possible_readers,
    render,
)

CA, CA_2 = b"ca\n", b"ca 2\n"
PAIR = ClientPair("client", b"certificate\n", b"key\n")
SECOND = ClientPair("backup", b"certificate 2\n", b"key 2\n")


def rendered(layout=Layout.DOCKER, registry="harbor.example:5000", generation="0123456789abcdef-1", **material):
    return {file.name: file for file in render(layout, registry, Material(**material), generation)}


@pytest.mark.parametrize(
    ("reader", "registry", "entry", "lookups"),
    [
        (Reader.DOCKERD, "harbor.example", "harbor.example", ("harbor.example",)),
        (Reader.DOCKERD, "harbor.example:5000", "harbor.example:5000", ("harbor.example:5000",)),
        (Reader.DOCKERD, "docker.io", "docker.io", ()),
        (Reader.CONTAINERS, "docker.io", "docker.io", ("docker.io",)),
        (Reader.CONTAINERD, "docker.io", "docker.io", ("docker.io", "_default")),
        (Reader.DOCKERD_CONTAINERD, "docker.io", "docker.io", ("docker.io", "_default")),
        (
            Reader.DOCKERD_CONTAINERD,
            "harbor.example:5000",
            "harbor.example:5000",
            ("harbor.example_5000_", "harbor.example:5000", "_default"),
        ),
        (
            Reader.CONTAINERD,
            "Harbor.Example:5000",
            "Harbor.Example_5000_",
            ("Harbor.Example_5000_", "Harbor.Example:5000", "_default"),
        ),
        (Reader.CONTAINERS, "harbor.example:5000", "harbor.example:5000", ("harbor.example:5000",)),
        (Reader.CONTAINERD, "harbor.example", "harbor.example", ("harbor.example", "_default")),
        (
            Reader.CONTAINERD,
            "harbor.example:5000",
            "harbor.example_5000_",
            ("harbor.example_5000_", "harbor.example:5000", "_default"),
        ),
        (
            Reader.CONTAINERD,
            "[2001:db8::1]:5000",
            "[2001:db8::1]_5000_",
            ("[2001:db8::1]_5000_", "[2001:db8::1]:5000", "_default"),
        ),
        (Reader.CONTAINERD, "[2001:db8::1]", "[2001:db8::1]", ("[2001:db8:_1]_", "[2001:db8::1]", "_default")),
    ],
)
def test_each_runtime_looks_for_its_own_directory_names_in_its_own_order(reader, registry, entry, lookups):
    layout = next(layout for layout in Layout if reader in possible_readers(layout))
    assert entry_name(layout, registry) == entry
    assert lookup_names(reader, registry) == lookups


def test_the_longest_registry_leaves_room_for_every_affix():
    registry = "a" * (longest_registry() - 5) + ":5000"

    assert max(map(len, directory_names(registry))) == NAME_LIMIT == 255
    assert ".registry-trust-replaced." + entry_name(Layout.CONTAINERD, registry) in directory_names(registry)


def test_several_ca_certificates_stand_in_one_file():
    assert rendered(ca_certificates=(CA, CA_2))["ca.crt"].data == CA + CA_2


def test_docker_and_containers_get_nothing_but_certificates_and_keys():
    for layout in (Layout.DOCKER, Layout.CONTAINERS):
        assert rendered(layout, ca_certificates=(CA,), client_pairs=(PAIR,)).keys() == {
            "ca.crt",
            "client.cert",
            "client.key",
        }


def test_several_client_pairs_keep_their_order_by_a_number():
    assert pair_names((PAIR, SECOND)) == ("00-client", "01-backup")
    assert pair_names((PAIR,)) == ("client",)


@pytest.mark.parametrize("count", [2, 100, 101, 1001])
def test_names_sort_in_the_order_of_the_pairs_however_many_there_are(count):
    names = pair_names((PAIR,) * count)

    assert sorted(names) == list(names)


@pytest.mark.parametrize("layout", Layout)
def test_a_file_that_is_rendered_has_the_name_of_one_and_says_what_it_holds(layout):
    files = rendered(layout, ca_certificates=(CA,), client_pairs=(PAIR, SECOND))

    assert [name for name in files if not is_file_name(name)] == []
    assert [name for name, file in files.items() if file.holds_key()] == ["00-client.key", "01-backup.key"]
    assert [name for name, file in files.items() if file.holds_certificates()] == [
        "00-client.cert",
        "01-backup.cert",
        "ca.crt",
    ]


@pytest.mark.parametrize("name", ["owner.json", ".ca.crt", "ca.pem", "hosts.toml.bak", "a/ca.crt", "", ".crt"])
def test_no_file_that_is_rendered_has_such_a_name(name):
    assert not is_file_name(name)


def test_with_a_key_every_file_and_the_directory_are_private():
    files = render(Layout.DOCKER, "r.example", Material((CA,), (PAIR,)), "g")
    assert {file.mode for file in files} == {0o600}
    assert directory_mode(files) == 0o700

    files = render(Layout.DOCKER, "r.example", Material((CA,)), "g")
    assert {file.mode for file in files} == {0o644}
    assert directory_mode(files) == 0o755


def test_hosts_toml_names_the_files_of_its_own_generation_and_ends_in_an_empty_host_table():
    text = rendered(Layout.CONTAINERD, ca_certificates=(CA,), client_pairs=(PAIR, SECOND))["hosts.toml"].data.decode()
    base = "../.registry-trust/harbor.example_5000_/0123456789abcdef-1"

    document = tomllib.loads(text)
    assert document == {
        "ca": [f"{base}/ca.crt"],
        "client": [
            [f"{base}/00-client.cert", f"{base}/00-client.key"],
            [f"{base}/01-backup.cert", f"{base}/01-backup.key"],
        ],
        "host": {},
    }
    assert text.endswith("\n[host]\n")


def test_hosts_toml_says_nothing_of_what_is_not_there():
    assert tomllib.loads(rendered(Layout.CONTAINERD, client_pairs=(PAIR,))["hosts.toml"].data.decode()).keys() == {
        "client",
        "host",
    }


def test_the_content_hash_changes_with_layout_registry_of_hosts_toml_bytes_names_and_modes():
    material = Material((CA,))
    hashes = [
        content_hash(Layout.DOCKER, "r.example", material),
        content_hash(Layout.CONTAINERS, "r.example", material),
        content_hash(Layout.CONTAINERD, "r.example", material),
        content_hash(Layout.CONTAINERD, "s.example", material),
        content_hash(Layout.DOCKER, "r.example", Material((CA_2,))),
        content_hash(Layout.DOCKER, "r.example", Material((CA,), (PAIR,))),
        content_hash(Layout.DOCKER, "r.example", Material((CA,), (ClientPair("other", PAIR.certificate, PAIR.key),))),
    ]
    assert len(set(hashes)) == len(hashes)
    assert content_hash(Layout.DOCKER, "r.example", Material((CA,))) == hashes[0]


def test_no_key_shows_in_the_repr_of_anything_that_holds_one():
    pair = ClientPair("client", b"certificate", b"canary-key")
    material = Material((CA,), (pair,))
    assert "canary" not in repr(material) + repr(pair) + repr(render(Layout.DOCKER, "r.example", material, "g"))
