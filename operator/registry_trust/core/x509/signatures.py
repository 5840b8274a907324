"""Whether one certificate's key made another's signature, by arithmetic alone: only public values are used.

This decides what a message says, and never what is trusted: runtimes verify for themselves.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from registry_trust.core.x509.der import SEQUENCE, DERError, DERReader

_RSA = {
    "1.2.840.113549.1.1.11": ("sha256", "3031300d060960864801650304020105000420"),
    "1.2.840.113549.1.1.12": ("sha384", "3041300d060960864801650304020205000430"),
    "1.2.840.113549.1.1.13": ("sha512", "3051300d060960864801650304020305000440"),
}
"""PKCS #1 v1.5: digest, and what stands before it (RFC 8017 9.2, note 1)."""

_ECDSA = {"1.2.840.10045.4.3.2": "sha256", "1.2.840.10045.4.3.3": "sha384", "1.2.840.10045.4.3.4": "sha512"}

OUTDATED = {
    "1.2.840.113549.1.1.2": "MD2",
    "1.2.840.113549.1.1.4": "MD5",
    "1.2.840.113549.1.1.5": "SHA-1",
    "1.2.840.10045.4.1": "SHA-1",
}
"""Digests that newer versions of Go refuse, and older ones or a GODEBUG setting let pass."""

_Point = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Curve:
    """A curve y^2 = x^3 - 3x + b over p, with the order and the base point of FIPS 186-4 D.1.2."""

    p: int
    n: int
    base: tuple[int, int]

    def add(self, one: _Point, two: _Point) -> _Point:
        if one is None or two is None:
            return one or two
        if one[0] == two[0]:
            if (one[1] + two[1]) % self.p == 0:
                return None
            slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, self.p)
        else:
            slope = (two[1] - one[1]) * pow(two[0] - one[0], -1, self.p)
        x = (slope * slope - one[0] - two[0]) % self.p
        return x, (slope * (one[0] - x) - one[1]) % self.p

    def combine(self, one: int, two: int, point: tuple[int, int]) -> _Point:
        """Return one * base + two * point."""
        both = self.add(self.base, point)
        total: _Point = None
        for bit in range(max(one.bit_length(), two.bit_length()) - 1, -1, -1):
            total = self.add(total, total)
            chosen = (None, self.base, point, both)[(one >> bit & 1) + 2 * (two >> bit & 1)]
            total = self.add(total, chosen)
        return total


_CURVES = {
    "1.2.840.10045.3.1.7": _Curve(
        0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        (
            0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
            0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
        ),
    ),
    "1.3.132.0.34": _Curve(
        2**384 - 2**128 - 2**96 + 2**32 - 1,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
        (
            0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
            0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
        ),
    ),
    "1.3.132.0.35": _Curve(
        2**521 - 1,
        2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
        (
            int(
                "00C6858E06B70404E9CD9E3ECB662395B4429C648139053FB521F828AF606B4D3DBAA14B5E77"
                "EFE75928FE1DC127A2FFA8DE3348B3C1856A429BF97E7E31C2E5BD66",
                16,
            ),
            int(
                "011839296A789A3BC0045C8A5FB42C7D1BD998F54449579B446817AFBD17273E662C97EE7299"
                "5EF42640C550B9013FAD0761353C7086A272C24088BE94769FD16650",
                16,
            ),
        ),
    ),
}


def algorithm_of(der: bytes) -> str:
    """Return the object identifier of a certificate's signature; raises DERError."""
    return _parts(der)[1]


def is_signed_by(der: bytes, public_key_der: bytes) -> bool | None:
    """Say whether a certificate's signature was made with the key of this SubjectPublicKeyInfo.

    None where this module can't tell: RSASSA-PSS, Ed25519, outdated digests, and curves that it does not know.
    """
    try:
        body, algorithm, signature = _parts(der)
        key = DERReader(public_key_der).inside("the public key")
        kind = key.inside("the key algorithm")
        number = kind.oid("the key algorithm")
        data, _ = key.bits("the public key")
        if number == "1.2.840.113549.1.1.1" and (algorithm in _RSA or algorithm in _ECDSA):
            return algorithm in _RSA and _rsa(body, signature, data, *_RSA[algorithm])
        if number == "1.2.840.10045.2.1" and (algorithm in _RSA or algorithm in _ECDSA):
            curve = _CURVES.get(kind.oid("the curve"))
            if curve is None:
                return None
            return algorithm in _ECDSA and _ecdsa(body, signature, data, curve, _ECDSA[algorithm])
    except DERError:
        pass
    return None


def _parts(der: bytes) -> tuple[bytes, str, bytes]:
    certificate = DERReader(der).inside("the certificate")
    body = certificate.element("the certificate's body", SEQUENCE)[2]
    algorithm = certificate.inside("the signature algorithm").oid("the signature algorithm")
    return body, algorithm, certificate.bits("the signature")[0]


def _rsa(body: bytes, signature: bytes, key: bytes, digest: str, prefix: str) -> bool:
    numbers = DERReader(key).inside("the RSA key")
    modulus, exponent = numbers.integer("the RSA modulus"), numbers.integer("the RSA exponent")
    size = (modulus.bit_length() + 7) // 8
    if modulus <= 0 or not 0 < exponent < 1 << 32 or size > 2048 or len(signature) != size:
        return False
    ending = bytes.fromhex(prefix) + hashlib.new(digest, body).digest()
    expected = b"\x00\x01" + b"\xff" * (size - 3 - len(ending)) + b"\x00" + ending
    return pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big") == expected


def _ecdsa(body: bytes, signature: bytes, key: bytes, curve: _Curve, digest: str) -> bool:
    half = len(key) // 2
    point = int.from_bytes(key[1 : half + 1], "big"), int.from_bytes(key[half + 1 :], "big")
    numbers = DERReader(signature).inside("the signature")
    r, s = numbers.integer("the signature"), numbers.integer("the signature")
    if not (0 < r < curve.n and 0 < s < curve.n):
        return False
    hashed = hashlib.new(digest, body).digest()
    number = int.from_bytes(hashed, "big") >> max(0, len(hashed) * 8 - curve.n.bit_length())
    inverse = pow(s, -1, curve.n)
    found = curve.combine(number * inverse % curve.n, r * inverse % curve.n, point)
    return found is not None and found[0] % curve.n == r
