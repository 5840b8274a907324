"""Facts: what status shows of a certificate, and the reading of one that is known to be canonical already."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from registry_trust.certificates.certificate import Certificate, read_certificate
from registry_trust.certificates.origin import Origin
from registry_trust.certificates.pem import CERTIFICATE, split


class CertificateKind(StrEnum):
    """What a certificate is there for."""

    CA = "CA"
    CLIENT = "Client"


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """One certificate: names as RFC 4514 text in printable ASCII, numbers in lower-case hex, times in UTC."""

    kind: CertificateKind
    subject: str
    issuer: str
    serial_number: str
    sha256: str
    not_before: datetime
    not_after: datetime
    spki_sha256: str


def facts_of(certificate: Certificate, kind: CertificateKind) -> CertificateFacts:
    """Return the facts of a certificate that was read."""
    found = certificate.structure
    return CertificateFacts(
        kind=kind,
        subject=found.subject,
        issuer=found.issuer,
        serial_number=f"{found.serial:x}",
        sha256=certificate.sha256,
        not_before=found.not_before,
        not_after=found.not_after,
        spki_sha256=hashlib.sha256(found.public_key_der).hexdigest(),
    )


def read_facts(pem: bytes, kind: CertificateKind, place: str = "the bundle") -> tuple[CertificateFacts, ...]:
    """Return the facts of every certificate in PEM that was accepted before, whatever the date is now.

    Raises:
        UnusableMaterial: it is no PEM of certificates.
    """
    origin = Origin("", place)
    blocks = split(pem, origin)
    return tuple(facts_of(read_certificate(block, origin), kind) for block in blocks if block.label == CERTIFICATE)
