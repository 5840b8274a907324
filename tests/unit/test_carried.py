"""Carried: a `_default` of others is taken along as it says, or not at all and with the reason."""

from __future__ import annotations

import tomllib

import pytest

from registry_trust.core.carried import Carried, Host, NotCarried
from registry_trust.core.hosts_toml import from_files, parse, parse_own
from registry_trust.core.layout import Carrying, ClientPair, Layout, Material, content_hash, is_file_name, render
from tools.trials.hosts_files import draw

REGISTRY, DIRECTORY = "harbor.corp.example:5000", "/etc/containerd/certs.d/_default"
OURS = Material((b"our CA\n",), (ClientPair("node", b"our certificate\n", b"our key\n"),))
BASE = "../.registry-trust/harbor.corp.example_5000_/0123456789abcdef-1"
SPEGEL = """
[host.'http://10.0.0.1:30020']
capabilities = ['pull', 'resolve']
dial_timeout = '200ms'
[host.'http://10.0.0.1:30020'.header]
Authorization = 'Basic c2VjcmV0LWNhbmFyeQ=='

[host.'http://10.0.0.1:30021']
capabilities = ['pull', 'resolve']
dial_timeout = '200ms'
"""


def carried(text: str, **options: bool) -> Carried:
    found = parse(text.encode(), DIRECTORY, **options)
    assert isinstance(found, Carried), found
    return found


def entry(text: str, material: Material = OURS, *others: Material | None, layout: Layout = Layout.CONTAINERD):
    """Return the files of an entry that carries the text; `others` are of the `[host]` tables."""
    found = carried(text)
    given = (*others, *(None,) * (len(found.hosts) - len(others)), None if found.root.url else material)
    return {
        file.name: file for file in render(layout, REGISTRY, material, "0123456789abcdef-1", Carrying(found, given))
    }


