"""Every command that a message or a page prints is run as it stands, and what it writes is then accepted."""

from __future__ import annotations

import base64
import gzip
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from registry_trust.certificates.authorities import CheckedRoots, read_ca_certificates
from registry_trust.certificates.pairs import CheckedPair, read_client_pair
from registry_trust.core.errors import UnusableMaterial
from tests.page_blocks import CARRIED_OUT
from tests.page_commands import blocks_of
from tools import pki
from tools.cluster.judge import JUDGES, Question, judge
from tools.der import armour
from tools.pki import client, issue, root

pytestmark = pytest.mark.tools("oracle")

REPOSITORY = Path(__file__).parents[2]
CERTIFICATES = REPOSITORY / "operator" / "registry_trust" / "certificates"
HOST = "harbor.corp.example"
CA, CERTIFICATE, KEY = "ca.crt", "client.crt", "client.key"

_COMMAND = re.compile(
    r"(?:convert it|remove it|remove them|correct them|line breaks|save it as ASCII|create it again|decrypt it|"
    r"convert a copy|only the \w+ there|write real ones|To check what it is|To compare): (.+?)"
    r"(?: \(in a Secret, .*)?$|\(([a-z]+ .+) shows more\)$"
)
_READ = re.compile(r"(?:< |-in |-certfile |/d' |-----/' |grep -v : |US-ASCII |-m 600 )([\w.]+)")


def now() -> datetime:
    return datetime.now(UTC)


def at(door: str, data: bytes) -> CheckedRoots | CheckedPair | UnusableMaterial:
    """What is made of a value at a door."""
    certificate = data if door == CERTIFICATE else CHAIN
    key = data if door == KEY else pki.pkcs8(client().key)
    try:
        if door == CA:
            return read_ca_certificates(data, field="f", place="p", now=now(), registries=(f"{HOST}:5000",))
        return read_client_pair(certificate, key, field="f", certificate_place="c", key_place="k", now=now())
    except UnusableMaterial as error:
        return error


def command_of(message: str) -> str:
    found = _COMMAND.search(message)
    assert found is not None, message
    return found[1] or found[2]


