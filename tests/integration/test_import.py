"""`registry-trust import` as a command: where it writes, what it shows of keys, hostile input, running registries."""

from __future__ import annotations

import hashlib
import os
import pty
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.integration.commands import EVER, authority, run
from tests.page_commands import own_blocks
from tools import pki
from tools.cluster import canaries
from tools.cluster.registry import Registry
from tools.cluster.runs import Run
from tools.pki import Issued, curve_key, issue
from tools.torture import traced

pytestmark = pytest.mark.tools("registry")

ROOT = authority(1)
MIDDLE = issue("middle", curve_key(2), issuer=ROOT, ca=True, signs=True, **EVER)
LEAF = issue("harbor", curve_key(3), issuer=MIDDLE, ca=False, names=("localhost",), **EVER)
ALONE = issue("harbor", curve_key(3), ca=False, names=("localhost",), **EVER)
NODE = issue("node", curve_key(7), issuer=ROOT, ca=False, **EVER)


needs_strace = pytest.mark.skipif(bool(traced.missing()), reason=traced.missing() or "strace is here")
BOMB = b"a: &a [x,x]\n" + b"".join(b"%c: &%c [%b]\n" % (n, n, b"*%c," % (n - 1) * 10) for n in b"bcdefgh")
"""Ten million values in a few lines."""


@pytest.fixture
def certs_d(tmp_path: Path) -> Path:
    """Return a root with two registries of one CA, and a client pair for one of them."""
    root = tmp_path / "docker" / "certs.d"
    for name in ("a.example:5000", "b.example"):
        (root / name).mkdir(parents=True)
        (root / name / "ca.crt").write_bytes(ROOT.pem)
    (root / "b.example" / "client.cert").write_bytes(NODE.pem)
    (root / "b.example" / "client.key").write_bytes(pki.pkcs8(NODE.key))
    return root


def fingerprint(one: Issued) -> str:
    return "sha256:" + hashlib.sha256(one.der).hexdigest()


# ---- where it goes ---------------------------------------------------------------------------------------------------


def test_private_keys_are_printed_only_when_that_is_asked_for(certs_d):
    plain, asked = run("import", certs_d), run("import", certs_d, "--with-private-keys")

    assert (plain.exit_code, plain.stdout) == (1, "")
    assert "1 private key would be printed, so nothing was" in plain.stderr
    assert asked.exit_code == 0
    kinds = [body["kind"] for body in yaml.safe_load_all(asked.stdout)]
    assert kinds == ["ConfigMap", "Secret", "RegistryTrust", "RegistryTrust"]
    assert not canaries.is_in(plain.output + asked.stderr)
    assert run("render", "-", text=asked.stdout).exit_code == 0


def test_files_are_whole_and_those_with_keys_are_never_readable_by_others(certs_d, tmp_path):
    out = tmp_path / "out"
    before = os.umask(0)
    try:
        first = run("import", certs_d, "--output-directory", out)
    finally:
        os.umask(before)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()}
    assert first.exit_code == 0, first.output
    assert modes == {"1-configmaps.yaml": 0o644, "2-secrets.yaml": 0o600, "3-registrytrusts.yaml": 0o644}
    texts = {path.name: path.read_bytes() for path in out.iterdir()}
    assert run("import", certs_d, "--output-directory", out).exit_code == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == texts
    assert not canaries.is_in(first.output)


@needs_strace
def test_a_key_s_file_is_0600_from_its_first_byte(certs_d, tmp_path):
    out = tmp_path / "out"
    trace = tmp_path / "trace"
    command = [sys.executable, "-m", "registry_trust", "import", certs_d, "--output-directory", out]
    calls = ["strace", "-f", "-e", "trace=openat,open,chmod,fchmod,rename", "-o", trace, *command]

    subprocess.run(calls, check=True, capture_output=True, timeout=120, env={**os.environ, "PYTHONPATH": "operator"})

    lines = [line for line in trace.read_text().splitlines() if "2-secrets.yaml" in line]
    opened = [line for line in lines if "open" in line and "O_CREAT" in line]
    assert len(opened) == 1, lines
    assert "O_EXCL" in opened[0]
    assert ", 0600)" in opened[0]


