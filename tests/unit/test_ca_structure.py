"""The inside of a certificate: what a runtime written in Go could not parse or verify is refused (rows 61-76, 88)."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason
from tests.unit.ca_tables import attempt, check_presentable, check_refused, refused
from tools import der, pki
from tools.der import armour, extension, handmade
from tools.pki import issue, root


def compressed_key() -> bytes:
    whole = pki.spki(pki.curve_key(7))
    point = whole[-65:]
    algorithm = der.sequence(der.oid("1.2.840.10045.2.1"), der.oid("1.2.840.10045.3.1.7"))
    return der.sequence(algorithm, der.tlv(3, b"\x00", bytes([2 + point[-1] % 2]), point[1:33]))


def other_key(algorithm: str) -> bytes:
    return der.sequence(der.sequence(der.oid(algorithm)), der.tlv(3, b"\x00", b"\x02\x01\x05"))


def alternative_name(tag: int, content: bytes) -> bytes:
    return extension("2.5.29.17", der.sequence(der.tlv(tag, content)))


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        refused(
            "row 77: a self-issued certificate that is not a CA and names no host is refused",
            lambda: armour(handmade(extensions=(extension("2.5.29.19", der.sequence()),))),
            Reason.NOT_CA,
            'certificate 1 of 1, line 1: "CN=Hand Made" is not a CA certificate (issued by itself, it '
            "lacks the mark CA:TRUE), and as the registry's own certificate runtimes refuse it, since it "
            "has no subjectAltName; make it again: openssl req -x509 -newkey rsa:4096 -noenc -keyout "
            'registry.key -out ca.crt -days 365 -subj "/CN=harbor.corp.example" -addext '
            '"subjectAltName=DNS:harbor.corp.example"',
        ),
        refused(
            "row 61: rubbish inside a block is refused",
            lambda: armour(b"rubbish"),
            Reason.CERTIFICATE_PARSE,
            "certificate 1 of 1, line 1: can't be read as a certificate: the certificate has another "
            "type than expected; copy it again, or have it reissued",
        ),
        refused(
            "row 61: an empty block is refused",
            lambda: armour(b""),
            Reason.CERTIFICATE_PARSE,
            "certificate 1 of 1, line 1: can't be read as a certificate: the certificate ends too early; "
            "copy it again, or have it reissued",
        ),
        refused(
            "row 67: bytes after the certificate are refused",
            lambda: armour(root().der + b"\0\0"),
            Reason.CERTIFICATE_PARSE,
            'certificate 1 of 1, line 1: "CN=Corp Root 0" can\'t be read as a certificate: the '
            "certificate is followed by other bytes (2); copy it again, or have it reissued",
        ),
        refused(
            "row 67: two certificates in one block are refused",
            lambda: armour(root().der + root(1).der),
            Reason.CERTIFICATE_PARSE,
            'certificate 1 of 1, line 1: "CN=Corp Root 0" can\'t be read as a certificate: the '
            "certificate is followed by other bytes (322); copy it again, or have it reissued",
        ),
        refused(
            "row 68: a negative serial number is refused",
            lambda: armour(handmade(serial=b"\x85")),
            Reason.CERTIFICATE_PARSE,
            'certificate 1 of 1, line 1: "CN=Hand Made" can\'t be read as a certificate: the serial '
            "number is negative; copy it again, or have it reissued",
        ),
        refused(
            "row 70: a duplicate extension is refused",
            lambda: armour(handmade(extensions=(der.IS_CA, der.IS_CA))),
            Reason.CERTIFICATE_PARSE,
            'certificate 1 of 1, line 1: "CN=Hand Made" can\'t be read as a certificate: extension '
            "2.5.29.19 stands there twice; copy it again, or have it reissued",
        ),
        refused(
            "row 71: a key on secp256k1 is refused",
            lambda: issue("Coin Root", pki.curve_key(5, ec.SECP256K1()), ca=True).pem,
            Reason.UNSUPPORTED_ALGORITHM,
            'certificate 1 of 1, line 1: "CN=Coin Root" has a key of the curve secp256k1, which Go, and '
            "so every runtime, can't verify with; have it reissued with RSA of 2048 bits or more, P-256, "
            "P-384, P-521 or Ed25519",
        ),
        refused(
            "row 71: a key on a Brainpool curve is refused",
            lambda: issue("Brain Root", pki.curve_key(5, ec.BrainpoolP256R1()), ca=True).pem,
            Reason.UNSUPPORTED_ALGORITHM,
            'certificate 1 of 1, line 1: "CN=Brain Root" has a key of the curve brainpoolP256r1, which '
            "Go, and so every runtime, can't verify with; have it reissued with RSA of 2048 bits or "
            "more, P-256, P-384, P-521 or Ed25519",
        ),
        refused(
            "row 71: a compressed point is refused",
            lambda: armour(handmade(key=compressed_key())),
            Reason.CERTIFICATE_PARSE,
            'certificate 1 of 1, line 1: "CN=Hand Made" can\'t be read as a certificate: the public key '
            "is a compressed point, which Go can't read; copy it again, or have it reissued",
        ),
        refused(
            "row 72: an Ed448 key is refused",
            lambda: armour(handmade(key=other_key("1.3.101.113"))),
            Reason.UNSUPPORTED_ALGORITHM,
            'certificate 1 of 1, line 1: "CN=Hand Made" has a key of Ed448, which Go, and so every '
            "runtime, can't verify with; have it reissued with RSA of 2048 bits or more, P-256, P-384, "
            "P-521 or Ed25519",
        ),
        refused(
            "row 72: a DSA key, which makes older runtimes panic, is refused",
            lambda: armour(handmade(key=other_key("1.2.840.10040.4.1"))),
            Reason.UNSUPPORTED_ALGORITHM,
            'certificate 1 of 1, line 1: "CN=Hand Made" has a key of DSA, which Go, and so every '
            "runtime, can't verify with; have it reissued with RSA of 2048 bits or more, P-256, P-384, "
            "P-521 or Ed25519",
        ),
        refused(
            "row 73: an RSA key without NULL parameters is refused",
            lambda: armour(handmade(key=der.rsa_spki(2048, parameters=b""))),
            Reason.CERTIFICATE_PARSE,
            'certificate 1 of 1, line 1: "CN=Hand Made" can\'t be read as a certificate: the RSA key '
            "lacks the NULL parameters that Go asks for; copy it again, or have it reissued",
        ),
        refused(
            "row 73: an RSA exponent of 1 is refused",
            lambda: armour(handmade(key=der.rsa_spki(2048, exponent=1))),
            Reason.UNSUPPORTED_ALGORITHM,
            'certificate 1 of 1, line 1: "CN=Hand Made" has an RSA key with an even modulus or an '
            "exponent out of range, which newer versions of Go refuse; have it reissued with RSA of 2048 "
            "bits or more, P-256, P-384, P-521 or Ed25519",
        ),
        refused(
            "row 73: two different signature algorithms are refused",
            lambda: armour(handmade(outer_algorithm=der.RSA_SHA256)),
            Reason.CERTIFICATE_PARSE,
            'certificate 1 of 1, line 1: "CN=Hand Made" can\'t be read as a certificate: the signature '
            "algorithm inside the certificate differs from the one outside; copy it again, or have it "
            "reissued",
        ),
        refused(
            "row 73: a PrintableString with other characters is refused",
            lambda: armour(handmade(subject=der.distinguished(b"a_b@c", tag=0x13))),
            Reason.CERTIFICATE_PARSE,
            "certificate 1 of 1, line 1: can't be read as a certificate: the issuer has a text with "
            "characters that its string type does not allow, or of an unknown type; copy it again, or "
            "have it reissued",
        ),
        refused(
            "row 73: a name that is not UTF-8 is refused",
            lambda: armour(handmade(subject=der.distinguished(b"a\xff"))),
            Reason.CERTIFICATE_PARSE,
            "certificate 1 of 1, line 1: can't be read as a certificate: the issuer has a text with "
            "characters that its string type does not allow, or of an unknown type; copy it again, or "
            "have it reissued",
        ),
        refused(
            "row 73: a name that is not ASCII in subjectAltName is refused",
            lambda: armour(handmade(extensions=(der.IS_CA, alternative_name(0x82, "r\xe9g".encode())))),
            Reason.CERTIFICATE_PARSE,
            'certificate 1 of 1, line 1: "CN=Hand Made" can\'t be read as a certificate: subjectAltName '
            "has characters that are not ASCII; copy it again, or have it reissued",
        ),
        refused(
            "row 73: an IP address of five bytes is refused",
            lambda: armour(handmade(extensions=(der.IS_CA, alternative_name(0x87, b"\n\0\0\1\1")))),
            Reason.CERTIFICATE_PARSE,
            'certificate 1 of 1, line 1: "CN=Hand Made" can\'t be read as a certificate: subjectAltName '
            "has an IP address that is neither 4 nor 16 bytes long; copy it again, or have it reissued",
        ),
        refused(
            "row 73: a critical authorityInfoAccess is refused",
            lambda: armour(
                handmade(extensions=(der.IS_CA, extension("1.3.6.1.5.5.7.1.1", der.sequence(), critical=True)))
            ),
            Reason.CERTIFICATE_PARSE,
            'certificate 1 of 1, line 1: "CN=Hand Made" can\'t be read as a certificate: extension '
            "1.3.6.1.5.5.7.1.1 is marked critical, which RFC 5280 forbids; copy it again, or have it "
            "reissued",
        ),
        refused(
            "row 73: an attribute number over 31 bits is refused",
            lambda: armour(handmade(subject=der.distinguished(b"a", attribute="1.3.4294967296"))),
            Reason.CERTIFICATE_PARSE,
            "certificate 1 of 1, line 1: can't be read as a certificate: the issuer is an object "
            "identifier with a number over 31 bits, which Go can't read; copy it again, or have it "
            "reissued",
        ),
        refused(
            "row 74: RSA of 512 bits is refused",
            lambda: armour(handmade(key=der.rsa_spki(512))),
            Reason.UNSUPPORTED_ALGORITHM,
            'certificate 1 of 1, line 1: "CN=Hand Made" has an RSA key of 512 bits, which newer versions '
            "of Go refuse; have it reissued with RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519",
        ),
        refused(
            "row 75: RSA of 16392 bits is refused",
            lambda: armour(handmade(key=der.rsa_spki(16392))),
            Reason.UNSUPPORTED_ALGORITHM,
            'certificate 1 of 1, line 1: "CN=Hand Made" has an RSA key of 16392 bits, and at most 16384 '
            "are read; have it reissued with RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519",
        ),
        refused(
            "row 74: RSA of 1023 bits is refused",
            lambda: armour(handmade(key=der.rsa_spki(1023))),
            Reason.UNSUPPORTED_ALGORITHM,
            'certificate 1 of 1, line 1: "CN=Hand Made" has an RSA key of 1023 bits, which newer '
            "versions of Go refuse; have it reissued with RSA of 2048 bits or more, P-256, P-384, P-521 "
            "or Ed25519",
        ),
        refused(
            "row 88: an end before its beginning is refused",
            lambda: armour(handmade(not_before=b"270601120000Z", not_after=b"250601120000Z")),
            Reason.CERTIFICATE_PARSE,
            'certificate 1 of 1, line 1: "CN=Hand Made" can\'t be read as a certificate: notAfter is '
            "earlier than notBefore; copy it again, or have it reissued",
        ),
        refused(
            "row 88: a date that does not exist is refused",
            lambda: armour(handmade(not_before=b"250230120000Z")),
            Reason.CERTIFICATE_PARSE,
            'certificate 1 of 1, line 1: "CN=Hand Made" can\'t be read as a certificate: notBefore is no '
            "date that exists; copy it again, or have it reissued",
        ),
    ],
)
def test_refused(data, reason, message):
    check_refused(data(), reason, message)


@settings(deadline=None)
@given(st.integers(0, len(root().der) - 1), st.integers(0, 255))
def test_any_changed_byte_of_a_certificate_is_accepted_whole_or_refused(position, value):
    changed = bytearray(root().der)
    changed[position] = value
    found = attempt(armour(bytes(changed)))
    if isinstance(found, UnusableMaterial):
        check_presentable(found)
    else:
        assert found.pems == (armour(bytes(changed)),)