def run(command: str, folder: Path, *, typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a shell with no terminal: what it asks for is typed."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        input=typed,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )


PLAIN, LOCKED = serialization.NoEncryption(), serialization.BestAvailableEncryption(b"secret")
FORMAT = serialization.PrivateFormat
CHAIN = client().pem + root().pem
"""More than one certificate: a command that takes the first alone is found out."""


def key_as(form: serialization.PrivateFormat, encryption: serialization.KeySerializationEncryption = PLAIN) -> bytes:
    text: bytes = client().key.private_bytes(pki.PEM, form, encryption)
    return text


def key_der(encryption: serialization.KeySerializationEncryption = PLAIN) -> bytes:
    text: bytes = client().key.private_bytes(pki.DER, FORMAT.PKCS8, encryption)
    return text


AUTHORITIES = root().pem + root(1).pem
LIST = pkcs7.serialize_certificates([root().certificate, root(1).certificate], pki.DER)
CHAIN_LIST = pkcs7.serialize_certificates([client().certificate, root().certificate], pki.DER)


def store(name: str, *certificates: object, key: object = None, password: bytes = b"secret") -> bytes:
    encryption = serialization.BestAvailableEncryption(password)
    first, *more = certificates
    return pkcs12.serialize_key_and_certificates(name.encode(), key, first, more, encryption)  # type: ignore[arg-type]


CA_STORE = store("x", root().certificate, root(1).certificate)
PAIR_STORE = store("x", client().certificate, root().certificate, key=client().key)


def stuffed(pem: bytes, character: str) -> bytes:
    return re.sub(rb"(-----\nMI)", rb"\1" + character.encode(), pem)


def with_headers(pem: bytes) -> bytes:
    return re.sub(rb"(-----BEGIN [A-Z ]+-----\n)", rb"\1Comment: old\n\n", pem)


CONVERTED: dict[str, tuple[str, bytes, str]] = {
    # what is given, at which door, and what is typed
    **{
        f"{what} at {door}": (door, value, typed)
        for what, typed, values in (
            ("PKCS#7 between CERTIFICATE lines", "", {CA: armour(LIST), CERTIFICATE: armour(CHAIN_LIST)}),
            ("PKCS#7", "", {CA: armour(LIST, "PKCS7"), CERTIFICATE: armour(CHAIN_LIST, "PKCS7")}),
            ("CMS", "", {CA: armour(LIST, "CMS")}),
            ("PKCS#7 in DER", "", {CA: LIST, CERTIFICATE: CHAIN_LIST}),
            ("PKCS#12", "secret\n", {CA: CA_STORE, CERTIFICATE: PAIR_STORE, KEY: PAIR_STORE}),
            (
                "PKCS#12 between CERTIFICATE lines",
                "secret\n",
                {CA: armour(CA_STORE), CERTIFICATE: armour(PAIR_STORE), KEY: armour(PAIR_STORE)},
            ),
            ("DER", "", {CA: root().der, CERTIFICATE: client().der, KEY: key_der()}),
            ("encrypted DER", "secret\n", {KEY: key_der(LOCKED)}),
            (
                "base64 of DER",
                "",
                {
                    CA: base64.encodebytes(root().der),
                    CERTIFICATE: base64.encodebytes(client().der),
                    KEY: base64.encodebytes(key_der()),
                },
            ),
            (
                "base64 of PEM",
                "",
                {
                    CA: base64.b64encode(AUTHORITIES),
                    CERTIFICATE: base64.b64encode(CHAIN),
                    KEY: base64.b64encode(pki.pkcs8(client().key)),
                },
            ),
            ("base64 of base64 of PEM", "", {CA: base64.encodebytes(base64.encodebytes(AUTHORITIES))}),
            ("base64 of base64 of DER", "", {CA: base64.encodebytes(base64.encodebytes(root().der))}),
            ("PEM between CERTIFICATE lines", "", {CA: armour(AUTHORITIES), CERTIFICATE: armour(CHAIN)}),
            ("base64 between CERTIFICATE lines", "", {CA: armour(base64.encodebytes(root().der))}),
            ("gzip", "", {CA: gzip.compress(AUTHORITIES), KEY: gzip.compress(pki.pkcs8(client().key))}),
            ("base64 of gzip", "", {CA: base64.encodebytes(gzip.compress(AUTHORITIES))}),
            (
                "wrong lines",
                "",
                {
                    CA: AUTHORITIES.replace(b"CERTIFICATE", b"PRIVATE KEY"),
                    CERTIFICATE: CHAIN.replace(b"CERTIFICATE", b"RSA PRIVATE KEY"),
                    KEY: pki.pkcs8(client().key).replace(b"PRIVATE KEY", b"CERTIFICATE"),
                },
            ),
            ("old lines", "", {CA: AUTHORITIES.replace(b"CERT", b"X509 CERT")}),
            ("trusted lines", "", {CERTIFICATE: CHAIN.replace(b"CERT", b"TRUSTED CERT")}),
            (
                "headers",
                "",
                {
                    CA: with_headers(AUTHORITIES),
                    CERTIFICATE: with_headers(CHAIN),
                    KEY: with_headers(pki.pkcs8(client().key)),
                },
            ),
            (
                "a zero width space",
                "",
                {
                    CA: stuffed(AUTHORITIES, "\u200b"),
                    CERTIFICATE: stuffed(CHAIN, "\u200b"),
                    KEY: stuffed(pki.pkcs8(client().key), "\u200b"),
                },
            ),
            ("a no-break space", "", {CA: stuffed(AUTHORITIES, "\u00a0")}),
            (
                "a byte order mark",
                "",
                {CA: b"\xef\xbb\xbf" + AUTHORITIES, KEY: b"\xef\xbb\xbf" + pki.pkcs8(client().key)},
            ),
            ("UTF-16", "", {CA: AUTHORITIES.decode().encode("utf-16"), CERTIFICATE: CHAIN.decode().encode("utf-16")}),
            ("CR", "", {CA: AUTHORITIES.replace(b"\n", b"\r"), CERTIFICATE: CHAIN.replace(b"\n", b"\r")}),
            ("a passphrase", "secret\n", {KEY: key_as(FORMAT.PKCS8, LOCKED)}),
            ("an old passphrase", "secret\n", {KEY: key_as(FORMAT.TraditionalOpenSSL, LOCKED)}),
            ("OpenSSH's format", "", {KEY: key_as(FORMAT.OpenSSH)}),
            ("a key among certificates", "", {CERTIFICATE: CHAIN + pki.pkcs8(client().key)}),
            ("a certificate beside the key", "", {KEY: client().pem + pki.pkcs8(client().key)}),
            ("backslashes", "", {CA: AUTHORITIES.replace(b"\n", b"\\n")}),
        )
        for door, value in values.items()
    },
}


@pytest.mark.parametrize("name", CONVERTED)
def test_what_the_command_of_a_refusal_writes_is_accepted_whole(name: str, tmp_path: Path) -> None:
    door, value, typed = CONVERTED[name]
    refused = at(door, value)
    assert isinstance(refused, UnusableMaterial), "accepted as it is"
    command = command_of(refused.problem.message)
    given = _READ.search(command)
    if given is not None:
        (tmp_path / given[1]).write_bytes(value)

    done = run(command, tmp_path, typed=typed, PEM=value.decode("latin-1") if "$PEM" in command else "")

    assert done.returncode == 0, f"{command}\n{done.stderr}"
    written = tmp_path / ("plain.key" if "plain.key" in command else door)
    read = at(door, written.read_bytes())
    assert not isinstance(read, UnusableMaterial), f"{command}\n{read}"
    if door == CERTIFICATE and "DER" not in name:
        assert isinstance(read, CheckedPair)
        assert read.certificate == CHAIN
    if door == CA and "DER" not in name and "base64 between" not in name:
        assert isinstance(read, CheckedRoots)
        assert set(read.pems) == {root().pem, root(1).pem}


def test_a_certificate_made_by_the_command_of_the_message_is_what_go_verifies(tmp_path: Path) -> None:
    made = run(f"openssl req -x509 -newkey rsa:2048 -noenc -keyout k -out ca.crt -subj /CN={HOST}", tmp_path)
    assert made.returncode == 0, made.stderr
    before = (tmp_path / "ca.crt").read_bytes()
    warned = at(CA, before)
    assert isinstance(warned, CheckedRoots)
    (warning,) = warned.warnings
    assert warning.reason == "CommonNameOnly"

    for command in (command_of(warning.message), next(line for line in of_docs() if line.startswith("openssl req"))):
        done = run(command, tmp_path)
        assert done.returncode == 0, done.stderr
        after = at(CA, (tmp_path / "ca.crt").read_bytes())
        assert isinstance(after, CheckedRoots)
        assert after.warnings == ()
        assert go_says(before) == {"x509: certificate relies on legacy Common Name field, use SANs instead"}
        assert go_says((tmp_path / "ca.crt").read_bytes()) == {""}
    heading = "## x509: certificate relies on legacy Common Name field, use SANs instead\n"
    assert heading in (REPOSITORY / "docs" / "why-is-my-pull-failing.md").read_text()


def go_says(pem: bytes) -> set[str]:
    """What both versions say of a registry that shows the certificate that is trusted."""
    leaf = base64.b64decode(b"".join(pem.split(b"-----")[2].split()))
    question = Question(ca=pem, leaf=leaf, host=HOST, at=now())
    return {verdict.verify for tool in JUDGES for verdict in judge(tool, [question])}


SHOWN: dict[str, tuple[str, bytes, str]] = {
    "the issuer of what is not a CA": (CA, client().pem, "issuer="),
    "a pair that does not match": (CERTIFICATE, client(1).pem + root().pem, "BEGIN PUBLIC KEY"),
    "a key that can't be read": (KEY, armour(b"\x30\x03\x02\x01\x05", "PRIVATE KEY"), "client.key"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_command_is_said_to_show_is_shown(name: str, tmp_path: Path) -> None:
    door, value, words = SHOWN[name]
    (tmp_path / CERTIFICATE).write_bytes(CHAIN)
    (tmp_path / KEY).write_bytes(pki.pkcs8(client().key))
    (tmp_path / door).write_bytes(value)
    refused = at(door, value)
    assert isinstance(refused, UnusableMaterial)
    command = command_of(refused.problem.message)

    done = run(command, tmp_path)

    assert words.lower() in (done.stdout + done.stderr).lower()


@contextmanager
def registry(folder: Path) -> Iterator[int]:
    """A TLS server that asks for a client certificate of `root`; the port."""
    server = issue(HOST, pki.curve_key(50), issuer=root())
    for file, data in (("s.crt", server.pem), ("s.key", pki.pkcs8(server.key)), ("s.ca", root().pem)):
        (folder / file).write_bytes(data)
    given = ["-cert", "s.crt", "-key", "s.key", "-cert_chain", "s.ca", "-CAfile", "s.ca", "-verify", "1"]
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", *given]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield next(int(line.rpartition(":")[2]) for line in child.stdout if line.startswith("ACCEPT"))
        finally:
            child.kill()


ASKED = {
    "-showcerts": "i:CN = Corp Root 0",
    "-noout -subject -ext subjectAltName": f"subject=CN = {HOST}",
    "Acceptable client": "CN = Corp Root 0",
}


@pytest.mark.parametrize("part", ASKED)
def test_what_a_page_tells_to_ask_a_registry_is_answered(part: str, tmp_path: Path) -> None:
    (command,) = [line for line in of_docs() if "s_client" in line and part in line]

    with registry(tmp_path) as port:
        done = run(command.replace(f"{HOST}:5000", f"127.0.0.1:{port}"), tmp_path)

    assert re.sub(r"\s*=\s*", "=", ASKED[part]) in re.sub(r" *= *", "=", done.stdout), done.stdout + done.stderr


def of_docs() -> list[str]:
    """Every command with OpenSSL of the pages that this file carries out, its lines joined."""
    tests = [test for test in CARRIED_OUT if test.startswith("tests/integration/test_printed_commands.py::")]
    blocks = [re.sub(r" *\\\n *", " ", block.commands) for test in tests for block in blocks_of(test)]
    return [line.strip() for block in blocks for line in block.splitlines()]


NOT_RUN = {
    "keytool -exportcert": "there is no Java here, and its ALIAS is for the reader to fill in",
    "keytool -importkeystore": "there is no Java here",
    "unzip": "whatever is in the archive",
}


def test_no_command_is_printed_that_these_tests_do_not_run() -> None:
    programs = (
        r"(?:openssl [a-z0-9]+|base64 -d|gunzip|keytool -\w+|unzip|sed '|iconv|tr -cd|tr '|grep -v|ssh-keygen|printf)"
    )
    texts = [re.sub(r'"\s+f?r?"', "", file.read_text()) for file in CERTIFICATES.glob("*.py")]
    printed = {found for text in texts for found in re.findall(programs, text)}
    run_here = {
        found
        for door, value, _ in (*CONVERTED.values(), *SHOWN.values())
        for found in re.findall(programs, command_of(str(at(door, value))))
    }

    assert printed - run_here - NOT_RUN.keys() == {"openssl req"}
    assert sorted(line for line in of_docs() if not any(part in line for part in ASKED)) == [
        line for line in of_docs() if line.startswith("openssl req")
    ]
