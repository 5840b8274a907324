"""What an import finds in each kind of source, and what it says of the rest: path and key, and never a secret."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from registry_trust.cli.documents import parse
from registry_trust.cli.importing import certs_d, config_map, registries_yaml
from registry_trust.cli.importing.found import Gravity, Reading
from registry_trust.cli.importing.node_files import NodeFiles
from registry_trust.core.errors import InvalidField
from registry_trust.core.layout import Layout
from registry_trust.core.registry import check

PEM = b"a certificate\n"


def said(reading: Reading, root: object = "/no/root") -> list[str]:
    return [f"{notice.weight.name}: {notice.text}".replace(str(root), "ROOT") for notice in reading.notices]


def refusal(name: str) -> str:
    """Return what the operator says of a name that is no registry's."""
    with pytest.raises(InvalidField) as caught:
        check(name)
    return str(caught.value.problem)


def registries(reading: Reading) -> list[str]:
    return [found.registry for found in reading.found]


def fill(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PEM)


def read(root: Path, layout: Layout | None = None) -> Reading:
    return certs_d.read(str(root), NodeFiles(), layout)


def test_a_directory_is_told_to_be_containerd_s_by_what_only_containerd_knows(tmp_path):
    fill(tmp_path, "a.example_5000_/ca.crt", "b.example:5000/ca.crt", "b.example:5000/only.cert")

    found = read(tmp_path)

    assert registries(found) == ["a.example:5000", "b.example:5000"]
    assert found.found[1].pairs[0].certificate == found.found[1].pairs[0].key
    assert registries(read(tmp_path, Layout.DOCKER)) == ["b.example:5000"]
    assert said(read(tmp_path, Layout.DOCKER), tmp_path) == [
        f"LOST: ROOT/a.example_5000_: {refusal('a.example_5000_')}",
        (
            'LOST: ROOT/b.example:5000/only.cert: there is no "only.key" next to it, and one without the other is '
            "of no use"
        ),
    ]


def test_the_directory_of_one_registry_can_be_named_alone(tmp_path):
    fill(tmp_path, "a.example:5000/ca.crt")

    assert registries(read(tmp_path / "a.example:5000")) == ["a.example:5000"]


def test_what_is_no_registry_s_directory_is_named(tmp_path):
    fill(tmp_path, "_default/ca.crt", "_backup/x/ca.crt", ".registry-trust/x/g/ca.crt", "a b/ca.crt", "h_1_/ca.crt")
    fill(tmp_path, "h:1/ca.crt")
    (tmp_path / "ours.example").symlink_to(".registry-trust/x/g")

    found = read(tmp_path)

    assert registries(found) == ["h:1"]
    assert said(found, tmp_path) == [
        (
            "LOST: ROOT/_default has certificates for every registry that has no directory of its own, and "
            "a RegistryTrust names its registries; import the certificates of those that need them"
        ),
        f"LOST: ROOT/a b: {refusal('a b')}",
        "NOTE: ROOT/.registry-trust is registry-trust's own, and so are the entries that lead there",
        "NOTE: ROOT/_backup is not a registry's directory, and no runtime reads it",
        'NOTE: ROOT/h:1 is not read by containerd, because "h_1_" is there too',
    ]


def test_a_default_that_has_mirrors_alone_stays_and_is_no_loss(tmp_path):
    fill(tmp_path, "a.example/ca.crt")
    (tmp_path / "_default").mkdir()
    (tmp_path / "_default" / "hosts.toml").write_text('[host."http://127.0.0.1:5000"]\ncapabilities = ["pull"]\n')

    assert said(read(tmp_path), tmp_path) == [
        "SETTING: ROOT/_default is for every registry that has no directory of its own; it stays where it is"
    ]


def test_files_that_no_runtime_loads_are_named_so_that_nobody_takes_them_for_imported(tmp_path):
    fill(tmp_path, "a.example/ca.crt", "a.example/corp.pem", "a.example/README")

    assert said(read(tmp_path), tmp_path) == [
        'NOTE: ROOT/a.example: no runtime loads "corp.pem": only names that end in .crt, .cert, .key are read'
    ]


