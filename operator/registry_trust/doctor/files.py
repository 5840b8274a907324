"""Files as loaders take them: which certificates they hold, and with which words a loader would refuse them.

What to do about a file that is bad as a whole depends on whose directory it is in: such a symptom has no `fix` here.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry_trust.certificates.origin import Door, Origin
from registry_trust.certificates.pem import CERTIFICATE, Block, split
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason
from registry_trust.core.text import escape, listing
from registry_trust.core.times import rfc3339
from registry_trust.core.x509.der import DERError
from registry_trust.core.x509.structure import read_structure, subject_of
from registry_trust.doctor.evidence import CertificateSeen, Effect, PullError, Symptom

_BEGIN, _BEGIN_CERTIFICATE = b"-----BEGIN ", b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a file: certificates in their order, and what a loader says of it."""

    certificates: tuple[CertificateSeen, ...] = ()
    symptoms: tuple[Symptom, ...] = ()


def authorities(path: str, data: bytes, now: float, *, lenient: bool) -> Contents:
    """Read a `.crt` as a list of CA certificates.

    Args:
        path: the file's on the host.
        data: its bytes.
        now: Unix time by the node's clock.
        lenient: the loader skips a file without any certificate without a word (dockerd's classic store, CRI-O).
    """
    if _BEGIN_CERTIFICATE not in data:
        what = "is empty" if not data.strip() else "holds no PEM certificate"
        error = PullError.UNKNOWN_AUTHORITY if lenient else PullError.CA_WITHOUT_CERTIFICATE
        reason = Reason.INVALID_PEM if data.strip() else Reason.EMPTY_DATA
        found = f"{_shown(path)} {what}" + (", and is skipped without a word" if lenient else "; each pull fails on it")
        return Contents((), (Symptom(Effect.FAILS, found, "", reason, error),))
    blocks, doubts = _blocks(path, data, Door.CA)
    seen = tuple(_certificate(block) for block in blocks if block.label == CERTIFICATE)
    return Contents(seen, (*doubts, *_dates(path, seen, now)))


def client_certificate(path: str, data: bytes, now: float) -> Contents:
    """Read a `.cert`, the client's chain."""
    if _BEGIN not in data:
        return Contents((), (_no_pem(path),))
    blocks, doubts = _blocks(path, data, Door.CLIENT_CERTIFICATE)
    seen = tuple(_certificate(block) for block in blocks if block.label == CERTIFICATE)
    if blocks and not seen:
        found = f"{_shown(path)} holds a private key and no certificate"
        return Contents((), (Symptom(Effect.FAILS, found, "", Reason.SWAPPED, PullError.NO_PEM),))
    own = seen[:1]
    return Contents(seen, (*doubts, *_dates(path, own, now, client=True)))


def client_key(path: str, data: bytes) -> Contents:
    """Read a `.key`: whether it is one that a loader can take. Nothing of it is returned."""
    if _BEGIN not in data:
        return Contents((), (_no_pem(path),))
    blocks, doubts = _blocks(path, data, Door.CLIENT_KEY)
    keys = [block for block in blocks if block.is_private_key]
    if blocks and not keys:
        found = f"{_shown(path)} holds a certificate and no private key"
        return Contents((), (Symptom(Effect.FAILS, found, "", Reason.SWAPPED, PullError.NOT_A_KEY),))
    if any(block.encrypted or block.label.startswith("ENCRYPTED") for block in keys):
        found = f"{_shown(path)} is encrypted, and no runtime can ask for a passphrase"
        fix = f"Put the key there without a passphrase: openssl pkey -in {_shown(path)} -out new.key"
        return Contents((), (Symptom(Effect.FAILS, found, fix, Reason.KEY_ENCRYPTED, PullError.UNUSABLE_KEY),))
    return Contents((), doubts)


def _blocks(path: str, data: bytes, door: Door) -> tuple[tuple[Block, ...], tuple[Symptom, ...]]:
    """Split a file; what strict reading refuses may be skipped by a runtime, or may keep it from the rest."""
    try:
        return split(data, Origin("", path, door)), ()
    except UnusableMaterial as error:
        return (), (
            Symptom(
                Effect.UNKNOWN,
                f"{error.problem.message}; it is not known how much of the file runtimes take",
                f"Write {_shown(path)} again, as PEM blocks alone",
                error.problem.reason,
            ),
        )


def _certificate(block: Block) -> CertificateSeen:
    try:
        found = read_structure(block.content)
    except DERError as error:
        subject = subject_of(block.content) or "a certificate"
        return CertificateSeen(f"{subject} (not readable: {escape(str(error), 120)})", "", 0.0, 0.0)
    names = (*found.extensions.dns_names, *found.extensions.ip_addresses)
    return CertificateSeen(
        found.subject,
        found.issuer,
        found.not_before.timestamp(),
        found.not_after.timestamp(),
        tuple(escape(name) for name in names),
    )


def _dates(path: str, seen: tuple[CertificateSeen, ...], now: float, *, client: bool = False) -> list[Symptom]:
    """Say what the node's clock makes of the dates; certificates that can't be read have none."""
    dated = [each for each in seen if each.not_after]
    expired = [each for each in dated if each.not_after < now]
    early = [each for each in dated if each.not_before > now]
    whole = bool(dated) and len(expired) + len(early) == len(dated)
    effect = Effect.FAILS if whole else Effect.NOTE
    # A registry refuses a client certificate by its own clock.
    error = (PullError.CERTIFICATE_REQUIRED if client else PullError.DATES) if whole else None
    said = []
    if expired:
        names = listing([f"{each.subject} (on {rfc3339(each.not_after)})" for each in expired])
        fix = "Replace it in its source" if whole else ""
        said.append(Symptom(effect, f"{_shown(path)}: expired: {names}", fix, Reason.EXPIRED, error))
    if early:
        names = listing([f"{each.subject} (from {rfc3339(each.not_before)})" for each in early])
        found = f"{_shown(path)}: not yet valid: {names}; the node's clock says {rfc3339(now)}"
        fix = "Check the node's clock (timedatectl)" if whole else ""
        said.append(Symptom(effect, found, fix, Reason.NOT_YET_VALID, error))
    return said


def _no_pem(path: str) -> Symptom:
    found = f"{_shown(path)} is empty or is not PEM"
    return Symptom(Effect.FAILS, found, "", Reason.INVALID_PEM, PullError.NO_PEM)


def _shown(path: str) -> str:
    return escape(path)