def test_what_spegel_writes_is_repeated_and_the_registry_itself_comes_last_with_our_certificates() -> None:
    document = tomllib.loads(entry(SPEGEL)["hosts.toml"].data.decode())

    assert document["ca"] == [f"{BASE}/ca.crt"]
    assert document["client"] == [[f"{BASE}/node.cert", f"{BASE}/node.key"]]
    assert list(document["host"]) == ["http://10.0.0.1:30020", "http://10.0.0.1:30021"]
    assert document["host"]["http://10.0.0.1:30021"] == {"capabilities": ["pull", "resolve"], "dial_timeout": "200ms"}
    assert document["host"]["http://10.0.0.1:30020"]["header"] == {"Authorization": ["Basic c2VjcmV0LWNhbmFyeQ=="]}


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ('ca = "ca.crt"', "ca", [f"{DIRECTORY}/ca.crt"]),
        ('ca = ["../x/./ca.crt", "/srv/../ca.crt"]', "ca", ["/etc/containerd/certs.d/x/ca.crt", "/srv/../ca.crt"]),
        ('client = "both.pem"', "client", [[f"{DIRECTORY}/both.pem"] * 2]),
        ('client = ["both.pem", ["a", "/b"]]', "client", [[f"{DIRECTORY}/both.pem"] * 2, [f"{DIRECTORY}/a", "/b"]]),
        ("skip_verify = false", "skip_verify", False),
        ("override_path = true", "override_path", True),
        ('capabilities = ["Pull"]', "capabilities", ["Pull"]),
        ("capabilities = []", "capabilities", []),
        ('dial_timeout = "1m0.5s"', "dial_timeout", "1m0.5s"),
        ('header = { "X-A" = "say \\"x\\" \\u2028" }', "header", {"X-A": ['say "x" \u2028']}),
    ],
)
def test_each_key_of_a_host_is_carried_with_absolute_paths(line: str, key: str, expected: object) -> None:
    document = tomllib.loads(entry(f"[host.'https://m.example']\n{line}\n")["hosts.toml"].data.decode())

    assert document["host"]["https://m.example"] == {key: expected}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "[host.'https://m.example']\nrewrite = {}",
            'has the key "rewrite" in [host] table 1, and containerd knows no',
        ),
        ("[host.'https://m.example']\nCA = 'x'", 'has the key "CA"'),
        ("Server = 'x'", 'has the key "Server" before its tables'),
        ("server = 1", "names a host before its tables that is not a plain URL"),
        ("[host.'https://u:canary@m.example']", "names a host in [host] table 1 that is not a plain URL"),
        ("[host.'https://m.example?key=canary']", "that is not a plain URL"),
        ("[host.'https://m.example/v2?key=canary']", "that is not a plain URL"),
        ("[host.httpd]", "that is not a plain URL"),
        ("[host.a]\n[host.b]\n[host.a.header]\nx = 'y'", "the order of the hosts"),
        ("[host]\n'm.example'.ca = 'x'", "the order of the hosts"),
        ("host.'m.example' = { ca = 'x' }", "the order of the hosts"),
        ("[[host]]", "host in its hosts.toml is not made of tables"),
        ("[host.a]\ncapabilities = ['delete']", "a value for capabilities in [host] table 1 that containerd refuses"),
        ("[host.a]\nca = [['x']]", "a value for ca"),
        ("[host.a]\nclient = [['x']]", "a value for client"),
        ("[host.a]\nskip_verify = 1", "a value for skip_verify"),
        ("[host.a]\ndial_timeout = '9999999999h'", "a value for dial_timeout"),
        ("[host.a]\ndial_timeout = '5'", "a value for dial_timeout"),
        ("[host.a.header]\nx = 1", "a value for header"),
        ("[host.a.header]\n'x y' = 'z'", "a value for header"),
        ("[host.a.header]\nx = '''\n[host.fake]\n'''", "quotes of strings of several lines"),
        ("[host.a]\n[host b]\n", "is not valid TOML (line 2)"),
        ("[host.a]\n[host.a", "is not valid TOML"),
        ("[host.a]\n" * 2, "is not valid TOML"),
        ("\xff", "is not valid TOML"),
        ("[" * 5000, "is not valid TOML"),
        (f"# {'x' * (1 << 16)}", "is too large"),
        # The standard library takes a minute for this one.
        (f"{'.'.join('a' * 30000)} = 1", "is not valid TOML or is too large"),
        ("".join(f"[host.h{n}]\n" for n in range(65)), "more than 64 hosts"),
    ],
)
def test_what_containerd_would_not_read_or_reads_by_version_is_not_carried_and_says_why(text: str, why: str) -> None:
    found = parse(text.encode("latin-1"), DIRECTORY)

    assert isinstance(found, NotCarried)
    assert why in found.why
    assert found.fix
    assert "canary" not in repr(found)


def test_what_is_carried_is_read_back_from_our_own_file_whatever_stands_in_it() -> None:
    compared = 0
    for number in range(600):
        found = parse(draw(number).replace("HERE", DIRECTORY).encode(), DIRECTORY)
        if isinstance(found, NotCarried) or found.says_nothing():
            continue
        for others in ((), (OURS,) * len(found.hosts)):
            given = tuple(OURS if host.verifies() else None for host in found.everything()) if others else None
            carrying = Carrying(found, given or (None,) * len(found.everything()))
            files = {
                file.name: file for file in render(Layout.CONTAINERD, REGISTRY, OURS, "0123456789abcdef-1", carrying)
            }
            assert parse_own(files["hosts.toml"].data, private=False) == found, number
        compared += 1

    assert compared > 300


def test_headers_of_many_lines_are_read_back_from_the_one_line_that_we_make_of_them() -> None:
    text = "[host.a.header]\n" + "".join(f"x{number} = '{'.' * 90}'\n" for number in range(400))
    files = entry(text)

    assert parse_own(files["hosts.toml"].data, private=True) == carried(text)


def test_an_entry_that_carries_nothing_reads_back_as_nothing_and_has_the_same_file_as_ever() -> None:
    files = {file.name: file for file in render(Layout.CONTAINERD, REGISTRY, OURS, "0123456789abcdef-1")}

    assert parse_own(files["hosts.toml"].data, private=True) is None
    assert files["hosts.toml"].data.decode().splitlines()[1:] == [
        f'ca = ["{BASE}/ca.crt"]',
        f'client = [["{BASE}/node.cert", "{BASE}/node.key"]]',
        "",
        "[host]",
    ]


# ---- certificates of a mirror ----------------------------------------------------------------------------------------

