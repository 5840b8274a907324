"""What is often put in the place of PEM is recognised at every door, with the command that converts it."""

from __future__ import annotations

import base64
import gzip
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from registry_trust.certificates.authorities import read_ca_certificates
from registry_trust.certificates.pairs import read_client_pair
from registry_trust.core.errors import UnusableMaterial
from tests.unit.ca_tables import check_presentable
from tools import pki
from tools.der import armour
from tools.pki import client, root

CA_PLACES = {
    "Secret": "Secret registry-certificates/harbor-ca key ca.crt",
    "ConfigMap": "ConfigMap registry-certificates/corp-roots key ca.crt",
    "inline": "inline",
}
DOORS = (*CA_PLACES, "client certificate", "client key")

PLAIN = serialization.NoEncryption()
KEY_DER = client().key.private_bytes(pki.DER, serialization.PrivateFormat.PKCS8, PLAIN)
PKCS7 = pkcs7.serialize_certificates([client().certificate, root().certificate], pki.DER)
PKCS12 = pkcs12.serialize_key_and_certificates(b"x", client().key, client().certificate, [root().certificate], PLAIN)
REQUEST = pki.request("node", client().key)
REVOCATIONS = pki.revocations(root())

ONLY_ASCII = "LC_ALL=C tr -cd '\\11\\12\\15\\40-\\176' < old.pem > "
INNER = "sed '/^-----/d' old.pem | base64 -d > "
AMONG = "among the CA certificates; remove it, and replace that key"


def at(door: str, data: bytes) -> UnusableMaterial | None:
    """What is said of a value at a door; None where it is accepted."""
    now = datetime(2026, 6, 1, tzinfo=UTC)
    try:
        if door in CA_PLACES:
            read_ca_certificates(data, field="f", place=CA_PLACES[door], now=now)
            return None
        certificate = data if door == "client certificate" else client().pem
        key = data if door == "client key" else pki.pkcs8(client().key)
        read_client_pair(certificate, key, field="f", certificate_place="c", key_place="k", now=now)
    except UnusableMaterial as error:
        return error
    return None


def of_certificates(ca: str, client_certificate: str, key: str) -> dict[str, str]:
    return {**dict.fromkeys(CA_PLACES, ca), "client certificate": client_certificate, "client key": key}


def stuffed(pem: bytes, character: str, line: int, column: int) -> bytes:
    lines = pem.decode().split("\n")
    lines[line] = lines[line][:column] + character + lines[line][column:]
    return "\n".join(lines).encode()


TO_PEM = "openssl x509 -inform der -in ca.der -out ca.crt"

