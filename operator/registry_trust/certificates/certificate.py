"""One certificate: read twice, by our own strict reader and by cryptography's, and accepted if both can."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from registry_trust.certificates.der import DERError
from registry_trust.certificates.limits import CERTIFICATE_BYTES
from registry_trust.certificates.origin import Origin
from registry_trust.certificates.pem import CERTIFICATE, Block, encode
from registry_trust.certificates.structure import Structure, read_structure
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.findings import Finding
from registry_trust.core.reasons import Reason
from registry_trust.core.text import quote
from registry_trust.core.times import rfc3339

RSA_MINIMUM_BITS, RSA_STRONG_BITS, RSA_MAXIMUM_BITS, RSA_LARGEST_BITS = 1024, 2048, 8192, 16384
"""Go refuses RSA below 1,024 bits (`rsa1024min`, 1.24) and above 8,192 in a handshake (`tlsmaxrsasize`, 1.20.7).

A root that is not sent may be larger; beyond 16,384 bits it would only cost the runtimes time.
"""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that every runtime can parse, with the block that it came from."""

    structure: Structure
    parsed: x509.Certificate = field(repr=False)
    der: bytes = field(repr=False)
    sha256: str
    where: str

    @property
    def pem(self) -> bytes:
        """The certificate as canonical PEM."""
        return encode(CERTIFICATE, self.der)

    @property
    def is_self_signed(self) -> bool:
        """Whether it is signed by its own key (or says so, where its signature is too old to be checked)."""
        if not self.structure.is_self_issued:
            return False
        try:
            self.parsed.verify_directly_issued_by(self.parsed)
        except InvalidSignature:
            return False
        except Exception:  # noqa: BLE001 - MD5, SHA-1 and the like: each version of the library refuses differently
            return True
        return True


def read_certificate(block: Block, origin: Origin) -> Certificate:
    """Read a CERTIFICATE block and check what holds for every use: structure, key algorithm and size.

    Raises:
        UnusableMaterial: TooLarge, CertificateParse or UnsupportedAlgorithm.
    """
    if len(block.content) > CERTIFICATE_BYTES:
        size = f"{len(block.content):,} bytes in DER, at most {CERTIFICATE_BYTES:,} are read"
        gist = f"{size}; have it issued with fewer names"
        raise origin.refuse(Reason.TOO_LARGE, gist, block.where)
    structure = _structure(block, origin)
    _check_key(structure, block.where, origin)
    parsed = _second_opinion(block.content, structure)
    if parsed is None:
        raise _unreadable("the certificate can't be parsed", block, origin)
    sha256 = hashlib.sha256(block.content).hexdigest()
    return Certificate(structure, parsed, block.content, sha256, block.where)


def _structure(block: Block, origin: Origin) -> Structure:
    try:
        return read_structure(block.content)
    except DERError as error:
        problem = str(error)
    raise _unreadable(problem, block, origin)


def _unreadable(problem: str, block: Block, origin: Origin) -> UnusableMaterial:
    return origin.refuse(
        Reason.CERTIFICATE_PARSE,
        f"is no certificate that runtimes can read: {problem}; "
        "copy it again, or have it issued anew (openssl x509 -in ca.crt -noout -text shows it)",
        block.where,
    )


def _second_opinion(der: bytes, structure: Structure) -> x509.Certificate | None:
    """Let cryptography parse it too; extensions and the public key are parsed only when they are asked for."""
    try:
        if structure.serial > 0:
            return _parse(der)
        # The library warns of the serial number 0; the filters are the whole process', so only then.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _parse(der)
    except Exception:  # noqa: BLE001 - cryptography's errors are of many kinds, and their text is not for admins
        return None


def _parse(der: bytes) -> x509.Certificate:
    parsed = x509.load_der_x509_certificate(der)
    _ = parsed.extensions
    parsed.public_key()
    return parsed


def _check_key(structure: Structure, where: str, origin: Origin) -> None:
    key = structure.key
    if not key.supported:
        gist = f"has a key of {key.name}"
    elif not key.sound:
        gist = "has an RSA key with an even modulus or an exponent out of range"
    elif key.name == "RSA" and not RSA_MINIMUM_BITS <= key.bits <= RSA_LARGEST_BITS:
        gist = f"has an RSA key of {key.bits} bits"
    else:
        return
    raise origin.refuse(
        Reason.UNSUPPORTED_ALGORITHM,
        f"{quote(structure.subject)} {gist}, which runtimes refuse; "
        "have it issued anew with RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519",
        where,
    )


def common_warnings(certificate: Certificate, now: datetime, origin: Origin) -> list[Finding]:
    """Return what deserves a word whatever the certificate is for: weak key, serial number, dates."""
    found = certificate.structure
    subject = quote(found.subject)
    warned: list[Finding] = []
    if found.key.name == "RSA" and found.key.bits < RSA_STRONG_BITS:
        gist = f"{subject} has an RSA key of {found.key.bits} bits; have it issued anew with 2048 bits or more"
        warned.append(origin.warn(Reason.WEAK_KEY, gist, certificate.where))
    if found.serial == 0 and not found.is_self_issued:  # many public roots have it, and nobody minds
        gist = f"{subject} has the serial number 0, which some programs refuse; have it issued anew"
        warned.append(origin.warn(Reason.CERTIFICATE_PARSE, gist, certificate.where))
    if found.not_after < now:
        gist = f"{subject} expired on {rfc3339(found.not_after)}; replace it"
        warned.append(origin.warn(Reason.EXPIRED, gist, certificate.where))
    if found.not_before > now:
        gist = f"{subject} is not valid before {rfc3339(found.not_before)}; check the date, and the clocks of the nodes"
        warned.append(origin.warn(Reason.NOT_YET_VALID, gist, certificate.where))
    return warned
