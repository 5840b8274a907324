"""What a probe takes from a node's files and from its runtime's environment, and when it asks nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from registry_trust.agent.probe.files import NotAsTheRuntime, load, proxy_of
from registry_trust.agent.probe.probe import Question, probe
from registry_trust.agent.probe.system_roots import system_roots
from registry_trust.core.layout import Reader
from registry_trust.core.reasons import Reason
from registry_trust.core.verdict.verdict import State
from tools import pki
from tools.messages.cluster import NOW, REGISTRY

PROXY = {"HTTPS_PROXY": "http://proxy.example:3128"}


def nobody(*_: object) -> list[tuple[str, int]]:
    raise AssertionError("the network was used")


def asked(registry: str, directory: Path | str = "", **more: object) -> Reason:
    verdict = probe(Question(registry, str(directory), Reader.CONTAINERD, (), **more), NOW, nobody)  # type: ignore[arg-type]
    assert verdict.state is State.UNKNOWN
    return verdict.problem.reason


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({}, ""),
        ({"HTTP_PROXY": "http://proxy.example"}, ""),
        (PROXY, "HTTPS_PROXY"),
        ({"https_proxy": "proxy.example:3128"}, "https_proxy"),
        ({**PROXY, "NO_PROXY": "*"}, ""),
        ({**PROXY, "NO_PROXY": "localhost, harbor.corp.example"}, ""),
        ({**PROXY, "NO_PROXY": "harbor.corp.example:5000"}, ""),
        ({**PROXY, "no_proxy": ".corp.example"}, ""),
        ({**PROXY, "NO_PROXY": "CORP.example"}, ""),
        ({**PROXY, "NO_PROXY": "harbor.corp.example:443"}, "HTTPS_PROXY"),
        ({**PROXY, "NO_PROXY": "orp.example"}, "HTTPS_PROXY"),
        ({**PROXY, "NO_PROXY": ".harbor.corp.example"}, "HTTPS_PROXY"),
        ({**PROXY, "NO_PROXY": "10.0.0.0/8"}, "HTTPS_PROXY"),
        ({**PROXY, "NO_PROXY": ", ."}, "HTTPS_PROXY"),
    ],
)
def test_a_proxy_counts_unless_the_environment_plainly_excepts_the_registry(environment, variable):
    assert proxy_of(environment, REGISTRY) == variable


def test_a_registry_behind_a_proxy_or_on_the_node_itself_is_not_probed():
    assert asked(REGISTRY, environment=PROXY) is Reason.NOT_PROBED
    assert asked("localhost:5000") is Reason.NOT_PROBED
    assert asked("127.1.2.3:5000") is Reason.NOT_PROBED


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"ca.crt": b""}, "has no certificate"),
        ({"ca.crt": pki.root().pem.replace(b"\nMI", b"\nComment: x\n\nMI", 1)}, "read in different ways"),
        ({"client.cert": pki.client().pem}, "half of a client pair"),
        ({"client.key": b"x"}, "half of a client pair"),
        ({"hosts.toml": b"[host.'https://mirror.example']\n"}, "https://mirror.example"),
        ({"hosts.toml": b"server = 'https://other.example'\n"}, "https://other.example"),
        ({"hosts.toml": b"skip_verify = true\n"}, "switches verification off"),
        ({"hosts.toml": b"[header]\nx-y = 'secret'\n"}, "adds headers"),
        ({"hosts.toml": b"rewrite = {}\n"}, "knows no such key"),
    ],
)
def test_a_directory_that_a_probe_would_read_otherwise_than_the_runtime_is_not_probed(tmp_path, files, words):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)

    assert asked(REGISTRY, tmp_path) is Reason.NOT_PROBED
    with pytest.raises(NotAsTheRuntime, match=words):
        load(REGISTRY, str(tmp_path), Reader.CONTAINERD)


def test_a_fifo_where_a_certificate_belongs_stops_no_probe(tmp_path):
    os.mkfifo(tmp_path / "ca.crt")

    assert asked(REGISTRY, tmp_path) is Reason.NOT_PROBED


def test_every_file_is_read_in_the_order_of_its_name_by_readers_without_tables(tmp_path):
    for name, data in {"b.crt": pki.root(1).pem, "a.crt": pki.root(0).pem + pki.root(2).pem, "x": b"?"}.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "hosts.toml").write_bytes(b"skip_verify = true\n")

    assert load(REGISTRY, str(tmp_path), Reader.DOCKERD).own == tuple(pki.root(n).der for n in (0, 2, 1))


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host's file system below another root, with links as distributions make them."""
    shared, certs = tmp_path / "usr/share/ca-certificates", tmp_path / "etc/ssl/certs"
    shared.mkdir(parents=True)
    certs.mkdir(parents=True)
    (shared / "one.crt").write_bytes(pki.root(1).pem)
    (certs / "one.pem").symlink_to("/usr/share/ca-certificates/one.crt")
    (certs / "abcd.0").symlink_to("one.pem")
    (certs / "ca-certificates.crt").write_bytes(pki.root(0).pem + pki.root(1).pem)
    (certs / "java").mkdir()
    (tmp_path / "etc/pki/tls").mkdir(parents=True)
    (tmp_path / "etc/pki/tls/certs").symlink_to("../../ssl/certs")
    return tmp_path


def test_the_systems_roots_are_those_of_the_bundle_and_of_every_file_next_to_it(host):
    (host / "etc/ssl/certs/dropped-by-hand.pem").write_bytes(pki.root(2).pem)

    assert set(system_roots({}, host) or ()) == {pki.root(n).der for n in range(3)}


def test_links_of_a_host_lead_to_nothing_outside_of_its_root(host):
    outside = host.parent / "outside.pem"
    outside.write_bytes(pki.root(3).pem)
    (host / "etc/ssl/certs/far.pem").symlink_to(f"../../../../{outside.name}")

    assert set(system_roots({}, host) or ()) == {pki.root(0).der, pki.root(1).der}


@pytest.mark.parametrize("environment", [{"SSL_CERT_FILE": "/x"}, {"SSL_CERT_DIR": "/x"}])
def test_roots_that_a_variable_replaces_are_not_seen(host, environment):
    assert system_roots(environment, host) is None


def test_a_host_without_roots_in_the_known_places_is_not_seen(tmp_path):
    assert system_roots({}, tmp_path) is None


def test_a_loop_of_links_is_not_seen_to_its_end(host):
    (host / "etc/ssl/certs/loop.pem").symlink_to("loop.pem")

    assert system_roots({}, host) is None
