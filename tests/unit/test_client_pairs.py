"""What may stand in `clientCertificates`: a pair, its verdict, and the whole sentence (rows 89-103, 123)."""

from __future__ import annotations

import subprocess
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from registry_trust.certificates.facts import CertificateKind
from registry_trust.certificates.pairs import read_client_pair
from registry_trust.core.reasons import Reason
from tests.unit.client_tables import (
    CERTIFICATE,
    FIELD,
    KEY,
    accepted,
    check_refused,
    fingerprint,
    own_key,
    pair_of,
    read,
    refused,
    with_key,
)
from tools import der, pki
from tools.der import armour
from tools.pki import Issued, client, issue, root


def dockers_page() -> Issued:
    """As `openssl req -new -x509 -text -key client.key -out client.cert` makes it."""
    return issue("client", pki.curve_key(45), ca=True)


def issuing() -> Issued:
    """As cert-manager makes the Secret of a CA issuer: issued, CA:TRUE, keyCertSign."""
    return issue("Issuing", pki.curve_key(46), issuer=root(), ca=True, signs=True)


def server_leaf() -> tuple[bytes, bytes]:
    return pair_of(pki.curve_key(40), ca=False, usages=(pki.SERVER_AUTH,))


@pytest.mark.parametrize(
    ("values", "place", "reason", "message"),
    [
        refused(
            "row 95: the key of another certificate is refused",
            lambda: with_key(pki.pkcs8(client(1).key)),
            CERTIFICATE,
            Reason.KEY_MISMATCH,
            'certificate 1 of 1, line 1: "CN=node 0" has another public key (SHA-256 {client}) than '
            "the private key ({other}); put the two that were made together. To compare: openssl x509 "
            "-in client.crt -pubkey -noout; openssl pkey -in client.key -pubout",
        ),
        refused(
            "row 103: the pair of a CA that issues certificates is refused",
            lambda: (issuing().pem + root().pem, pki.pkcs8(issuing().key)),
            CERTIFICATE,
            Reason.KEY_USAGE,
            'certificate 1 of 2, line 1: "CN=Issuing" is a CA that issues certificates (CA:TRUE and keyCertSign), and '
            "its private key must not be on any node; name the Secret of a client certificate that it issued. For the "
            "nodes to trust this CA, put its certificate alone into caCertificates",
        ),
        refused(
            "row 101: the pair of a server is refused",
            server_leaf,
            CERTIFICATE,
            Reason.KEY_USAGE,
            'certificate 1 of 1, line 1: "CN=node 1" is for servers only (serverAuth without clientAuth), and a '
            "server's private key must not be on every node; have a client certificate issued (cert-manager: usages: "
            "[client auth])",
        ),
        refused(
            "row 96: a chain whose leaf is not first is refused",
            lambda: (root().pem + root(1).pem + client().pem, own_key()),
            CERTIFICATE,
            Reason.KEY_MISMATCH,
            'certificate 3 of 3, line 19: the private key belongs to certificate 3 of 3, "CN=node 0"; '
            "put that one first and its issuer after it",
        ),
        refused(
            "row 97: key and certificate exchanged are refused",
            lambda: (own_key(), client().pem),
            KEY,
            Reason.SWAPPED,
            "certificate 1 of 1, line 1: holds a certificate where the private key belongs; exchange the two",
        ),
        refused(
            "row 97: a certificate in both places is refused",
            lambda: with_key(client().pem),
            KEY,
            Reason.SWAPPED,
            "certificate 1 of 1, line 1: holds a certificate where the private key belongs; put the private key there",
        ),
        refused(
            "row 97: a key in both places is refused",
            lambda: (own_key(), own_key()),
            CERTIFICATE,
            Reason.SWAPPED,
            "block 1 of 1, line 1: holds a private key where the certificate belongs; put the client certificate there",
        ),
        refused(
            "row 98: a key among the certificates is refused",
            lambda: (client().pem + own_key(), own_key()),
            CERTIFICATE,
            Reason.KEY_AMBIGUOUS,
            "block 2 of 2, line 10: is a private key among the certificates; leave the certificates "
            "alone there: openssl crl2pkcs7 -nocrl -certfile client.pem | openssl pkcs7 -print_certs "
            "-out client.crt",
        ),
        refused(
            "row 100: a CA certificate without a key is refused",
            lambda: (root().pem, b""),
            KEY,
            Reason.PAIR_INCOMPLETE,
            "is empty, and a certificate without a key is no client certificate; this is a CA "
            "certificate: it belongs in caCertificates",
        ),
        refused(
            "row 100: a certificate without a key is refused",
            lambda: (client().pem, b"\n"),
            KEY,
            Reason.PAIR_INCOMPLETE,
            "is empty, and a certificate without a key is no client certificate; add its private key; "
            "if it is the CA of the registry, it belongs in caCertificates",
        ),
        refused(
            "row 100: a key without a certificate is refused",
            lambda: (b"", own_key()),
            CERTIFICATE,
            Reason.PAIR_INCOMPLETE,
            "is empty; add the client certificate that belongs to the private key",
        ),
        refused(
            "row 65: neither is refused",
            lambda: (b"", b""),
            CERTIFICATE,
            Reason.EMPTY_DATA,
            "is empty; put the client certificate there and its key beside it",
        ),
        refused(
            "row 64: a request as the certificate is refused",
            lambda: (armour(b"\x30\x00", "CERTIFICATE REQUEST"), own_key()),
            CERTIFICATE,
            Reason.INVALID_PEM,
            'block 1 of 1, line 1: has the label "CERTIFICATE REQUEST", not "CERTIFICATE"; a request is '
            "not a certificate yet; have the CA sign it and use what it returns",
        ),
        refused(
            "row 67: bytes after the certificate are refused",
            lambda: (armour(client().der + b"\0"), own_key()),
            CERTIFICATE,
            Reason.CERTIFICATE_PARSE,
            'certificate 1 of 1, line 1: "CN=node 0" can\'t be read as a certificate: the certificate is '
            "followed by other bytes (1); copy it again, or have it reissued",
        ),
        refused(
            "row 75: a certificate with RSA of 16384 bits is refused",
            lambda: (armour(der.handmade(key=der.rsa_spki(16384))), own_key()),
            CERTIFICATE,
            Reason.UNSUPPORTED_ALGORITHM,
            'certificate 1 of 1, line 1: "CN=Hand Made" has an RSA key of 16384 bits, and Go\'s TLS '
            "takes at most 8192; have it issued anew",
        ),
        refused(
            "row 123: a certificate of 36,501 bytes is refused unread",
            lambda: (b"A" * 36_501, own_key()),
            CERTIFICATE,
            Reason.TOO_LARGE,
            "36,501 bytes, at most 36,500 are read; give the client certificate and its intermediates alone",
        ),
    ],
)
def test_refused(values, place, reason, message):
    certificate, key = values()
    check_refused(certificate, key, place, reason, message)


