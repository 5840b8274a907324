"""A small PKI for tests: keys derived from numbers, certificates of any shape, and DER that no library would write.

Keys on curves are the same in every run; RSA keys are made once per process and size. Dates are fixed around `NOW`.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.cluster import canaries

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
YEAR = timedelta(days=365)

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
_PLAIN = serialization.NoEncryption()


def curve_key(number: int, curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    """The private key `number` on a curve (P-256): the same in every run."""
    scalar = int.from_bytes(hashlib.sha512(b"%d" % number).digest()[:27], "big")  # of any of the curves
    key = ec.derive_private_key(scalar, curve or ec.SECP256R1())
    canaries.remember(key)
    return key


def ed25519_key(number: int = 0) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


@functools.cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    key = rsa.generate_private_key(65537, bits)
    canaries.remember(key)
    return key


def pkcs8(key: Any) -> bytes:
    return bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, _PLAIN))


def traditional(key: Any) -> bytes:
    return bytes(key.private_bytes(PEM, serialization.PrivateFormat.TraditionalOpenSSL, _PLAIN))


def spki(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo))


@dataclass(frozen=True)
class Issued:
    """A certificate with its private key, so that it can issue the next."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(DER)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text, _validate=False)])


def issue(
    subject: str,
    key: Any,
    *,
    issuer: Issued | None = None,
    ca: bool | None = None,
    names: tuple[str, ...] = (),
    usages: tuple[x509.ObjectIdentifier, ...] = (),
    signs: bool | None = None,
    not_before: datetime = NOW - YEAR,
    not_after: datetime = NOW + YEAR,
    more: tuple[tuple[x509.ExtensionType, bool], ...] = (),
) -> Issued:
    """Issue a certificate, by its own key where there is no issuer; `ca=None` leaves basicConstraints out."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer.certificate.subject if issuer else name(subject))
        .public_key(key.public_key())
        .serial_number(0x1234)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if signs is not None:
        builder = builder.add_extension(_key_usage(signs=signs), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    signer = issuer.key if issuer else key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    deterministic = True if isinstance(signer, ec.EllipticCurvePrivateKey) else None
    return Issued(builder.sign(signer, algorithm, ecdsa_deterministic=deterministic), key)


def _general(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


@functools.cache
def root(number: int = 0) -> Issued:
    """The CA `CN=Corp Root <number>`, valid at `NOW`."""
    return issue(f"Corp Root {number}", curve_key(number), ca=True, signs=True)


@functools.cache
def client(number: int = 0) -> Issued:
    """The client certificate `CN=node <number>`, issued by `root(0)`."""
    return issue(f"node {number}", curve_key(100 + number), issuer=root(), ca=False, usages=(CLIENT_AUTH,))


# ---- DER by hand: certificates that libraries refuse to write --------------------------------------------------------


def tlv(tag: int, *contents: bytes) -> bytes:
    """One DER element; its length is minimal."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*contents: bytes) -> bytes:
    return tlv(0x30, *contents)


def oid(dotted: str) -> bytes:
    """An object identifier of any numbers."""
    first, second, *rest = (int(part) for part in dotted.split("."))
    content = b""
    for arc in (first * 40 + second, *rest):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        content += bytes(reversed(septets))
    return tlv(0x06, content)


def extension(number: str, value: bytes, *, critical: bool = False) -> bytes:
    return sequence(oid(number), tlv(1, b"\xff") if critical else b"", tlv(4, value))


ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"))
RSA_SHA256 = sequence(oid("1.2.840.113549.1.1.11"), b"\x05\x00")
IS_CA = extension("2.5.29.19", sequence(tlv(1, b"\xff")), critical=True)


def distinguished(text: bytes, tag: int = 0x0C, attribute: str = "2.5.4.3") -> bytes:
    """A name of one attribute, `CN`, with a text of any ASN.1 string type."""
    return sequence(tlv(0x31, sequence(oid(attribute), tlv(tag, text))))


def handmade(
    *,
    serial: bytes = b"\x05",
    subject: bytes | None = None,
    issuer: bytes | None = None,
    key: bytes | None = None,
    algorithm: bytes = ECDSA_SHA256,
    outer_algorithm: bytes | None = None,
    not_before: bytes = b"250601120000Z",
    not_after: bytes = b"270601120000Z",
    extensions: tuple[bytes, ...] = (IS_CA,),
    after: bytes = b"",
    version: int = 2,
) -> bytes:
    """The DER of a certificate put together field by field, with a signature that nobody checks."""

    def moment(text: bytes) -> bytes:
        return tlv(0x17 if len(text) == 13 else 0x18, text)

    own = subject if subject is not None else distinguished(b"Hand Made")
    body = sequence(
        tlv(0xA0, tlv(2, bytes([version]))) if version else b"",
        tlv(2, serial),
        algorithm,
        issuer if issuer is not None else own,
        sequence(moment(not_before), moment(not_after)),
        own,
        key if key is not None else spki(curve_key(7)),
        tlv(0xA3, sequence(*extensions)) if extensions and version == 2 else b"",
    )
    signature = tlv(3, b"\x00", sequence(tlv(2, b"\x01"), tlv(2, b"\x01")))
    return sequence(body, outer_algorithm or algorithm, signature, after)


def rsa_spki(bits: int, *, parameters: bytes = b"\x05\x00", exponent: int = 65537) -> bytes:
    """The public key of an RSA modulus of any length that nobody can factor, and nobody made."""
    modulus = (1 << (bits - 1)) | 0x1234567 | 1
    numbers = sequence(tlv(2, b"\x00" * (bits % 8 == 0), modulus.to_bytes((bits + 7) // 8, "big")), integer(exponent))
    return sequence(sequence(oid("1.2.840.113549.1.1.1"), parameters), tlv(3, b"\x00", numbers))


def integer(number: int) -> bytes:
    """A positive INTEGER of minimal encoding."""
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def armour(der: bytes, label: str = "CERTIFICATE") -> bytes:
    """PEM of any bytes under any label, 64 columns."""
    text = base64.b64encode(der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()
