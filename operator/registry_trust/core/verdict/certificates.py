"""The certificates of a handshake and of a trust: read once, and shown in words."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from registry_trust.core.text import quote
from registry_trust.core.times import rfc3339
from registry_trust.core.x509.der import DERError
from registry_trust.core.x509.structure import Structure, read_structure

_BLOCK = re.compile(
    rb"^-----BEGIN CERTIFICATE-----[ \t\r]*\n([A-Za-z0-9+/=\s]*?)\n?-----END CERTIFICATE-----", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class ParsedCertificate:
    """A certificate that could be read."""

    der: bytes = field(repr=False)
    structure: Structure

    def in_words(self) -> str:
        """Return subject, issuer, names and dates."""
        found = self.structure
        names = (*found.extensions.dns_names, *found.extensions.ip_addresses)
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        listed = f", names {', '.join(quote(name, 80) for name in names[:3])}{more}" if names else ""
        return (
            f"subject {quote(found.subject)}, issuer {quote(found.issuer)}{listed}, valid from "
            f"{rfc3339(found.not_before)} to {rfc3339(found.not_after)}"
        )

    def is_valid_at(self, now: datetime) -> bool:
        """Say whether its dates include this moment."""
        return self.structure.not_before <= now <= self.structure.not_after


def read(ders: Iterable[bytes]) -> tuple[ParsedCertificate | None, ...]:
    """Return certificates in their order; None for one that some Go might not read."""
    return tuple(map(_read, ders))


def _read(der: bytes) -> ParsedCertificate | None:
    try:
        return ParsedCertificate(der, read_structure(der))
    except DERError:
        return None


def split_pem(data: bytes) -> tuple[bytes, ...]:
    """Return the DER of each certificate in a PEM file, as far as it is plain PEM."""
    found: list[bytes] = []
    for block in _BLOCK.findall(data):
        try:
            found.append(binascii.a2b_base64(b"".join(block.split())))
        except binascii.Error:
            found.append(b"")
    return tuple(found)