MIRROR = Material((b"its CA\n",), (ClientPair("node", b"its certificate\n", b"its key\n"),))


def test_a_mirrors_certificates_are_copies_that_no_runtime_loads_by_their_names() -> None:
    files = entry("[host.'https://m.example']\nca = '/theirs.crt'\nclient = '/theirs.pem'", OURS, MIRROR)

    table = tomllib.loads(files["hosts.toml"].data.decode())["host"]["https://m.example"]
    assert table["ca"] == [f"{BASE}/HOST-00-ca.key", "/theirs.crt"]
    assert table["client"] == [[f"{BASE}/HOST-00-client-node.key"] * 2, ["/theirs.pem"] * 2]
    assert files["HOST-00-ca.key"].data == b"its CA\n"
    assert files["HOST-00-client-node.key"].data == b"its certificate\nits key\n"
    assert all(map(is_file_name, files)), "an agent before this one knows the names in its manifest"


def test_a_root_for_dockerd_gets_a_hosts_toml_only_with_something_to_carry() -> None:
    plain = render(Layout.DOCKER, REGISTRY, OURS, "0123456789abcdef-1")

    assert "hosts.toml" not in {file.name for file in plain}
    files = entry(SPEGEL, layout=Layout.DOCKER)
    assert set(files) == {*(file.name for file in plain), "hosts.toml"}
    assert f"../.registry-trust/{REGISTRY}/0123456789abcdef-1/ca.crt" in files["hosts.toml"].data.decode()


# ---- secrets ---------------------------------------------------------------------------------------------------------

CA_ALONE = Material((b"our CA\n",))
PLAIN_MIRROR = "[host.'https://m.example']\n"


@pytest.mark.parametrize(
    ("text", "private", "others", "mode"),
    [
        (PLAIN_MIRROR, False, (), 0o644),
        (PLAIN_MIRROR, True, (), 0o600),
        (SPEGEL, False, (), 0o600),
        (f"header.x = 'y'\n{PLAIN_MIRROR}", False, (), 0o600),
        (PLAIN_MIRROR, False, (Material((b"its CA\n",)),), 0o644),
        (PLAIN_MIRROR, False, (MIRROR,), 0o600),
    ],
)
def test_an_entry_is_no_more_readable_than_what_it_carries(
    text: str, *, private: bool, others: tuple[Material, ...], mode: int
) -> None:
    found = carried(text, private=private)
    given = (*others, *(None,) * (len(found.hosts) - len(others)), CA_ALONE)

    files = render(Layout.CONTAINERD, REGISTRY, CA_ALONE, "0123456789abcdef-1", Carrying(found, given))

    assert {file.mode for file in files} == {mode}


def test_a_header_is_in_no_representation_and_no_hash_that_is_shown() -> None:
    one, other = carried(SPEGEL), carried(SPEGEL.replace("c2VjcmV0", "b3RoZXI="))
    hashes = [
        content_hash(Layout.CONTAINERD, REGISTRY, CA_ALONE, Carrying(each, (None, None, CA_ALONE)))
        for each in (one, other)
    ]

    assert one != other
    assert hashes[0] == hashes[1], "a password could be guessed from the hash"
    assert "c2VjcmV0" not in repr(one) + one.shown() + repr(Carrying(one, (None, None, None)))


def test_what_is_shown_is_each_host_without_its_path() -> None:
    text = "server = 'https://all.example/a'\n[host.'https://m.example/secret/path']\nskip_verify = true\n[host.'http://n:1']"

    assert carried(text).shown() == (
        "https://m.example (not verified), http://n:1, then https://all.example instead of the registry"
    )
    assert carried("ca = 'x'").shown() == "its certificates"
    assert carried("header.x = 'y'").shown() == "its settings"


# ---- a directory without a hosts.toml --------------------------------------------------------------------------------


def test_certificate_files_are_carried_as_containerd_loads_them_by_name() -> None:
    names = ["b.crt", "a.crt", "c.cert", "c.key", "d.cert", "e.key", "README"]

    assert from_files(names, "/d") == Carried(
        Host(ca=("/d/a.crt", "/d/b.crt"), client=(("/d/c.cert", "/d/c.key"), ("/d/d.cert", "/d/d.cert")))
    )
    assert from_files(["README", "e.key"], "/d") is None