@pytest.mark.parametrize(
    ("values", "warnings"),
    [
        accepted("row 89: PKCS#8 on P-256 is accepted", lambda: (client().pem, own_key())),
        accepted("row 89: SEC1 is accepted", lambda: with_key(pki.traditional(client().key))),
        accepted(
            "row 89: EC PARAMETERS before the key are accepted",
            lambda: with_key(armour(der.oid("1.2.840.10045.3.1.7"), "EC PARAMETERS") + pki.traditional(client().key)),
        ),
        accepted("row 93: PKCS#8 labelled EC is accepted", lambda: with_key(own_key().replace(b"PRIV", b"EC PRIV"))),
        accepted(
            "row 93: SEC1 labelled as PKCS#8 is accepted",
            lambda: with_key(pki.traditional(client().key).replace(b"EC PRIV", b"PRIV")),
        ),
        accepted("row 89: PKCS#8 of RSA is accepted", lambda: pair_of(pki.rsa_key())),
        accepted("row 89: PKCS#1 is accepted", lambda: (pair_of(pki.rsa_key())[0], pki.traditional(pki.rsa_key()))),
        accepted("row 89: Ed25519 is accepted", lambda: pair_of(pki.ed25519_key(3))),
        accepted("row 89: P-384 is accepted", lambda: pair_of(pki.curve_key(3, ec.SECP384R1()))),
        accepted("row 89: P-521 is accepted", lambda: pair_of(pki.curve_key(3, ec.SECP521R1()))),
        accepted(
            "row 47: text around the key is left out",
            lambda: with_key(b"Bag Attributes\n    localKeyID: 01\n" + own_key()),
        ),
        accepted(
            "row 46: CRLF is accepted",
            lambda: (client().pem.replace(b"\n", b"\r\n"), own_key().replace(b"\n", b"\r\n")),
        ),
        accepted("row 96: a chain with the leaf first is accepted", lambda: (client().pem + root().pem, own_key())),
        accepted(
            "row 74: RSA of 1024 bits is accepted with a warning",
            lambda: pair_of(pki.rsa_key(1024)),
            (
                Reason.WEAK_KEY,
                (
                    'certificate 1 of 1, line 1: "CN=node 1" has an RSA key of 1024 bits; have it issued anew '
                    "with 2048 bits or more"
                ),
            ),
        ),
        accepted(
            "row 101: a certificate for another use is accepted with a warning",
            lambda: pair_of(pki.curve_key(40), ca=False, usages=(ExtendedKeyUsageOID.EMAIL_PROTECTION,)),
            (
                Reason.KEY_USAGE,
                (
                    'certificate 1 of 1, line 1: "CN=node 1" is not for clientAuth by its extendedKeyUsage, so '
                    "most registries refuse it; have it made anew"
                ),
            ),
        ),
        accepted(
            "row 102: an expired certificate is accepted with a warning",
            lambda: pair_of(pki.curve_key(41), not_before=pki.NOW - 2 * pki.YEAR, not_after=pki.NOW - pki.YEAR),
            (Reason.EXPIRED, 'certificate 1 of 1, line 1: "CN=node 1" expired on 2025-06-01T12:00:00Z; replace it'),
        ),
        accepted(
            "row 102: a certificate that is not valid yet is accepted with a warning",
            lambda: pair_of(pki.curve_key(41), not_before=pki.NOW + timedelta(hours=1)),
            (
                Reason.NOT_YET_VALID,
                (
                    'certificate 1 of 1, line 1: "CN=node 1" is not valid before 2026-06-01T13:00:00Z; check '
                    "the date, and the clocks of the nodes"
                ),
            ),
        ),
        accepted(
            "row 103: the self-signed certificate of Docker's page (CA:TRUE, no key usage) is accepted with a warning",
            lambda: (dockers_page().pem, pki.pkcs8(dockers_page().key)),
            (
                Reason.KEY_USAGE,
                (
                    'certificate 1 of 1, line 1: "CN=client" is a CA certificate used as a client\'s: it '
                    "works if the registry trusts exactly this one; a certificate issued by a CA can be "
                    "replaced without a change on the registry"
                ),
            ),
        ),
    ],
)
def test_accepted(values, warnings):
    certificate, key = values()
    pair = read(certificate, key)

    assert [str(warning) for warning in pair.warnings] == [
        f"{reason}: {FIELD}: {CERTIFICATE}: {message}" for reason, message in warnings
    ]
    assert pair.certificate == b"".join(
        armour(block.public_bytes(pki.DER)) for block in x509.load_pem_x509_certificates(certificate)
    )
    assert pair.key.reveal().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert serialization.load_pem_private_key(pair.key.reveal(), None).public_key() == (
        x509.load_pem_x509_certificate(certificate).public_key()
    )


