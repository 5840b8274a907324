"""CA certificates whose structure runtimes do not read."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from registry_trust.core.reasons import Reason
from tools import der, pki
from tools.der import armour, extension, handmade
from tools.messages.cases import Table, refused
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


REFUSED: Table = (
    refused(
        "a self-issued certificate that is not a CA and names no host is refused",
        lambda: armour(handmade(extensions=(extension("2.5.29.19", der.sequence()),))),
        Reason.NOT_CA,
    ),
    refused("rubbish inside a block is refused", lambda: armour(b"rubbish"), Reason.CERTIFICATE_PARSE),
    refused("an empty block is refused", lambda: armour(b""), Reason.CERTIFICATE_PARSE),
    refused(
        "bytes after the certificate are refused",
        lambda: armour(root().der + b"\0\0"),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "two certificates in one block are refused",
        lambda: armour(root().der + root(1).der),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "a negative serial number is refused",
        lambda: armour(handmade(serial=b"\x85")),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "a duplicate extension is refused",
        lambda: armour(handmade(extensions=(der.IS_CA, der.IS_CA))),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "a key on secp256k1 is refused",
        lambda: issue("Coin Root", pki.curve_key(5, ec.SECP256K1()), ca=True).pem,
        Reason.UNSUPPORTED_ALGORITHM,
    ),
    refused(
        "a key on a Brainpool curve is refused",
        lambda: issue("Brain Root", pki.curve_key(5, ec.BrainpoolP256R1()), ca=True).pem,
        Reason.UNSUPPORTED_ALGORITHM,
    ),
    refused(
        "a compressed point is refused",
        lambda: armour(handmade(key=compressed_key())),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "an Ed448 key is refused",
        lambda: armour(handmade(key=other_key("1.3.101.113"))),
        Reason.UNSUPPORTED_ALGORITHM,
    ),
    refused(
        "a DSA key, which makes older runtimes panic, is refused",
        lambda: armour(handmade(key=other_key("1.2.840.10040.4.1"))),
        Reason.UNSUPPORTED_ALGORITHM,
    ),
    refused(
        "an RSA key without NULL parameters is refused",
        lambda: armour(handmade(key=der.rsa_spki(2048, parameters=b""))),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "an RSA exponent of 1 is refused",
        lambda: armour(handmade(key=der.rsa_spki(2048, exponent=1))),
        Reason.UNSUPPORTED_ALGORITHM,
    ),
    refused(
        "two different signature algorithms are refused",
        lambda: armour(handmade(outer_algorithm=der.RSA_SHA256)),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "a PrintableString with other characters is refused",
        lambda: armour(handmade(subject=der.distinguished(b"a_b@c", tag=0x13))),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "a name that is not UTF-8 is refused",
        lambda: armour(handmade(subject=der.distinguished(b"a\xff"))),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "a name that is not ASCII in subjectAltName is refused",
        lambda: armour(handmade(extensions=(der.IS_CA, alternative_name(0x82, "r\xe9g".encode())))),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "an IP address of five bytes is refused",
        lambda: armour(handmade(extensions=(der.IS_CA, alternative_name(0x87, b"\n\0\0\1\1")))),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "a critical authorityInfoAccess is refused",
        lambda: armour(handmade(extensions=(der.IS_CA, extension("1.3.6.1.5.5.7.1.1", der.sequence(), critical=True)))),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "an attribute number over 31 bits is refused",
        lambda: armour(handmade(subject=der.distinguished(b"a", attribute="1.3.4294967296"))),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "RSA of 512 bits is refused",
        lambda: armour(handmade(key=der.rsa_spki(512))),
        Reason.UNSUPPORTED_ALGORITHM,
    ),
    refused(
        "RSA of 16392 bits is refused",
        lambda: armour(handmade(key=der.rsa_spki(16392))),
        Reason.UNSUPPORTED_ALGORITHM,
    ),
    refused(
        "RSA of 1023 bits is refused",
        lambda: armour(handmade(key=der.rsa_spki(1023))),
        Reason.UNSUPPORTED_ALGORITHM,
    ),
    refused(
        "an end before its beginning is refused",
        lambda: armour(handmade(not_before=b"270601120000Z", not_after=b"250601120000Z")),
        Reason.CERTIFICATE_PARSE,
    ),
    refused(
        "a date that does not exist is refused",
        lambda: armour(handmade(not_before=b"250230120000Z")),
        Reason.CERTIFICATE_PARSE,
    ),
)