def test_files_of_others_are_never_replaced_and_nothing_is_written_beside_them(certs_d, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "2-secrets.yaml").write_text("# mine\n")

    refused = run("import", certs_d, "--output-directory", out)

    assert refused.exit_code == 1
    assert "`registry-trust import` did not write it" in refused.stderr
    assert [path.name for path in out.iterdir()] == ["2-secrets.yaml"]
    assert (out / "2-secrets.yaml").read_text() == "# mine\n"


def test_secrets_of_an_earlier_import_go_when_there_are_none_any_longer(certs_d, tmp_path):
    out = tmp_path / "out"
    run("import", certs_d, "--output-directory", out)
    (certs_d / "b.example" / "client.cert").unlink()
    (certs_d / "b.example" / "client.key").unlink()

    assert run("import", certs_d, "--output-directory", out).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["1-configmaps.yaml", "3-registrytrusts.yaml"]


def test_what_the_operator_refuses_is_said_in_its_words_and_the_rest_is_imported(certs_d):
    (certs_d / "a.example:5000" / "ca.crt").write_bytes(ROOT.pem + pki.pkcs8(ROOT.key))

    done = run("import", certs_d, "--with-private-keys")

    assert done.exit_code == 1
    place = f"{certs_d}/a.example:5000/ca.crt"
    assert f"not imported: a.example:5000: PrivateKeyInCA: {place}: block 2 of 2" in done.stderr
    assert [body["kind"] for body in yaml.safe_load_all(done.stdout)] == ["ConfigMap", "Secret", "RegistryTrust"]


def test_an_import_that_finds_nothing_writes_nothing(tmp_path):
    done = run("import", tmp_path)

    assert (done.exit_code, done.stdout) == (1, "")
    assert "nothing was found to import" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"configs: {a: {tls: &x [*x]}}", "inside each other"),
        (BOMB, "each alias counted in full"),
        (b"configs:\n  a.example: {}\n  a.example: {}", "in line 2"),
        (b"configs: " + b"[" * 5000, "inside each other"),
        (b"\xff\xfec\0o\0n\0f\0", "UTF-16"),
        (b"configs: {a.example: {tls: !!python/object:os.system {}}}", "not one of JSON's types"),
        (ROOT.pem, "is PEM, and does not say for which registry"),
        (b"just text", "is neither a registries.yaml"),
        (b"kind: Secret\ndata: {a.example: c2VjcmV0}", 'is a "Secret"'),
        (b"kind: ConfigMap\nmetadata: {name: x}\ndata: {a.example: 5}", "data[a.example]"),
        (b"mirrors: []\nconfigs: 7", "configs is a number"),
    ],
)
def test_hostile_manifests_are_refused_with_their_place(tmp_path, text, words):
    path = tmp_path / "registries.yaml"
    path.write_bytes(text)

    done = run("import", path)

    assert done.exit_code == 1
    assert done.stdout == ""
    assert words in done.stderr, done.stderr
    assert f"not imported: {path}" in done.stderr, done.stderr


# ---- a running registry ----------------------------------------------------------------------------------------------