def test_nothing_but_a_regular_file_of_bounded_size_is_opened(tmp_path):
    directory = tmp_path / "a.example"
    fill(tmp_path, "a.example/good.crt")
    os.mkfifo(directory / "pipe.crt")
    (directory / "dir.crt").mkdir()
    (directory / "zero.crt").symlink_to("/dev/zero")
    (directory / "gone.crt").symlink_to("nowhere")
    (directory / "loop.crt").symlink_to("loop.crt")
    (directory / "huge.crt").write_bytes(b"x" * (1024 * 1024 + 1))
    os.close(os.open(os.fsencode(directory) + b"/bad\xff\x1b[31m.crt", os.O_CREAT, 0o644))

    found = read(tmp_path, Layout.DOCKER)

    assert [text.place.replace(str(tmp_path), "") for text in found.found[0].authorities] == [
        "/a.example/bad\\udcff\\x1b[31m.crt",
        "/a.example/good.crt",
    ]
    assert said(found, directory) == [
        "LOST: ROOT/dir.crt can't be read: Is a directory",
        "LOST: ROOT/gone.crt can't be read: No such file or directory",
        "LOST: ROOT/huge.crt has more than 1048576 bytes",
        "LOST: ROOT/loop.crt can't be read: Too many levels of symbolic links",
        "LOST: ROOT/pipe.crt is not a regular file",
        "LOST: ROOT/zero.crt is not a regular file",
    ]


def test_links_of_a_copied_node_stay_inside_the_copy(tmp_path):
    fill(tmp_path, "secret.crt", "node/etc/ssl/corp.crt", "node/etc/docker/certs.d/a.example/own.crt")
    directory = tmp_path / "node/etc/docker/certs.d/a.example"
    (directory / "absolute.crt").symlink_to("/etc/ssl/corp.crt")
    (directory / "outside.crt").symlink_to("../../../../../secret.crt")
    (tmp_path / "node/etc/certs").symlink_to("/etc/docker/certs.d")

    found = certs_d.read("/etc/certs", NodeFiles(str(tmp_path / "node")), None)

    assert [text.place for text in found.found[0].authorities] == [
        "/etc/certs/a.example/absolute.crt",
        "/etc/certs/a.example/own.crt",
    ]
    assert said(found) == ["LOST: /etc/certs/a.example/outside.crt can't be read: No such file or directory"]


@pytest.mark.parametrize(
    ("text", "registry", "settings", "messages"),
    [
        ('ca = "ca.crt"', "h.example", False, []),
        ('server = "https://h.example"\n[host."https://h.example:443"]\nca = ["ca.crt"]', "h.example", False, []),
        ('[host."https://registry-1.docker.io"]\nca = "ca.crt"', "docker.io", False, []),
        (
            'ca = "ca.crt"\n[host."https://mirror.example:5000"]\nca = "ca.crt"\nclient = "x.pem"',
            "h.example",
            True,
            ["SETTING: ROOT/hosts.toml: https://mirror.example:5000 is tried for h.example with its ca and client"],
        ),
        (
            'server = "https://other.example"\nca = "ca.crt"\n[host."https://h.example"]\nca = "ca.crt"',
            "h.example",
            True,
            ["SETTING: ROOT/hosts.toml: https://other.example is tried for h.example with its ca"],
        ),
        (
            'ca = "ca.crt"\nheader = {Authorization = "Basic c2VjcmV0"}',
            "h.example",
            True,
            ["SETTING: ROOT/hosts.toml: header of the registry's own server"],
        ),
        (
            '[host."https://h.example/v2"]\ncapabilities = ["Pull", "resolve", "push"]\nca = "ca.crt"',
            "h.example",
            False,
            [],
        ),
        (
            'ca = "ca.crt"\ncapabilities = ["resolve"]\n[host."https://h.example/proxy"]\ndial_timeout = "1s"',
            "h.example",
            True,
            ["SETTING: ROOT/hosts.toml: capabilities, dial_timeout, a path of the registry's own server"],
        ),
        (
            'ca = "ca.crt"\nskip_verify = true',
            "h.example",
            False,
            [
                (
                    "LOST: ROOT/hosts.toml: skip_verify = true: containerd does not check this registry's certificate, "
                    "and a RegistryTrust always does; import its CA, e.g. with --from-registry h.example"
                )
            ],
        ),
        (
            'ca = ["ca.crt", "/no/such"]',
            "h.example",
            False,
            ["LOST: /no/such can't be read: No such file or directory"],
        ),
    ],
)
def test_of_hosts_toml_the_registry_s_own_certificates_are_taken(tmp_path, text, registry, settings, messages):
    fill(tmp_path, f"{registry}/ca.crt")
    (tmp_path / registry / "hosts.toml").write_text(text)

    found = read(tmp_path, Layout.CONTAINERD)

    assert [(each.registry, len(each.authorities), each.has_settings) for each in found.found] == [
        (registry, 1, settings)
    ]
    assert said(found, tmp_path / registry) == messages


