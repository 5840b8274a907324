"""Kinds: what a DER value is by its first fields, whether or not the rest of it can be read."""

from __future__ import annotations

from enum import StrEnum

from registry_trust.core.x509.der import (
    BIT_STRING,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    UTC_TIME,
    DERError,
    DERReader,
)

_CONTENT_INFO = "1.2.840.113549.1.7."


class DocumentKind(StrEnum):
    """A kind of document, as messages call it."""

    CERTIFICATE = "a certificate"
    PKCS7 = "PKCS#7"
    PKCS12 = "PKCS#12"
    KEY = "a private key"
    LOCKED_KEY = "an encrypted private key"
    REQUEST = "a certificate request"
    REVOCATION_LIST = "a revocation list"
    PUBLIC_KEY = "a public key"


def kind_of(der: bytes) -> DocumentKind | None:
    """Return the kind of a DER value, even if its end is missing; None for what is none of them.

    Sources: RFC 5280 4.1 and 5.1, RFC 2986 4, RFC 2315 7, RFC 7292 4, RFC 5958 2 and 3, RFC 8017 A.1, RFC 5915 3.
    """
    if len(der) < 2 or der[0] != SEQUENCE:
        return None
    header = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    fields = DERReader(der[header:])
    try:
        if fields.next_is(OID):
            return DocumentKind.PKCS7 if fields.oid("the content type").startswith(_CONTENT_INFO) else None
        if fields.next_is(INTEGER):
            return _numbered(fields.integer("the version"), fields)
        return _structured(fields.inside("the first field"), fields)
    except DERError:
        return None


def _numbered(version: int, fields: DERReader) -> DocumentKind | None:
    """Tell what starts with a number: PFX has the version 3, a private key 0 or 1, a public RSA key its modulus."""
    if version == 3 and fields.next_is(SEQUENCE):
        return DocumentKind.PKCS12
    if version in (0, 1) and (fields.next_is(SEQUENCE) or fields.next_is(INTEGER) or fields.next_is(OCTET_STRING)):
        return DocumentKind.KEY
    return DocumentKind.PUBLIC_KEY if version > 1 and fields.next_is(INTEGER) else None


def _structured(first: DERReader, fields: DERReader) -> DocumentKind | None:
    """Tell what starts with a structure apart by the field after it."""
    if fields.next_is(OCTET_STRING):
        return DocumentKind.LOCKED_KEY
    if fields.next_is(BIT_STRING):
        return DocumentKind.PUBLIC_KEY
    return _signed(first) if fields.next_is(SEQUENCE) else None


def _signed(body: DERReader) -> DocumentKind:
    """Tell what is signed apart by the order of its fields: a certificate unless it is clearly something else."""
    if body.next_is(INTEGER):
        body.integer("the version or serial number")
    if not body.next_is(SEQUENCE):
        return DocumentKind.CERTIFICATE
    second = body.inside("the second field")
    if second.next_is(SET):  # a name, where a certificate has an algorithm
        return DocumentKind.REQUEST
    body.element("the third field")
    if body.next_is(UTC_TIME) or body.next_is(GENERALIZED_TIME):
        return DocumentKind.REVOCATION_LIST
    return DocumentKind.CERTIFICATE
