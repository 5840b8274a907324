"""Key shapes: each private key in every encoding, label and variant that tools write, for the differential run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tools import pki
from tools.der import armour, integer, oid, sequence, tlv
from tools.pki import Issued, issue

LABELS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ED25519 PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
_CURVES = {
    "P-224": ("1.3.132.0.33", ec.SECP224R1()),
    "P-256": ("1.2.840.10045.3.1.7", ec.SECP256R1()),
    "P-384": ("1.3.132.0.34", ec.SECP384R1()),
    "P-521": ("1.3.132.0.35", ec.SECP521R1()),
}
_ATTRIBUTES = tlv(0xA0, sequence(oid("1.2.840.113549.1.9.20"), tlv(0x31, tlv(0x0C, b"friendly"))))


def small_key(curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
    """A key whose scalar has two bytes less than the curve, as 1 in 65,536 has."""
    return ec.derive_private_key(int.from_bytes(b"\x55" * (curve.key_size // 8 - 2), "big"), curve)


def shapes() -> Iterator[tuple[str, bytes, bytes]]:
    """Yield name, certificate and key."""
    for name, leaf, encodings in _keys():
        for form, der in encodings:
            for label in LABELS:
                yield f"{name} {form} as {label}", leaf.pem, armour(der, label)


def _keys() -> Iterator[tuple[str, Issued, list[tuple[str, bytes]]]]:
    for bits in (1024, 2048, 3072):
        modular = pki.rsa_key(bits)
        yield f"RSA {bits}", _leaf(modular), list(_rsa(modular))
    for name, (number, curve) in _CURVES.items():
        for kind, key in (("", pki.curve_key(880, curve)), (" with a small scalar", small_key(curve))):
            yield name + kind, _leaf(key), list(_elliptic(key, oid(number)))
    edwards = pki.ed25519_key(7)
    yield "Ed25519", _leaf(edwards), list(_edwards(edwards))


def _leaf(key: Any) -> Issued:
    return issue("node", key, issuer=pki.root(), ca=False, usages=(pki.CLIENT_AUTH,))


def _pkcs8(algorithm: bytes, content: bytes, public: bytes) -> Iterator[tuple[str, bytes]]:
    private = tlv(4, content)
    yield "PKCS#8", sequence(integer(0), algorithm, private)
    yield "PKCS#8 with attributes", sequence(integer(0), algorithm, private, _ATTRIBUTES)
    yield "PKCS#8 version 2", sequence(integer(1), algorithm, private)
    yield "PKCS#8 version 2 with its public key", sequence(integer(1), algorithm, private, tlv(0x81, b"\0" + public))
    yield (
        "PKCS#8 version 2 with both",
        sequence(integer(1), algorithm, private, _ATTRIBUTES, tlv(0x81, b"\0" + public)),
    )
    yield (
        "PKCS#8 version 2 with a constructed public key (ring, Java)",
        sequence(integer(1), algorithm, private, tlv(0xA1, tlv(3, b"\0" + public))),
    )


def _rsa(key: rsa.RSAPrivateKey) -> Iterator[tuple[str, bytes]]:
    found = key.private_numbers()
    n, e = found.public_numbers.n, found.public_numbers.e
    numbers = [integer(each) for each in (n, e, found.d, found.p, found.q, found.dmp1, found.dmq1, found.iqmp)]
    own = sequence(integer(0), *numbers)
    public = sequence(*numbers[:2])
    yield "PKCS#1", own
    yield from _pkcs8(sequence(oid("1.2.840.113549.1.1.1"), b"\x05\x00"), own, public)
    for form, der in _pkcs8(sequence(oid("1.2.840.113549.1.1.1")), own, public):
        yield f"{form}, without parameters", der


def _elliptic(key: ec.EllipticCurvePrivateKey, curve: bytes) -> Iterator[tuple[str, bytes]]:
    scalar = key.private_numbers().private_value
    size = (key.curve.key_size + 7) // 8
    short = scalar.to_bytes((scalar.bit_length() + 7) // 8, "big")
    public = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    algorithm = sequence(oid("1.2.840.10045.2.1"), curve)
    for kind, text in (("", short.rjust(size, b"\0")), (", short", short), (", padded", short.rjust(size + 1, b"\0"))):
        for more, public_part in (("", b""), (" with its public key", tlv(0xA1, tlv(3, b"\0" + public)))):
            inner = (integer(1), tlv(4, text))
            yield f"SEC1{more}{kind}", sequence(*inner, tlv(0xA0, curve), public_part)
            yield f"SEC1 without a curve{more}{kind}", sequence(*inner, public_part)
            for form, der in _pkcs8(algorithm, sequence(*inner, public_part), public):
                yield f"{form}, inside{more}{kind}", der
            yield (
                f"PKCS#8, curve inside, too{more}{kind}",
                sequence(integer(0), algorithm, tlv(4, sequence(*inner, tlv(0xA0, curve), public_part))),
            )


def _edwards(key: ed25519.Ed25519PrivateKey) -> Iterator[tuple[str, bytes]]:
    public = key.public_key().public_bytes_raw()
    yield from _pkcs8(sequence(oid("1.3.101.112")), tlv(4, key.private_bytes_raw()), public)
    yield (
        "PKCS#8 with NULL parameters",
        sequence(integer(0), sequence(oid("1.3.101.112"), b"\x05\x00"), tlv(4, tlv(4, key.private_bytes_raw()))),
    )