def test_a_hosts_toml_that_containerd_would_refuse_is_not_guessed_at(tmp_path):
    fill(tmp_path, "h.example/ca.crt")
    (tmp_path / "h.example" / "hosts.toml").write_text("ca = 5\n")

    found = read(tmp_path)

    assert found.found == ()
    assert said(found, tmp_path)[0].startswith("LOST: ROOT/h.example/hosts.toml: its hosts.toml has a value for ca")


REGISTRIES_YAML = {
    "mirrors": {
        "own.example": {"endpoint": ["https://own.example"]},
        "docker.io": {"endpoint": ["https://own.example", "http://x"], "rewrite": {"a": "b"}},
        "rewritten.example": {"endpoint": ["https://rewritten.example/v2"], "rewrite": {"a": "b"}},
        "bad": 5,
    },
    "configs": {
        "own.example": {"auth": {"username": "robot", "password": "hunter2"}, "tls": {"ca_file": "/ca.crt"}},
        "pair.example:5000": {"tls": {"cert_file": "/c", "key_file": "/ca.crt"}},
        "half.example": {"tls": {"ca_file": "/ca.crt", "cert_file": "/ca.crt"}},
        "skip.example": {"tls": {"insecure_skip_verify": True}},
        "*": {"tls": {"ca_file": "/ca.crt"}},
        "relative.example": {"tls": {"ca_file": "ca.crt", "key_file": 7}},
        "https://scheme.example": {"tls": {"ca_file": "/ca.crt"}},
        "null.example": None,
        "list.example": [],
    },
    "auths": {"https://own.example": {"auth": "aHVudGVyMg=="}},
    "config": {},
}


def test_of_registries_yaml_certificates_are_taken_and_the_rest_is_named_without_values(tmp_path):
    fill(tmp_path, "ca.crt")

    found = registries_yaml.read(REGISTRIES_YAML, "F:1", NodeFiles(str(tmp_path)))

    assert [(each.registry, each.has_settings) for each in found.found] == [
        ("own.example", True),
        ("half.example", False),
    ]
    assert said(found) == [
        'SETTING: F:1: configs["own.example"].auth has credentials; they stay in that file',
        'LOST: F:1: configs["pair.example:5000"].tls: /c can\'t be read: No such file or directory',
        'LOST: F:1: configs["half.example"].tls has no key_file, and one without the other is of no use',
        (
            'LOST: F:1: configs["skip.example"].tls.insecure_skip_verify: k3s does not check this registry\'s '
            "certificate, and a RegistryTrust always does; import its CA"
        ),
        (
            'LOST: F:1: configs["*"] is for every registry, and a RegistryTrust names its registries; import the '
            "certificates of each"
        ),
        'LOST: F:1: configs["relative.example"].tls.ca_file is not the absolute path of a file on the node',
        'LOST: F:1: configs["relative.example"].tls.key_file is not the absolute path of a file on the node',
        f'LOST: F:1: configs["https://scheme.example"]: {refusal("https://scheme.example")}',
        'LOST: F:1: configs["list.example"] is a list, where auth and tls are expected',
        'NOTE: F:1: "config" is not a key that k3s reads',
        'SETTING: F:1: mirrors["docker.io"]: 2 other endpoints are tried first with rewrites; it stays in that file',
        'SETTING: F:1: mirrors["rewritten.example"]: names are rewritten; it stays in that file',
        'SETTING: F:1: mirrors["bad"]: it is a number; it stays in that file',
        'SETTING: F:1: auths["https://own.example"] has credentials; they stay in that file',
    ]
    assert "hunter2" not in str(said(found))
    assert "robot" not in str(said(found))


def test_of_openshift_s_config_map_two_dots_stand_for_the_colon():
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "cas", "namespace": "openshift-config", "uid": "1"},
        "data": {
            "plain.example": "x",
            "port.example..5000": "x",
            "updateservice-registry": "x",
            "ca-bundle.crt": "x",
            "up_per": "x",
        },
    }

    found = config_map.read(*parse(json.dumps(body), "F"))

    assert registries(found) == ["plain.example", "port.example:5000"]
    assert said(found) == [
        (
            "LOST: F:1 ConfigMap cas key ca-bundle.crt is a file's name, not a registry; OpenShift's keys "
            'are like "registry.example.com..5000"'
        ),
        f"LOST: F:1 ConfigMap cas key up_per: {refusal('up_per')}",
        (
            "SETTING: F:1 ConfigMap cas key updateservice-registry is for OpenShift's update service and names "
            "no registry; nodes pull without it"
        ),
    ]
    assert {notice.weight for notice in found.notices} == {Gravity.LOST, Gravity.SETTING}
