"""The one PKI of tests and programs: keys derived from numbers, and certificates of any shape.

Keys on curves are the same in every run; RSA keys are made once per process and size. Dates are fixed around `NOW`.
"""

from __future__ import annotations

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
    subject: str | x509.Name,
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
    serial: int = 0x1234,
) -> Issued:
    """Issue a certificate, by its own key where there is no issuer; `ca=None` leaves basicConstraints out."""
    own = name(subject) if isinstance(subject, str) else subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(issuer.certificate.subject if issuer else own)
        .public_key(key.public_key())
        .serial_number(serial)
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


def request(subject: str, key: Any) -> bytes:
    """The DER of a certificate request."""
    return (
        x509.CertificateSigningRequestBuilder().subject_name(name(subject)).sign(key, hashes.SHA256()).public_bytes(DER)
    )


def revocations(issuer: Issued) -> bytes:
    """The DER of an empty revocation list."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    return builder.last_update(NOW - YEAR).next_update(NOW + YEAR).sign(issuer.key, hashes.SHA256()).public_bytes(DER)
