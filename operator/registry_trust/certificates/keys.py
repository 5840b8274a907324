"""Private keys: every form that Go loads is read, checked for what Go's TLS can sign with, and rewritten as PKCS#8.

crypto/tls tries PKCS#1, PKCS#8 and SEC1, whatever the label says (`parsePrivateKey`, Go 1.22 and 1.26); so does this.
No error of this module holds a byte of the key, nor the exception of the library that saw it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from registry_trust.certificates.origin import Origin
from registry_trust.certificates.pem import Block, encode
from registry_trust.certificates.private import PrivateKey
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason
from registry_trust.core.x509.der import INTEGER, OCTET_STRING, OID, SEQUENCE, DERError, DERReader
from registry_trust.core.x509.structure import CURVES, ECDSA, ED25519, OTHER_KEYS, RSA

_UsableCurve = ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1
_USABLE_CURVES: dict[str, type[_UsableCurve]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
}
_RSA_BITS = range(1024, 8193)
_USABLE = "RSA of 1024 to 8192 bits, P-256, P-384, P-521 and Ed25519 are supported"

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class _UnsupportedError(Exception):
    """A key of a kind that Go's TLS can't sign with; the text names the kind."""


class _EncryptedError(Exception):
    """PKCS#8 with a passphrase, whatever the label says."""


@dataclass(frozen=True, slots=True)
class ReadKey:
    """A private key in canonical form, and the DER of the public key that belongs to it."""

    key: PrivateKey
    public_key_der: bytes = field(repr=False)


def read_private_key(block: Block, origin: Origin) -> ReadKey:
    """Read the block of a private key.

    Raises:
        UnusableMaterial: KeyEncrypted, KeyUnsupported or KeyParse.
    """
    encrypted, problem = block.encrypted, ""
    loaded: Key | None = None
    try:
        loaded = None if encrypted else _load(block.content)
    except _EncryptedError:
        encrypted = True
    except _UnsupportedError as error:
        problem = str(error)
    except Exception:  # noqa: BLE001 - of many kinds; each may quote what it read, so none leaves this function
        encrypted = block.label == "ENCRYPTED PRIVATE KEY"
    if encrypted:
        raise origin.refuse(
            Reason.KEY_ENCRYPTED,
            "is an encrypted private key, and runtimes can't ask for its passphrase; "
            "decrypt it: openssl pkey -in client.key -out plain.key",
            block.where,
        )
    if problem:
        raise origin.refuse(
            Reason.KEY_UNSUPPORTED,
            f"is a private key of {problem}; {_USABLE}. Make a new key and have a certificate issued for it",
            block.where,
        )
    if loaded is None:
        raise _unreadable(block, origin)
    private, public = _encodings(loaded)
    return ReadKey(PrivateKey(encode("PRIVATE KEY", private)), public)


def _unreadable(block: Block, origin: Origin) -> UnusableMaterial:
    if block.label == "OPENSSH PRIVATE KEY":
        gist = (
            "is a key in OpenSSH's own format, which runtimes can't read; "
            "convert a copy: install -m 600 client.key plain.key && ssh-keygen -p -N '' -m PEM -f plain.key"
        )
    elif block.label == "DSA PRIVATE KEY":
        gist = f"is a private key of DSA; {_USABLE}. Make a new key and have a certificate issued for it"
    elif block.label not in ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"):
        gist = f'has the label "{block.label}" and holds no key in PKCS#8, PKCS#1 or SEC1, which is what runtimes read'
    else:
        return origin.refuse(
            Reason.KEY_PARSE,
            "is not a readable private key, or its numbers don't match; copy it again, or make a new key and have a "
            "certificate issued for it (openssl pkey -in client.key -check -noout shows more)",
            block.where,
        )
    return origin.refuse(Reason.KEY_UNSUPPORTED, gist, block.where)


