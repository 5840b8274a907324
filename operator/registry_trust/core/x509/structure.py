"""The structure of a certificate, read field by field as Go's crypto/x509 reads it and refused where that refuses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from registry_trust.core.x509.der import OID, SEQUENCE, DERError, DERReader
from registry_trust.core.x509.extensions import Extensions, read_extensions
from registry_trust.core.x509.names import read_name

RSA, ECDSA, ED25519 = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1", "1.3.101.112"

CURVES = {
    "1.3.132.0.33": "P-224",
    "1.2.840.10045.3.1.7": "P-256",
    "1.3.132.0.34": "P-384",
    "1.3.132.0.35": "P-521",
}
"""The curves that Go's crypto/x509 knows."""

OTHER_KEYS = {
    "1.2.840.10040.4.1": "DSA",
    "1.2.840.113549.1.1.10": "RSASSA-PSS",
    "1.3.101.110": "X25519",
    "1.3.101.111": "X448",
    "1.3.101.113": "Ed448",
    "1.3.132.0.10": "secp256k1",
    "1.2.840.10045.3.1.1": "P-192",
    "1.3.36.3.3.2.8.1.1.7": "brainpoolP256r1",
    "1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
    "1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1",
}
"""Key algorithms and curves that Go can't verify a certificate with, by the names that people know."""


@dataclass(frozen=True, slots=True)
class KeyKind:
    """The public key of a certificate: `RSA` with its modulus and exponent, a curve's name, `Ed25519`, or another name.

    `supported` says whether Go's crypto/x509 can use it; `bits` is an RSA modulus' length.
    """

    name: str
    supported: bool
    bits: int = 0
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Structure:
    """The fields of one certificate; `issuer` and `subject` are RFC 4514 text, the `_der` ones their encodings."""

    version: int
    serial: int
    issuer: str
    issuer_der: bytes
    subject: str
    subject_der: bytes
    not_before: datetime
    not_after: datetime
    public_key_der: bytes
    key: KeyKind
    extensions: Extensions

    @property
    def is_self_issued(self) -> bool:
        """Whether issuer and subject are the same, byte for byte."""
        return self.issuer_der == self.subject_der

    @property
    def can_sign(self) -> bool:
        """Whether Go lets this certificate vouch for another (RFC 5280 4.2.1.9, 4.2.1.3; x509.CheckSignatureFrom)."""
        found = self.extensions
        marked = found.is_ca if found.has_basic_constraints else self.version < 3
        return marked and found.may_sign_certificates


def read_structure(der: bytes) -> Structure:
    """Read the DER of exactly one certificate.

    Raises:
        DERError: anything that the parser of a supported Go version would refuse, and a little more.
    """
    outer = DERReader(der)
    certificate = outer.inside("the certificate")
    outer.end("the certificate")
    body = certificate.inside("the certificate's body")
    version_field = body.optional("the version", 0xA0)
    version = 1 + (version_field.integer("the version") if version_field is not None else 0)
    if version not in (1, 2, 3):
        raise DERError("the version is none of 1, 2 and 3")
    serial = body.integer("the serial number")
    if serial < 0:
        raise DERError("the serial number is negative")
    inner_algorithm = body.read("the signature algorithm", SEQUENCE)
    if inner_algorithm != certificate.read("the signature algorithm", SEQUENCE):
        raise DERError("the signature algorithm inside the certificate differs from the one outside")
    _algorithm(DERReader(inner_algorithm), "the signature algorithm")
    issuer_der = body.element("the issuer", SEQUENCE)[2]
    validity = body.inside("the validity")
    not_before, not_after = validity.time("notBefore"), validity.time("notAfter")
    if not_after < not_before:
        raise DERError("notAfter is earlier than notBefore")
    subject_der = body.element("the subject", SEQUENCE)[2]
    public_key_der = body.element("the public key", SEQUENCE)[2]
    extensions = Extensions()
    if version > 1:
        for tag in (0x81, 0x82):
            if body.next_is(tag):
                body.read("a unique identifier", tag)
    if version == 3 and (wrapped := body.optional("the extensions", 0xA3)) is not None:
        extensions = read_extensions(wrapped.inside("the extensions"))
        wrapped.end("the extensions")
    body.end("the certificate's body")
    certificate.bits("the signature")
    certificate.end("the signature")
    return Structure(
        version=version,
        serial=serial,
        issuer=read_name(issuer_der, "the issuer"),
        issuer_der=issuer_der,
        subject=read_name(subject_der, "the subject"),
        subject_der=subject_der,
        not_before=not_before,
        not_after=not_after,
        public_key_der=public_key_der,
        key=_key_kind(DERReader(public_key_der).inside("the public key")),
        extensions=extensions,
    )


def subject_of(der: bytes) -> str:
    """Return the subject of a certificate that can't be read as a whole; empty where that can't be read either."""
    try:
        body = DERReader(der).inside("the certificate").inside("the certificate's body")
        body.optional("the version", 0xA0)
        for what in ("the serial number", "the signature algorithm", "the issuer", "the validity"):
            body.element(what)
        return read_name(body.element("the subject", SEQUENCE)[2], "the subject")
    except DERError:
        return ""


def _algorithm(reader: DERReader, what: str) -> tuple[str, DERReader, bytes]:
    number = reader.oid(what)
    parameters = reader.element(f"{what}'s parameters")[2] if reader else b""
    return number, DERReader(parameters), parameters


def _key_kind(reader: DERReader) -> KeyKind:
    number, reading, parameters = _algorithm(reader.inside("the key algorithm"), "the key algorithm")
    data, unused = reader.bits("the public key")
    if unused:
        raise DERError("the public key is not made of whole bytes")
    if number == RSA:
        return _rsa(data, parameters)
    if number == ECDSA:
        return _elliptic(data, reading)
    if number == ED25519:
        if parameters or len(data) != 32:
            raise DERError("the Ed25519 key has parameters or another length than 32 bytes")
        return KeyKind("Ed25519", supported=True)
    return KeyKind(OTHER_KEYS.get(number, f"algorithm {number}"), supported=False)


def _rsa(data: bytes, parameters: bytes) -> KeyKind:
    if parameters != b"\x05\x00":
        raise DERError("the RSA key lacks the NULL parameters that Go asks for")
    numbers = DERReader(data).inside("the RSA key")
    modulus, exponent = numbers.integer("the RSA modulus"), numbers.integer("the RSA exponent")
    if modulus <= 0 or exponent <= 0:
        raise DERError("the RSA key has a number that is not positive")
    sound = bool(modulus & exponent & 1) and 1 < exponent < 1 << 31
    return KeyKind("RSA", supported=True, bits=modulus.bit_length(), sound=sound)


def _elliptic(data: bytes, parameters: DERReader) -> KeyKind:
    if not parameters.next_is(OID):
        raise DERError("the elliptic curve is not named but described, which Go can't read")
    curve = parameters.oid("the elliptic curve")
    if curve not in CURVES:
        return KeyKind(f"the curve {OTHER_KEYS.get(curve, curve)}", supported=False)
    if data[:1] != b"\x04":
        raise DERError("the public key is a compressed point, which Go can't read")
    return KeyKind(CURVES[curve], supported=True)