def test_the_pair_that_dockers_page_makes_is_accepted(tmp_path):
    key, certificate = tmp_path / "client.key", tmp_path / "client.cert"
    for command in (
        ["openssl", "genrsa", "-out", str(key), "4096"],
        ["openssl", "req", "-new", "-x509", "-text", "-subj", "/CN=node", "-key", str(key), "-out", str(certificate)],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    pair = read_client_pair(
        certificate.read_bytes(),
        key.read_bytes(),
        field=FIELD,
        certificate_place=CERTIFICATE,
        key_place=KEY,
        now=x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_before_utc,
    )

    assert certificate.read_bytes().startswith(b"Certificate:")
    assert pair.certificate.startswith(b"-----BEGIN CERTIFICATE-----\n")
    assert [facts.subject for facts in pair.facts] == ["CN=node"]
    assert [warning.reason for warning in pair.warnings] == [Reason.KEY_USAGE]


def test_facts_follow_the_chain():
    pair = read(client().pem + root().pem, own_key())

    assert [(facts.kind, facts.subject) for facts in pair.facts] == [
        (CertificateKind.CLIENT, "CN=node 0"),
        (CertificateKind.CLIENT, "CN=Corp Root 0"),
    ]
    assert pair.facts[0].spki_sha256 == fingerprint(client().key)
