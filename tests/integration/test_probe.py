"""The probe against registries that misbehave, and against those whose answer OpenSSL and Go would give differently."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from registry_trust.agent.probe.probe import Question, probe
from registry_trust.core.layout import Layout, Reader
from registry_trust.core.reasons import Reason
from registry_trust.core.verdict.verdict import State, Verdict
from tests.integration.probing import HOST, write
from tests.integration.talking import cut_after, listening, secured, sending
from tools import der, pki
from tools.authority import Authority, Pair
from tools.cluster.loaders import Loaders
from tools.cluster.showing import Ask, Registries, Showing

pytestmark = pytest.mark.tools("showing", "loaders")

AUTHORITY, CLIENTS = Authority.create("Corp CA"), Authority.create("Client CA")
SERVER = AUTHORITY.server([HOST])
OK = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
SECONDS = 3.0
"""For registries that never come to an end."""


@pytest.fixture
def context(tmp_path) -> ssl.SSLContext:
    """The TLS of an ordinary registry."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*SERVER.write(tmp_path, "server"))
    return made


@pytest.fixture
def ask(tmp_path) -> Callable[..., Verdict]:
    """Probe the registry at a port of loopback, with an entry as the agent writes it."""

    numbers = itertools.count()

    def asked(
        port: int,
        *pairs: Pair,
        trusted: tuple[Authority, ...] = (AUTHORITY,),
        address: str = "127.0.0.1",
        own_network: bool = True,
    ) -> Verdict:
        entry = write(
            tmp_path / f"certs.d-{port}-{next(numbers)}",
            Layout.CONTAINERD,
            f"{HOST}:{port}",
            tuple(each.issued for each in trusted),
            tuple((pair.certificate, pair.key) for pair in pairs),
        )
        question = Question(f"{HOST}:{port}", str(entry), Reader.CONTAINERD, (), own_network=own_network)
        return probe(question, datetime.now(UTC), lambda *_: [(address, port)], SECONDS)

    return asked


def test_an_ordinary_registry_is_verified_with_one_handshake(context, ask):
    count = []

    def talk(client: socket.socket) -> None:
        count.append(client)
        secured(context, sending(OK))(client)

    with listening(talk) as port:
        verdict = ask(port)

    assert verdict.state is State.VERIFIED, verdict.problem
    assert len(count) == 1