def _load(der: bytes) -> Key:
    """Load PKCS#8 (RFC 5208 and 5958), PKCS#1 (RFC 8017) or SEC1 (RFC 5915), told apart by the first fields.

    As in Go, fields after those that it needs (attributes, a public key) are not looked at: what is written has them
    made again from the private key.
    """
    outer = DERReader(der)
    key = outer.inside("the key")
    outer.end("the key")
    if key.next_is(SEQUENCE):
        raise _EncryptedError
    version = key.integer("the version")
    if key.next_is(SEQUENCE):
        return _pkcs8(key)
    if key.next_is(INTEGER) and version == 0:
        return _rsa(key)
    if key.next_is(OCTET_STRING) and version == 1:
        return _sec1(key, "")
    raise DERError("the key has a form that Go does not read")


def _pkcs8(key: DERReader) -> Key:
    algorithm = key.inside("the key algorithm")
    number = algorithm.oid("the key algorithm")
    content = DERReader(key.read("the private key", OCTET_STRING))
    if number == ED25519:
        return ed25519.Ed25519PrivateKey.from_private_bytes(content.read("the private key", OCTET_STRING))
    if number not in (RSA, ECDSA):
        raise _UnsupportedError(OTHER_KEYS.get(number, f"algorithm {number}"))
    curve = algorithm.oid("the elliptic curve") if number == ECDSA and algorithm.next_is(OID) else ""
    inner = content.inside("the private key")
    content.end("the private key")
    version = inner.integer("the version")
    if number == ECDSA and version == 1:
        return _sec1(inner, curve)
    if number == RSA and version == 0:
        return _rsa(inner)
    raise DERError("the private key has another version")


def _sec1(key: DERReader, curve: str) -> ec.EllipticCurvePrivateKey:
    """Read from the scalar on, which may be shorter or longer than the curve's size (padding is zeros)."""
    scalar = int.from_bytes(key.read("the scalar", OCTET_STRING), "big")
    if not curve:
        curve = key.inside("the elliptic curve", 0xA0).oid("the elliptic curve")
    name = CURVES.get(curve, OTHER_KEYS.get(curve, curve))
    if name not in _USABLE_CURVES:
        raise _UnsupportedError(f"the curve {name}")
    return ec.derive_private_key(scalar, _USABLE_CURVES[name]())


def _rsa(key: DERReader) -> rsa.RSAPrivateKey:
    """Read from the modulus on, and check the numbers against each other (crypto/rsa PrivateKey.Validate, Go 1.24)."""
    n, e, d, p, q, dmp1, dmq1, iqmp = (key.integer("a number of the RSA key") for _ in range(8))
    if n.bit_length() not in _RSA_BITS:  # refused for its size, without long sums
        raise _UnsupportedError(f"RSA with {n.bit_length()} bits")
    fits = (
        1 < p < n  # Sizes first: the product of two numbers of half a megabyte takes seconds.
        and 1 < q < n
        and 1 < e < 1 << 31
        and 0 < d < n
        and 0 < iqmp < p
        and p * q == n
        and n & e & 1 == 1
        and e * d % (p - 1) == 1
        and e * d % (q - 1) == 1
        and dmp1 == d % (p - 1)
        and dmq1 == d % (q - 1)
        and iqmp * q % p == 1
    )
    if not fits:
        raise DERError("the numbers of the RSA key don't fit together")
    numbers = rsa.RSAPrivateNumbers(p, q, d, dmp1, dmq1, iqmp, rsa.RSAPublicNumbers(e, n))
    # The library's own check of RSA tests primes, half a second for 4096 bits; this is what Go checks.
    loaded = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    if not _signs(loaded):
        raise DERError("the RSA key makes no valid signature")
    return loaded


def _signs(key: rsa.RSAPrivateKey) -> bool:
    """Sign something and check it: numbers may fit together although a factor is no prime."""
    scheme, algorithm = padding.PKCS1v15(), hashes.SHA256()
    try:
        key.public_key().verify(key.sign(b"registry-trust", scheme, algorithm), b"registry-trust", scheme, algorithm)
    except InvalidSignature:
        return False
    return True


def _encodings(key: Key) -> tuple[bytes, bytes]:
    """Return PKCS#8 of the private and SubjectPublicKeyInfo of the public key, both DER."""
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, public
