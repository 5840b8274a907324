"""What messages say of runtimes is what Go does, by both of its versions: asked for each sentence that says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448

from registry_trust.certificates.authorities import LEGACY_COMMON_NAME, read_ca_certificates
from registry_trust.certificates.pairs import read_client_pair
from registry_trust.core.errors import UnusableMaterial
from tools import der, pki
from tools.cluster.judge import JUDGES, Question, Verdict, judge
from tools.der import armour, extension, handmade
from tools.pki import Issued, client, issue, root

pytestmark = pytest.mark.tools("oracle")

HOST = "harbor.corp.example"


def asked(**question: Any) -> tuple[Verdict, ...]:
    """The verdicts of both versions."""
    return tuple(verdict for tool in JUDGES for verdict in judge(tool, [Question(**question)]))


def itself(one: Issued) -> Question:
    return Question(ca=one.pem, leaf=one.der, host=HOST, at=pki.NOW)


def said_of(data: bytes) -> str:
    """Everything that is said of CA certificates, refused or accepted."""
    try:
        read = read_ca_certificates(data, field="f", place="p", now=pki.NOW, registries=(f"{HOST}:5000",))
    except UnusableMaterial as error:
        return error.problem.message
    return "\n".join(warning.message for warning in read.warnings)


def server(*, issuer: Issued | None = None, ca: bool | None = False, **more: Any) -> Issued:
    """A certificate of the host, with its name; by its own key if there is no issuer."""
    return issue(HOST, pki.curve_key(9), issuer=issuer, ca=ca, names=(HOST,), **more)


ITSELF: dict[str, tuple[Issued, str, str]] = {
    "a server certificate that a CA issued": (server(issuer=root()), "works only for exactly this certificate", ""),
    "one without basicConstraints": (server(issuer=root(), ca=None), "works only for exactly this certificate", ""),
    "a self-signed server certificate": (
        server(),
        "works only for exactly this certificate",
        "",
    ),
    "one that names itself as issuer and was signed by another key": (
        server(issuer=issue(HOST, pki.curve_key(10))),
        "works only for exactly this certificate",
        "",
    ),
    "a CA without keyCertSign that names the host": (
        server(ca=True, signs=False),
        "works only for exactly this certificate",
        "",
    ),
    "one without a subjectAltName": (
        issue("other", pki.curve_key(9), issuer=root(), ca=False),
        "because it has no subjectAltName",
        f"x509: certificate is not valid for any names, but wanted to match {HOST}",
    ),
    "one for clients": (
        server(issuer=root(), usages=(pki.CLIENT_AUTH,)),
        "because it is for uses other than serverAuth",
        "x509: certificate specifies an incompatible key usage",
    ),
    "a CA by its mark with the host in its Common Name alone": (
        issue(HOST, pki.curve_key(9), ca=True),
        f'every pull fails with "{LEGACY_COMMON_NAME}"',
        LEGACY_COMMON_NAME,
    ),
    "the same with a wildcard": (
        issue("*.corp.example", pki.curve_key(9), ca=True),
        f'every pull fails with "{LEGACY_COMMON_NAME}"',
        LEGACY_COMMON_NAME,
    ),
    "the same in upper case": (
        issue(HOST.upper(), pki.curve_key(9), ca=True),
        f'every pull fails with "{LEGACY_COMMON_NAME}"',
        LEGACY_COMMON_NAME,
    ),
}


@pytest.mark.parametrize("name", ITSELF)
def test_of_a_certificate_that_the_registry_shows_go_says_what_the_message_says(name: str) -> None:
    one, words, go = ITSELF[name]

    assert words in said_of(one.pem)
    for tool in JUDGES:
        assert [verdict.verify for verdict in judge(tool, [itself(one)])] == [go]


def test_a_server_certificate_that_is_trusted_vouches_for_nothing_but_itself() -> None:
    trusted = server(issuer=root())
    other = issue(HOST, pki.curve_key(41), issuer=trusted, names=(HOST,))

    for verdict in asked(ca=trusted.pem, leaf=other.der, host=HOST, at=pki.NOW):
        assert "unknown authority" in verdict.verify


SIGNER = issue("Hand Made", pki.curve_key(7), ca=True)
"""Has the name and the key of what is made by hand."""
CLIENTS_ONLY = issue("Hand Made", pki.curve_key(7), ca=True, usages=(pki.CLIENT_AUTH,))
EXPIRED = issue("Hand Made", pki.curve_key(7), ca=True, not_after=pki.NOW - timedelta(days=1))
UNKNOWN = extension("1.3.6.1.4.1.99999.1", b"\x05\x00", critical=True)
BY_RSA = handmade(
    subject=der.distinguished(HOST.encode()),
    issuer=der.distinguished(b"Hand Made"),
    algorithm=der.RSA_SHA256,
    extensions=(extension("2.5.29.17", der.sequence(der.tlv(0x82, HOST.encode()))),),
)


def dsa() -> bytes:
    algorithm = der.sequence(der.oid("1.2.840.10040.4.1"))
    return armour(handmade(key=der.sequence(algorithm, der.tlv(3, b"\x00", b"\x02\x01\x05"))))


def on_curve(curve: ec.EllipticCurve) -> bytes:
    return issue("Hand Made", pki.curve_key(5, curve), ca=True).pem


def ed448_root() -> bytes:
    return armour(handmade(key=pki.spki(ed448.Ed448PrivateKey.from_private_bytes(bytes(57)))))


def labelled(label: str) -> bytes:
    return armour(SIGNER.der, label)


VOUCHES_FOR_NOTHING: dict[str, tuple[bytes, str, str]] = {
    "critical extension": (
        armour(handmade(extensions=(der.IS_CA, UNKNOWN))),
        "runtimes don't know or don't all support",
        "unhandled critical extension",
    ),
    "for clients": (
        CLIENTS_ONLY.pem,
        "runtimes reject a registry certificate that it issued",
        "incompatible key usage",
    ),
    "expired": (EXPIRED.pem, "runtimes reject everything it issued", "expired"),
    "Ed448": (ed448_root(), "every runtime, does not support", "unknown authority"),
    "DSA": (dsa(), "every runtime, does not support", "unknown authority"),
    "secp256k1": (on_curve(ec.SECP256K1()), "every runtime, does not support", "unknown authority"),
    "Brainpool": (on_curve(ec.BrainpoolP256R1()), "every runtime, does not support", "unknown authority"),
    "no parameters": (
        armour(handmade(key=der.rsa_spki(2048, parameters=b""))),
        "NULL parameters that Go asks for",
        "unknown authority",
    ),
    "old label": (labelled("X509 CERTIFICATE"), "runtimes drop it", "unknown authority"),
    "trusted label": (labelled("TRUSTED CERTIFICATE"), "runtimes drop it", "unknown authority"),
    "glued": (root().pem.rstrip() + SIGNER.pem, "so runtimes drop both", "unknown authority"),
    "indented": (b" " + SIGNER.pem, "so runtimes don't see the block", "unknown authority"),
    "text before": (b"ca: " + SIGNER.pem, "so runtimes don't see the block", "unknown authority"),
    "byte order mark": (b"\xef\xbb\xbf" + SIGNER.pem, "hides the first block from runtimes", "unknown authority"),
    "CR": (SIGNER.pem.replace(b"\n", b"\r"), "runtimes do not treat as a line break", "unknown authority"),
    "headers": (
        SIGNER.pem.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----\nComment: the CA\n\n", 1),
        "runtimes drop the block",
        "unknown authority",
    ),
}


@pytest.mark.parametrize("name", VOUCHES_FOR_NOTHING)
def test_what_runtimes_are_said_to_refuse_or_drop_neither_version_verifies_with(name: str) -> None:
    pem, words, go = VOUCHES_FOR_NOTHING[name]
    leaf = issue(HOST, pki.curve_key(41), issuer=SIGNER, names=(HOST,)).der

    assert words in said_of(pem)
    for verdict in asked(ca=pem, leaf=leaf, host=HOST, at=pki.NOW):
        assert go in verdict.verify
    assert [verdict.verify for verdict in asked(ca=SIGNER.pem, leaf=leaf, host=HOST, at=pki.NOW)] == ["", ""]


@pytest.mark.parametrize("key", [der.rsa_spki(512), der.rsa_spki(1023), der.rsa_spki(2048, exponent=1)])
def test_an_rsa_key_that_newer_versions_of_go_are_said_to_refuse_is_named_by_the_newest(key: bytes) -> None:
    pem = armour(handmade(key=key))

    assert "which newer versions of Go reject" in said_of(pem)
    newest, _ = asked(ca=pem, leaf=BY_RSA, host=HOST, at=pki.NOW)
    assert "crypto/rsa: " in newest.verify
    assert "verification error" not in newest.verify


def with_format(form: serialization.PrivateFormat, *, locked: bool = False) -> bytes:
    encryption = serialization.BestAvailableEncryption(b"secret") if locked else serialization.NoEncryption()
    text: bytes = client().key.private_bytes(pki.PEM, form, encryption)
    return text


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (with_format(serialization.PrivateFormat.PKCS8, locked=True), "runtimes can't ask for its passphrase"),
        (with_format(serialization.PrivateFormat.TraditionalOpenSSL, locked=True), "can't ask for its passphrase"),
        (with_format(serialization.PrivateFormat.OpenSSH), "OpenSSH's own format, which runtimes can't read"),
    ],
)
def test_a_key_that_runtimes_are_said_not_to_read_neither_version_loads(key: bytes, words: str) -> None:
    with pytest.raises(UnusableMaterial) as caught:
        read_client_pair(client().pem, key, field="f", certificate_place="c", key_place="k", now=pki.NOW)

    assert words in caught.value.problem.message
    assert [verdict.pair != "" for verdict in asked(certificate=client().pem, key=key)] == [True, True]


def test_a_negative_serial_number_is_read_by_the_older_go_alone() -> None:
    newest, older = asked(ca=root().pem + armour(handmade(serial=b"\xff")))

    assert (newest.roots, older.roots) == (1, 2)
