"""One certificate: read twice, by our own strict reader and by cryptography's, and accepted if both can."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509

from registry_trust.certificates.limits import CERTIFICATE_BYTES
from registry_trust.certificates.origin import Origin, UnusableCertificate
from registry_trust.certificates.pem import CERTIFICATE, Block, encode
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import quote
from registry_trust.core.times import rfc3339
from registry_trust.core.x509.der import DERError
from registry_trust.core.x509.structure import Structure, read_structure, subject_of

RSA_MINIMUM_BITS, RSA_STRONG_BITS, RSA_MAXIMUM_BITS, RSA_LARGEST_BITS = 1024, 2048, 8192, 16384
"""Go refuses RSA below 1,024 bits (`rsa1024min`, 1.24) and above 8,192 in a handshake (`tlsmaxrsasize`, 1.20.7).

A root that is not sent may be larger; beyond 16,384 bits it would only cost the runtimes time.
"""

SUBJECT = 96
"""Characters of a subject in a message about a certificate that can't be used; three of them fit into one warning."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that every runtime can parse, with the block that it came from."""

    structure: Structure
    der: bytes = field(repr=False)
    sha256: str
    where: str

    @property
    def pem(self) -> bytes:
        """The certificate as canonical PEM."""
        return encode(CERTIFICATE, self.der)


def read_certificate(block: Block, origin: Origin) -> Certificate:
    """Read a CERTIFICATE block and check what holds for every use: structure, key algorithm and size.

    Raises:
        UnusableMaterial: TooLarge.
        UnusableCertificate: CertificateParse or UnsupportedAlgorithm.
    """
    if len(block.content) > CERTIFICATE_BYTES:
        size = f"{len(block.content):,} bytes in DER, at most {CERTIFICATE_BYTES:,} are read"
        gist = f"{size}; have it issued with fewer names"
        raise origin.refuse(Reason.TOO_LARGE, gist, block.where)
    structure = _structure(block, origin)
    _check_key(structure, block.where, origin)
    if not _has_second_opinion(block.content, structure):
        raise _unreadable("Python's cryptography library can't parse it", block, origin)
    sha256 = hashlib.sha256(block.content).hexdigest()
    return Certificate(structure, block.content, sha256, block.where)


def _structure(block: Block, origin: Origin) -> Structure:
    try:
        return read_structure(block.content)
    except DERError as error:
        problem = str(error)
    raise _unreadable(problem, block, origin)


def _unreadable(problem: str, block: Block, origin: Origin) -> UnusableCertificate:
    subject = subject_of(block.content)
    named = f"{quote(subject, SUBJECT)} " if subject else ""
    gist = f"{named}can't be read as a certificate: {problem}"
    return origin.unusable(Reason.CERTIFICATE_PARSE, gist, "copy it again, or have it reissued", block.where)


def _has_second_opinion(der: bytes, structure: Structure) -> bool:
    """Let cryptography parse it too; extensions and the public key are parsed only when they are asked for."""
    try:
        if structure.serial > 0:
            _parse(der)
        else:
            # The library warns of the serial number 0; the filters are the whole process', so only then.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _parse(der)
    except Exception:  # noqa: BLE001 - cryptography's errors are of many kinds, and their text is not for admins
        return False
    return True


def _parse(der: bytes) -> None:
    parsed = x509.load_der_x509_certificate(der)
    _ = parsed.extensions
    parsed.public_key()


def _check_key(structure: Structure, where: str, origin: Origin) -> None:
    key = structure.key
    if not key.supported:
        gist = f"has a key of {key.name}, which Go, and so every runtime, does not support"
    elif not key.sound:
        gist = "has an RSA key with an even modulus or an exponent out of range, which newer versions of Go reject"
    elif key.name == "RSA" and key.bits < RSA_MINIMUM_BITS:
        gist = f"has an RSA key of {key.bits} bits, which newer versions of Go reject"
    elif key.name == "RSA" and key.bits > RSA_LARGEST_BITS:
        gist = f"has an RSA key of {key.bits} bits, and at most {RSA_LARGEST_BITS} are read"
    else:
        return
    advice = "have it reissued with RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519"
    raise origin.unusable(Reason.UNSUPPORTED_ALGORITHM, f"{quote(structure.subject, SUBJECT)} {gist}", advice, where)


def common_warnings(certificate: Certificate, now: datetime, origin: Origin) -> list[Problem]:
    """Return what deserves a word whatever the certificate is for: weak key, serial number, dates."""
    found = certificate.structure
    subject = quote(found.subject)
    warned: list[Problem] = []
    if found.key.name == "RSA" and found.key.bits < RSA_STRONG_BITS:
        gist = f"{subject} has an RSA key of {found.key.bits} bits; have it reissued with 2048 bits or more"
        warned.append(origin.warn(Reason.WEAK_KEY, gist, certificate.where))
    if found.serial == 0 and not found.is_self_issued:  # many public roots have it, and nobody minds
        gist = f"{subject} has the serial number 0, which some programs refuse; have it reissued"
        warned.append(origin.warn(Reason.CERTIFICATE_PARSE, gist, certificate.where))
    if found.not_after < now:
        gist = f"{subject} expired on {rfc3339(found.not_after)}; replace it"
        warned.append(origin.warn(Reason.EXPIRED, gist, certificate.where))
    if found.not_before > now:
        gist = f"{subject} is not valid before {rfc3339(found.not_before)}; check the date, and the clocks of the nodes"
        warned.append(origin.warn(Reason.NOT_YET_VALID, gist, certificate.where))
    return warned