TABLE: dict[str, tuple[bytes, dict[str, str]]] = {
    "PKCS#7 between CERTIFICATE lines": (
        armour(PKCS7),
        of_certificates(
            "is PKCS#7 between CERTIFICATE lines; convert it: openssl pkcs7 -in ca.p7b -print_certs -out ca.crt",
            "CERTIFICATE lines; convert it: openssl pkcs7 -in client.p7b -print_certs -out client.crt",
            "is PKCS#7 between CERTIFICATE lines; put the private key there",
        ),
    ),
    "PKCS#7 between PKCS7 lines": (
        armour(PKCS7, "PKCS7"),
        of_certificates(
            "convert it: openssl pkcs7 -in ca.p7b -print_certs -out ca.crt",
            "convert it: openssl pkcs7 -in client.p7b -print_certs -out client.crt",
            'has the label "PKCS7", which is not a private key; put only the private key there',
        ),
    ),
    "PKCS#7 in DER": (
        PKCS7,
        of_certificates(
            "looks like PKCS#7 in DER; convert it: openssl pkcs7 -inform der -in ca.p7b -print_certs -out ca.crt",
            "openssl pkcs7 -inform der -in client.p7b -print_certs -out client.crt",
            "looks like PKCS#7 in DER; put the private key there, as PEM text",
        ),
    ),
    "PKCS#12": (
        PKCS12,
        of_certificates(
            "looks like PKCS#12; convert it: openssl pkcs12 -in ca.p12 -nokeys -out ca.crt",
            "openssl pkcs12 -in client.p12 -nokeys -out client.crt",
            "openssl pkcs12 -in client.p12 -nocerts -noenc -out client.key",
        ),
    ),
    "PKCS#12 between CERTIFICATE lines": (
        armour(PKCS12),
        of_certificates(
            INNER + "ca.p12; openssl pkcs12 -in ca.p12 -nokeys -out ca.crt",
            INNER + "client.p12; openssl pkcs12 -in client.p12 -nokeys -out client.crt",
            INNER + "client.p12; openssl pkcs12 -in client.p12 -nocerts -noenc -out client.key",
        ),
    ),
    "a certificate in DER": (
        client().der,
        of_certificates(
            TO_PEM,
            "openssl x509 -inform der -in client.der -out client.crt",
            "looks like a certificate in DER; put the private key there, as PEM text",
        ),
    ),
    "a private key in DER": (
        KEY_DER,
        of_certificates(
            f"looks like a private key in DER, {AMONG}",
            "looks like a private key in DER; put the client certificate there, as PEM text",
            "openssl pkey -inform der -in client.der -out client.key",
        ),
    ),
    "a private key between CERTIFICATE lines": (
        armour(KEY_DER),
        of_certificates(
            f"is a private key between CERTIFICATE lines, {AMONG}",
            "is a private key between CERTIFICATE lines; put the client certificate there",
            "correct them: sed 's/CERTIFICATE-----/PRIVATE KEY-----/' old.pem > client.key",
        ),
    ),
    "a certificate between PRIVATE KEY lines": (
        armour(client().der, "PRIVATE KEY"),
        of_certificates(
            "correct them: sed 's/PRIVATE KEY-----/CERTIFICATE-----/' old.pem > ca.crt",
            "correct them: sed 's/PRIVATE KEY-----/CERTIFICATE-----/' old.pem > client.crt",
            "is a certificate between PRIVATE KEY lines; put the private key there",
        ),
    ),
    "a request between CERTIFICATE lines": (
        armour(REQUEST),
        of_certificates(
            "is a certificate request between CERTIFICATE lines; put the CA certificate there",
            "is a certificate request between CERTIFICATE lines; put the client certificate there",
            "is a certificate request between CERTIFICATE lines; put the private key there",
        ),
    ),
    "a revocation list between CERTIFICATE lines": (
        armour(REVOCATIONS),
        dict.fromkeys(DOORS, "is a revocation list between CERTIFICATE lines; put the "),
    ),
    "a public key between CERTIFICATE lines": (
        armour(pki.spki(client().key)),
        dict.fromkeys(DOORS, "is a public key between CERTIFICATE lines; put the "),
    ),
    "base64 of PEM": (
        base64.b64encode(client().pem),
        {
            "Secret": "base64 of PEM; convert it: base64 -d < ca.txt > ca.crt (in a Secret, PEM belongs in stringData",
            "ConfigMap": "looks like base64 of PEM; convert it: base64 -d < ca.txt > ca.crt",
            "inline": "looks like base64 of PEM; convert it: base64 -d < ca.txt > ca.crt",
            "client certificate": "looks like base64 of PEM; convert it: base64 -d < client.txt > client.crt",
            "client key": "looks like base64 of PEM; convert it: base64 -d < client.txt > client.key",
        },
    ),
    "base64 of base64 of PEM": (
        base64.encodebytes(base64.encodebytes(client().pem)),
        of_certificates(
            "looks like base64 of base64 of PEM; convert it: base64 -d < ca.txt | base64 -d > ca.crt",
            "base64 -d < client.txt | base64 -d > client.crt",
            "base64 -d < client.txt | base64 -d > client.key",
        ),
    ),
    "base64 of DER": (
        base64.encodebytes(client().der),
        of_certificates(
            f"looks like base64 of a certificate in DER; convert it: base64 -d < ca.txt > ca.der; {TO_PEM}",
            "base64 -d < client.txt > client.der; openssl x509 -inform der -in client.der -out client.crt",
            "looks like base64 of a certificate in DER; put the private key there, as PEM text",
        ),
    ),
    "PEM between CERTIFICATE lines": (
        armour(client().pem),
        of_certificates(INNER + "ca.crt", INNER + "client.crt", INNER + "client.key"),
    ),
    "gzip": (
        gzip.compress(client().pem),
        of_certificates(
            "gunzip < ca.gz > ca.crt", "gunzip < client.gz > client.crt", "gunzip < client.gz > client.key"
        ),
    ),
    "a URL": (
        b"https://pki.corp.example/ca.crt",
        of_certificates(
            "looks like a URL; put the CA certificate there, as PEM text",
            "looks like a URL; put the client certificate there, as PEM text",
            "looks like a URL; put the private key there, as PEM text",
        ),
    ),
    "nothing but what is commented out": (
        b"# the old one\n" + b"".join(b"# " + line + b"\n" for line in client().pem.splitlines()),
        dict.fromkeys(
            DOORS, "holds nothing but blocks that are commented out, which count for nothing; put there what"
        ),
    ),
    "a block whose first line alone is commented out": (
        b"#" + client().pem,
        dict.fromkeys(DOORS, "line 9: an END line whose BEGIN line is commented out, in line 1; remove the rest of"),
    ),
    **{
        f"{name} in the body": (
            stuffed(client().pem, character, 2, 8),
            of_certificates(
                f"in line 3: has the invisible character {name} in column 9; remove it: {ONLY_ASCII}ca.crt",
                f"in line 3: has the invisible character {name} in column 9; remove it: {ONLY_ASCII}client.crt",
                f"in line 3: has the invisible character {name} in column 9; remove it: {ONLY_ASCII}client.key",
            ),
        )
        for name, character in (
            ("U+200B (zero width space)", "\u200b"),
            ("U+00A0 (no-break space)", "\u00a0"),
            ("U+FEFF (zero width no-break space)", "\ufeff"),
            ("U+00AD (soft hyphen)", "\u00ad"),
            ("U+202E (right-to-left override)", "\u202e"),
            ("U+0000 (control character)", "\0"),
        )
    },
    "a zero width space in the BEGIN line": (
        stuffed(client().pem, "\u200b", 0, 5),
        dict.fromkeys(DOORS, "line 1: has the invisible character U+200B (zero width space) in column 6; remove it"),
    ),
    "a no-break space in place of the space of BEGIN": (
        client().pem.replace(b"BEGIN CERT", b"BEGIN\xc2\xa0CERT"),
        dict.fromkeys(
            DOORS, "line 1: has the invisible character U+00A0 (no-break space) in column 11; type this line"
        ),
    ),
    "a soft hyphen in the END line": (
        client().pem.replace(b"END CERT", b"E\xc2\xadND CERT"),
        dict.fromkeys(DOORS, "in line 9: has the invisible character U+00AD (soft hyphen) in column 7; remove it"),
    ),
    "a no-break space of Latin-1 after BEGIN": (
        client().pem.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----\xa0\n", 1),
        dict.fromkeys(DOORS, "line 1: has the invisible character U+00A0 (no-break space) in column 28; remove it"),
    ),
    "a byte order mark at the beginning": (
        b"\xef\xbb\xbf" + client().pem,
        dict.fromkeys(DOORS, "starts with U+FEFF (zero width no-break space), a byte order mark"),
    ),
    "a byte order mark before the second file of two": (
        client().pem + b"\xef\xbb\xbf" + root().pem,
        dict.fromkeys(DOORS, "has the invisible character U+FEFF (zero width no-break space) in column 1; remove it"),
    ),
    "a marker without its space": (
        client().pem.replace(b"BEGIN CERT", b"BEGINCERT"),
        dict.fromkeys(DOORS, "line 1: a damaged BEGIN or END line"),
    ),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", TABLE)
def test_each_input_is_recognised_at_each_door(name: str, door: str) -> None:
    data, said = TABLE[name]

    error = at(door, data)

    assert error is not None
    assert said[door] in error.problem.message
    assert ("stringData" in error.problem.message) == (door == "Secret" and "base64 of" in error.problem.message)
    assert "(in a Secret" not in error.problem.message or door == "Secret"
    check_presentable(error)


COMMENTS = {
    "a commented-out block": b"".join(b"# " + line + b"\n" for line in root(3).pem.splitlines()),
    "a block that is commented out with slashes": b"".join(b"//" + line + b"\n" for line in root(3).pem.splitlines()),
    "a block that is commented out with dashes": b"".join(b"-- " + line + b"\n" for line in root(3).pem.splitlines()),
    "words with a sign": b"# begin certificate of the corporation\n# - END CERTIFICATE list\n",
    "words without a sign": b"--- begin certificate of the corporation, see the handbook\n- end certificate list\n",
    "words with a marker in them": b"; -----BEGIN CERTIFICATE----- is how each of them starts\n",
    "invisible characters": "\u200b# M\u00fcnchen\u00a0CA \u2013 begin certificate \u2013\n".encode(),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", COMMENTS)
def test_comments_are_left_out_at_each_door_before_between_and_after(name: str, door: str) -> None:
    pem = (
        pki.pkcs8(client().key)
        if door == "client key"
        else client().pem
        if door == "client certificate"
        else root().pem
    )
    more = b"" if door == "client key" else root(1).pem

    assert at(door, COMMENTS[name] + pem + COMMENTS[name] + more + COMMENTS[name]) is None


@pytest.mark.parametrize("sign", [b"# ", b"#", b"//", b"; "])
def test_a_private_key_in_a_comment_among_ca_certificates_is_refused(sign: bytes) -> None:
    commented = b"".join(sign + line + b"\n" for line in pki.pkcs8(client().key).splitlines())

    error = at("ConfigMap", root().pem + commented)

    assert error is not None
    assert error.problem.reason == "PrivateKeyInCA"
    assert (
        "line 10: is a private key among the CA certificates, and a comment hides it from nobody"
        in error.problem.message
    )


def test_a_commented_block_inside_of_an_open_one_is_not_read_as_a_part_of_it() -> None:
    error = at(
        "ConfigMap", b"\n".join(root().pem.split(b"\n")[:4]) + b"\n# -----BEGIN CERTIFICATE-----\n" + root(1).pem
    )

    assert error is not None
    assert "has no END line before the next BEGIN; copy all of it again" in error.problem.message