def slowly(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        threading.Event().wait(0.05)
        client.sendall(b"X")


@pytest.mark.parametrize(
    ("talk", "reason", "words"),
    [
        (sending(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n" * 100, repeat=True), Reason.REGISTRY_UNREACHABLE, "header"),
        (slowly, Reason.REGISTRY_UNREACHABLE, "too long"),
        (sending(b"\0" * 5000, repeat=True), Reason.REGISTRY_UNREACHABLE, "header"),
        (sending(b""), Reason.REGISTRY_UNREACHABLE, "no end of the header in 0 bytes"),
        (sending(b"HTTP/1.1 200 \xff\xfe\r\nServer: \xe9\r\n\r\n"), Reason.VERIFIED, ""),
        (sending(b"220 mail.example ESMTP\r\n\r\n"), Reason.UNEXPECTED_ANSWER, "not HTTP/1.1"),
        (
            sending(b"HTTP/1.1 400 Bad\r\n\r\n" + b"<h1>No required SSL certificate was sent</h1>"),
            Reason.UNEXPECTED_ANSWER,
            "400",
        ),
    ],
)
def test_an_answer_that_is_none_ends_in_bounded_time_and_bytes(context, ask, talk, reason, words):
    with listening(secured(context, talk)) as port:
        verdict = ask(port)

    assert verdict.problem.reason is reason, verdict.problem
    assert words in verdict.problem.message


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        (sending(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Reason.NOT_TLS),
        (sending(b"SSH-2.0-OpenSSH_9.9\r\n"), Reason.REGISTRY_UNREACHABLE),
        (sending(b"\x16\x03\x03\xff\xff", b"\x02" * 70_000), Reason.REGISTRY_UNREACHABLE),
        (sending(b"\x16\x03\x03\x00\x05\x02\xff\xff\xff\x00", repeat=True), Reason.REGISTRY_UNREACHABLE),
        (lambda client: client.recv(1), Reason.REGISTRY_UNREACHABLE),
        (lambda client: client.recv(1 << 20) and client.recv(1 << 20), Reason.REGISTRY_UNREACHABLE),
    ],
)
def test_what_does_not_speak_tls_shows_no_certificate(ask, talk, reason):
    with listening(talk) as port:
        verdict = ask(port)

    assert verdict.problem.reason is reason, verdict.problem
    assert verdict.shown == ()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_reset_after_any_byte_is_no_failure_of_the_trust(context, ask, version):
    context.maximum_version = version
    verdicts = []
    with listening(secured(context, sending(OK))) as registry:
        for size in range(0, 2_500, 37):
            with listening(cut_after(size, registry)) as port:
                verdicts.append(ask(port))

    assert {verdict.problem.reason for verdict in verdicts} == {Reason.VERIFIED, Reason.REGISTRY_UNREACHABLE}
    assert verdicts[0].problem.reason is Reason.REGISTRY_UNREACHABLE
    assert verdicts[-1].problem.reason is Reason.VERIFIED


def shown(*chain: bytes) -> Showing:
    key = serialization.load_pem_private_key(SERVER.key, None)
    form = serialization.PrivateFormat.PKCS8
    return Showing(chain, key.private_bytes(pki.DER, form, serialization.NoEncryption()))


def first(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.decode())


def test_a_huge_chain_is_not_read_to_its_end(ask):
    with Registries() as registries, registries.showing(shown(*[first(SERVER)] * 2_000)) as port:
        verdict = ask(port)

    assert verdict.problem.reason is Reason.REGISTRY_UNREACHABLE, verdict.problem


def test_a_chain_with_a_subject_that_is_no_text_is_unclear_and_shown_without_it(ask):
    stranger = der.handmade(subject=der.distinguished(b"\xff\x1b[2J\xfe"))
    with Registries() as registries, registries.showing(shown(first(SERVER), stranger)) as port:
        verdict = ask(port)

    assert verdict.problem.reason in (Reason.VERDICT_UNCLEAR, Reason.REGISTRY_UNREACHABLE)
    assert "".join((verdict.problem.message, *verdict.shown)).isprintable()


def test_a_key_exchange_that_go_has_not_is_unclear(context, ask):
    context.set_ecdh_curve("X448")
    with listening(secured(context, sending(OK))) as port:
        verdict = ask(port)

    assert verdict.problem.reason is Reason.VERDICT_UNCLEAR, verdict.problem
    assert "0x001e" in verdict.problem.message


def test_a_client_chain_is_not_completed_from_the_ca_certificates_as_openssl_would(ask, tmp_path):
    middle = Authority(pki.issue("Issuing", pki.curve_key(51), issuer=CLIENTS.issued, ca=True, signs=True, **_dates()))
    alone = middle.client("node")
    whole = Pair(alone.certificate + middle.pem, alone.key)
    trusted = (AUTHORITY, middle)
    one = shown(first(SERVER))
    wants = Showing(one.chain, one.key, Ask.VERIFY, (CLIENTS.certificate.public_bytes(pki.DER),))
    nobody_named = Showing(one.chain, one.key, Ask.ANY)
    with Registries() as registries, Loaders(system_roots=False) as loaders:
        for showing, pair, works in ((wants, alone, False), (wants, whole, True), (nobody_named, alone, True)):
            with registries.showing(showing) as port:
                root = tmp_path / f"root-{port}"
                pairs = ((pair.certificate, pair.key),)
                write(root, Layout.CONTAINERD, f"{HOST}:{port}", tuple(each.issued for each in trusted), pairs)
                pull = loaders.pull(Layout.CONTAINERD, root, f"{HOST}:{port}/x:y", dial=f"127.0.0.1:{port}")
                verdict = ask(port, pair, trusted=trusted)
            assert pull.ok is works, pull.error
            assert verdict.state is (State.VERIFIED if works else State.FAILED), verdict.problem


def _dates() -> dict[str, Any]:
    return {"not_before": datetime(2025, 1, 1, tzinfo=UTC), "not_after": datetime(2036, 1, 1, tzinfo=UTC)}


def test_no_client_certificate_goes_to_a_server_that_is_not_the_one_that_was_verified(context, ask, tmp_path):
    impostor = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    impostor.load_cert_chain(*Authority.create("Corp CA").server([HOST]).write(tmp_path, "impostor"))
    got = []
    for each in (context, impostor):
        each.verify_mode = ssl.CERT_OPTIONAL
        each.load_verify_locations(cadata=CLIENTS.pem.decode())
    turns = iter((context, impostor))

    def talk(client: socket.socket) -> None:
        with next(turns).wrap_socket(client, server_side=True) as inside:
            got.append(inside.getpeercert())

    with listening(talk) as port:
        verdict = ask(port, CLIENTS.client("node"))

    assert verdict.problem.reason is Reason.VERDICT_UNCLEAR, verdict.problem
    assert "no client certificate was sent" in verdict.problem.message
    assert not any(got)


@pytest.mark.parametrize("locked", [False, True])
def test_a_key_that_can_not_be_loaded_is_not_shown_and_asks_nobody(context, ask, locked):
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=CLIENTS.pem.decode())
    pair = CLIENTS.client("node")
    key = serialization.load_pem_private_key(pair.key, None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    text = key.private_bytes(pki.PEM, serialization.PrivateFormat.PKCS8, encryption)
    broken = pair.key.replace(b"\n", b"\nA", 1)
    with listening(secured(context, sending(OK))) as port:
        verdict = ask(port, Pair(pair.certificate, text if locked else broken))

    assert verdict.problem.reason is Reason.NOT_PROBED, verdict.problem
    lines = [line for line in pair.key.decode().splitlines() if not line.startswith("-")]
    assert not any(line[:16] in str(verdict) for line in lines)


def test_a_name_of_a_metadata_server_makes_no_connection(ask):
    verdict = ask(5000, address="169.254.169.254")

    assert verdict.problem.reason is Reason.REGISTRY_UNREACHABLE
    assert "169.254.169.254 is link-local" in verdict.problem.message


def test_a_name_of_the_node_itself_makes_no_connection_from_the_network_of_a_pod(ask):
    with listening(sending(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        verdict = ask(port, own_network=False)

    assert verdict.problem.reason is Reason.REGISTRY_UNREACHABLE
    assert "127.0.0.1 is the node itself" in verdict.problem.message


def test_a_probe_leaves_no_descriptor_behind(context, ask):
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=CLIENTS.pem.decode())
    with listening(secured(context, sending(OK))) as port:
        ask(port, CLIENTS.client("node"))
        before = _sockets(port)
        for _ in range(5):
            assert ask(port, CLIENTS.client("node")).state is State.VERIFIED

    assert _sockets(port) <= before


def _sockets(port: int) -> int:
    """How many connections to a port this process has."""
    wanted = f"0100007F:{port:04X}"
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()]
    inodes = {row[9] for row in rows[1:] if row[2] == wanted}
    links = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links.append(str(each.readlink()))
    return sum(f"socket:[{inode}]" in links for inode in inodes - {"0"})
