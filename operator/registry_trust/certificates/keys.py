"""Private keys: every common form is read, checked for what Go's TLS can sign with, and written anew as PKCS#8.

No error of this module holds a byte of the key, nor the exception of the library that saw it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from registry_trust.certificates.der import INTEGER, OCTET_STRING, SEQUENCE, DERError, Reader
from registry_trust.certificates.origin import Origin
from registry_trust.certificates.pem import Block, encode
from registry_trust.certificates.private import PrivateKey
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason

_FORMS = {"PRIVATE KEY": "PKCS#8", "RSA PRIVATE KEY": "PKCS#1", "EC PRIVATE KEY": "SEC1"}
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_RSA_BITS = range(1024, 8193)
_USABLE = "runtimes use RSA of 1024 to 8192 bits, P-256, P-384, P-521 and Ed25519"


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
    if block.encrypted or block.label == "ENCRYPTED PRIVATE KEY":
        raise origin.refuse(
            Reason.KEY_ENCRYPTED,
            "is an encrypted private key, and runtimes can't ask for its passphrase; "
            "decrypt it: openssl pkey -in client.key -out plain.key",
            block.where,
        )
    form = _FORMS.get(block.label)
    if form is None:
        raise _other_label(block, origin)
    content = _form(block.content)
    if content and content != form:
        raise origin.refuse(
            Reason.KEY_PARSE,
            f"says {form} by its label and is {content} inside; "
            "write it anew: openssl pkey -in client.key -out plain.key",
            block.where,
        )
    loaded = _load(block.content)
    if loaded is None:
        raise origin.refuse(
            Reason.KEY_PARSE,
            "is no private key that can be read, or its numbers don't fit together; copy it again, or make a new key "
            "and have a certificate issued for it (openssl pkey -in client.key -check -noout tells more)",
            block.where,
        )
    problem = _unsupported(loaded)
    if problem:
        raise origin.refuse(
            Reason.KEY_UNSUPPORTED,
            f"is a private key of {problem}; {_USABLE}. Make a new key and have a certificate issued for it",
            block.where,
        )
    private, public = _encodings(loaded)
    return ReadKey(PrivateKey(encode("PRIVATE KEY", private)), public)


def _other_label(block: Block, origin: Origin) -> UnusableMaterial:
    if block.label == "OPENSSH PRIVATE KEY":
        gist = (
            "is a key in OpenSSH's own format, which runtimes can't read; "
            "convert a copy: cp client.key plain.key && ssh-keygen -p -N '' -m PEM -f plain.key"
        )
    elif block.label == "DSA PRIVATE KEY":
        gist = f"is a private key of DSA; {_USABLE}. Make a new key and have a certificate issued for it"
    else:
        gist = f'has the label "{block.label}", which runtimes don\'t know; {_USABLE}, in PKCS#8, PKCS#1 or SEC1'
    return origin.refuse(Reason.KEY_UNSUPPORTED, gist, block.where)


def _form(der: bytes) -> str:
    """Return which structure this is by its first fields (RFC 5958, 8017, 5915); empty if it is none of them."""
    try:
        reader = Reader(der).inside("the key")
        if reader.next_is(SEQUENCE):
            return "encrypted PKCS#8"
        reader.integer("the version")
    except DERError:
        return ""
    for tag, form in ((SEQUENCE, "PKCS#8"), (INTEGER, "PKCS#1"), (OCTET_STRING, "SEC1")):
        if reader.next_is(tag):
            return form
    return ""


def _load(der: bytes) -> PrivateKeyTypes | None:
    try:
        # The library's own check of RSA tests primes, half a second for 4096 bits; ours is what Go checks.
        loaded = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
        fits = _numbers_fit(loaded) if isinstance(loaded, rsa.RSAPrivateKey) else True
    except Exception:  # noqa: BLE001 - of many kinds; each may quote what it read, so none leaves this function
        return None
    return loaded if fits else None


def _numbers_fit(key: rsa.RSAPrivateKey) -> bool:
    """Check the numbers of an RSA key against each other (crypto/rsa PrivateKey.Validate of Go 1.24)."""
    if key.key_size not in _RSA_BITS:
        return True  # refused for its size, without long sums
    numbers = key.private_numbers()
    p, q, d = numbers.p, numbers.q, numbers.d
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    return (
        p > 1
        and q > 1
        and p * q == n
        and n & e & 1 == 1
        and 1 < e < 1 << 31
        and 0 < d < n
        and e * d % (p - 1) == 1
        and e * d % (q - 1) == 1
        and numbers.dmp1 == d % (p - 1)
        and numbers.dmq1 == d % (q - 1)
        and numbers.iqmp * q % p == 1
        and 0 < numbers.iqmp < p
        and _signs(key)
    )


def _signs(key: rsa.RSAPrivateKey) -> bool:
    """Sign something and check it: numbers may fit together although a factor is no prime."""
    scheme, algorithm = padding.PKCS1v15(), hashes.SHA256()
    try:
        key.public_key().verify(key.sign(b"registry-trust", scheme, algorithm), b"registry-trust", scheme, algorithm)
    except InvalidSignature:
        return False
    return True


def _unsupported(key: PrivateKeyTypes) -> str:
    """Return what is wrong with the kind of key: empty for what Go signs with in TLS 1.2 and 1.3."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "" if key.key_size in _RSA_BITS else f"RSA with {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return "" if key.curve.name in _CURVES else f"the curve {key.curve.name}"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return ""
    return type(key).__name__.strip("_").removesuffix("PrivateKey")


def _encodings(key: PrivateKeyTypes) -> tuple[bytes, bytes]:
    """Return PKCS#8 of the private and SubjectPublicKeyInfo of the public key, both DER."""
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, public