@contextmanager
def serving(tmp_path: Path, *chain: Issued, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Iterator[str]:
    """Serve handshakes on loopback with a chain; yields host:port."""
    (tmp_path / "chain.pem").write_bytes(b"".join(each.pem for each in chain))
    (tmp_path / "server.key").write_bytes(pki.pkcs8(chain[0].key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "server.key")
    context.maximum_version = version
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(connection, server_side=True) as tls:
                        tls.recv(1)
                except OSError:
                    continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"localhost:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def imported(output: str) -> str:
    """Return the CA certificates of the only ConfigMap."""
    (text,) = [body["data"]["ca.crt"] for body in yaml.safe_load_all(output) if body["kind"] == "ConfigMap"]
    return str(text)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_without_a_confirmation_nothing_of_a_registry_is_trusted_and_with_its_fingerprint_it_is(tmp_path, version):
    with serving(tmp_path, LEAF, MIDDLE, ROOT, version=version) as name:
        first = run("import", "--from-registry", name)
        second = run("import", "--from-registry", name, "--fingerprint", fingerprint(ROOT))

    assert (first.exit_code, first.stdout) == (1, "")
    for one in (LEAF, MIDDLE, ROOT):
        assert fingerprint(one) in first.stderr
    assert 'subject "CN=harbor", issuer "CN=middle"' in first.stderr
    assert "valid from 2020-01-01T00:00:00Z to 2120-01-01T00:00:00Z" in first.stderr
    assert f"add --fingerprint {fingerprint(ROOT)}" in first.stderr
    assert second.exit_code == 0, second.stderr
    assert imported(second.stdout) == ROOT.pem.decode()


@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1)])
def test_at_a_terminal_the_fingerprint_is_confirmed_by_a_plain_yes(request, tmp_path, typed, code):
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed)
        with serving(tmp_path, LEAF, MIDDLE, ROOT) as name:
            (block,) = own_blocks(request)
            command = block.commands.replace("harbor.corp.example:5000", name)
            done = subprocess.run(
                ["bash", "-c", command],
                stdin=theirs,
                capture_output=True,
                text=True,
                timeout=60,
                env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
                check=False,
            )
    finally:
        os.close(ours)
        os.close(theirs)

    assert done.returncode == code, done.stderr
    assert "Did whoever runs the registry give you this fingerprint? [y/N]" in done.stderr
    assert bool(done.stdout) is (code == 0)


@pytest.mark.parametrize(
    ("chain", "words", "proposed"),
    [
        ((LEAF, MIDDLE), 'ask for the root CA, "CN=CA 1", and import that', MIDDLE),
        ((LEAF,), "sends only its own certificate, and not that of the CA that issued it", LEAF),
        ((ALONE,), "when the registry gets a new one, pulls fail until this trust has it too", ALONE),
    ],
)
def test_what_the_registry_does_not_send_is_said_exactly(tmp_path, chain, words, proposed):
    with serving(tmp_path, *chain) as name:
        asked = run("import", "--from-registry", name)
        taken = run(
            "import",
            "--from-registry",
            name,
            "--fingerprint",
            fingerprint(proposed).upper().replace("SHA256", "sha256"),
        )

    assert asked.exit_code == 1
    assert words in asked.stderr
    assert f"add --fingerprint {fingerprint(proposed)}" in asked.stderr
    assert imported(taken.stdout) == proposed.pem.decode()


def test_another_certificate_than_the_one_that_was_confirmed_is_refused(tmp_path):
    with serving(tmp_path, LEAF, MIDDLE, authority(5)) as name:
        other = run("import", "--from-registry", name, "--fingerprint", fingerprint(ROOT))
        beside = run("import", "--from-registry", name, "--fingerprint", fingerprint(authority(5)))

    assert (other.exit_code, other.stdout, beside.exit_code, beside.stdout) == (1, "", 1, "")
    assert "another server answers in its place" in other.stderr
    assert "not part of the chain" in beside.stderr


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"\x16\x03\x03\xff\xff" + b"x" * 70_000])
def test_what_speaks_no_tls_shows_no_certificate(greeting):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(greeting)
                connection.recv(65536)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        done = run("import", "--from-registry", f"localhost:{listener.getsockname()[1]}")
        thread.join(10)

    assert done.exit_code == 1
    assert "shows no certificate: " in done.stderr


def test_nothing_listens_and_a_wrong_name_is_refused_before_anything_is_asked():
    assert "InvalidHost" in run("import", "--from-registry", "https://harbor.example").stderr
    assert "Connection refused" in run("import", "--from-registry", "127.0.0.1:1").stderr
    assert run("import", "--from-registry", "harbor.example:1", "--fingerprint", "sha256:abc").exit_code == 2
    assert run("import", "--fingerprint", f"sha256:{'a' * 64}").exit_code == 2


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Start a registry that demands client certificates."""
    session = Run.create()
    try:
        with Registry(session, "localhost") as started:
            yield started
    finally:
        session.destroy()


def test_a_registry_that_demands_client_certificates_shows_its_own_all_the_same(registry):
    shown = run("import", "--from-registry", registry.name)

    assert "localhost CA 1" in shown.stderr
    assert "sends only its own certificate" in shown.stderr
