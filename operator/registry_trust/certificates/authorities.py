"""CA certificates: one source's value is read; a certificate that can't be used is left out if others can."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from registry_trust.certificates.certificate import (
    RSA_MAXIMUM_BITS,
    SUBJECT,
    Certificate,
    common_warnings,
    read_certificate,
)
from registry_trust.certificates.facts import CertificateFacts, CertificateKind, facts_of
from registry_trust.certificates.labels import read_blocks, unexpected_label
from registry_trust.certificates.limits import SOURCE_BYTES, check_count, check_size, is_empty
from registry_trust.certificates.origin import Origin, UnusableCertificate
from registry_trust.certificates.outside import KEY_AMONG_CAS
from registry_trust.certificates.pem import CERTIFICATE, Block
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import listing, quote
from registry_trust.core.times import rfc3339
from registry_trust.core.x509.extensions import serves
from registry_trust.core.x509.hosts import alternative_name, forbidden_by, is_common_name, is_named
from registry_trust.core.x509.names import common_name
from registry_trust.core.x509.structure import Structure

LEGACY_COMMON_NAME = "x509: certificate relies on legacy Common Name field, use SANs instead"
"""What Go says (1.22 to 1.26) of a server certificate that names its host in its Common Name alone."""

_NAMED = 3
"""Certificates of a source that its warning names of those that it leaves out."""


@dataclass(frozen=True, slots=True)
class CheckedRoots:
    """The CA certificates of one source: canonical PEM of one each, without duplicates, ordered by SHA-256 of the DER.

    `facts` is in the order of `pems`; `warnings` in the order of the source; `left_out` counts the certificates of the
    source that can't be used.
    """

    pems: tuple[bytes, ...]
    facts: tuple[CertificateFacts, ...]
    warnings: tuple[Problem, ...]
    left_out: int = 0


def read_ca_certificates(
    data: bytes, *, field: str, place: str, now: datetime, registries: tuple[str, ...] = ()
) -> CheckedRoots:
    """Read one source of CA certificates.

    Args:
        data: PEM text, at most 330,000 bytes and 300 blocks; only CERTIFICATE blocks, with any text between them.
        field: the path of the field that names it.
        place: where it was read from, e.g. `Secret registry-trust/harbor-ca key ca.crt`, or `inline`.
        now: the time, aware.
        registries: the checked registries that it is for; warnings name those that it can't vouch for.

    Raises:
        UnusableMaterial: EmptyData, TooLarge, InvalidPEM, PrivateKeyInCA; Expired if all that can be used have expired.
        UnusableCertificate: CertificateParse, UnsupportedAlgorithm, UnsupportedExtension or NotCA if none can be used.
    """
    origin = Origin(field, place)
    check_size(data, SOURCE_BYTES, origin)
    check_count(data, origin)
    if is_empty(data):
        raise origin.refuse(Reason.EMPTY_DATA, "is empty; put the registry's CA certificate there, as PEM")
    blocks = read_blocks(data, origin)
    _check_labels(blocks, origin)
    unusable: list[UnusableCertificate] = []
    certificates = _usable(blocks, registries, unusable, origin)
    if not certificates:
        raise unusable[0]
    _check_not_all_expired(certificates, now, origin)
    subjects = {certificate.structure.subject_der for certificate in certificates}
    warnings = _left_out(unusable, origin)
    for certificate in certificates:
        warnings.extend(_role_warnings(certificate, subjects, registries, origin))
        warnings.extend(common_warnings(certificate, now, origin))
    ordered = sorted(certificates, key=lambda certificate: certificate.sha256)
    return CheckedRoots(
        pems=tuple(certificate.pem for certificate in ordered),
        facts=tuple(facts_of(certificate, CertificateKind.CA) for certificate in ordered),
        warnings=tuple(warnings),
        left_out=len(unusable),
    )


def _check_labels(blocks: tuple[Block, ...], origin: Origin) -> None:
    for block in blocks:
        if block.is_private_key:
            raise origin.refuse(
                Reason.PRIVATE_KEY_IN_CA,
                f"is a private key among the CA certificates; {KEY_AMONG_CAS}",
                block.where,
            )
    for block in blocks:
        if block.label != CERTIFICATE:
            raise unexpected_label(block, origin)


def _is_authority(found: Structure) -> bool:
    return found.can_sign and (found.version >= 3 or found.is_self_issued)


def _usable(
    blocks: tuple[Block, ...], registries: tuple[str, ...], unusable: list[UnusableCertificate], origin: Origin
) -> tuple[Certificate, ...]:
    """Return every certificate once; what can't be used goes to `unusable`."""
    unique: dict[str, Certificate] = {}
    for block in blocks:
        try:
            certificate = read_certificate(block, origin)
            _check_usable(certificate, registries, origin)
        except UnusableCertificate as error:
            unusable.append(error)
        else:
            unique.setdefault(certificate.sha256, certificate)
    return tuple(unique.values())


def _left_out(unusable: list[UnusableCertificate], origin: Origin) -> list[Problem]:
    """Return one warning for all certificates of a source that can't be used, with the first of them in full."""
    if not unusable:
        return []
    which = listing([f"{error.where}: {error.gist}" for error in unusable], _NAMED)
    left = "It is left out, and the others are used; remove it from the source"
    if len(unusable) > 1:
        left = f"These {len(unusable)} are left out, and the others are used; remove them from the source"
    return [origin.warn(unusable[0].problem.reason, f"{which}. {left}")]


def _check_usable(certificate: Certificate, registries: tuple[str, ...], origin: Origin) -> None:
    """Refuse what could vouch for nothing, not even for itself."""
    found = certificate.structure
    subject = quote(found.subject, SUBJECT)
    if found.extensions.unhandled:
        raise origin.unusable(
            Reason.UNSUPPORTED_EXTENSION,
            f"{subject} has a critical extension that runtimes don't know or don't all support "
            f"({listing(found.extensions.unhandled)}), so they reject every chain through it",
            "have it reissued without that extension",
            certificate.where,
        )
    if _is_authority(found):
        return
    by = "itself" if found.is_self_issued else quote(found.issuer, SUBJECT)
    lacks = "keyCertSign in its keyUsage" if found.extensions.is_ca else "CA:TRUE"
    gist = f"{subject} is not a CA certificate (issued by {by}, it lacks {lacks})"
    if found.extensions.has_alternative_names and serves(found.extensions):
        return
    misses = "is for uses other than serverAuth" if found.extensions.has_alternative_names else "has no subjectAltName"
    advice = (
        f"create it again: {self_signed(registries)}"
        if found.is_self_issued
        else "put that CA's certificate here. To check what it is: openssl x509 -in ca.crt -noout -subject -issuer "
        "-ext basicConstraints,keyUsage"
    )
    gist = f"{gist}, and runtimes reject it as the registry's own certificate, because it {misses}"
    raise origin.unusable(Reason.NOT_CA, gist, advice, certificate.where)


def _role_warnings(
    certificate: Certificate, subjects: set[bytes], registries: tuple[str, ...], origin: Origin
) -> list[Problem]:
    """Return the warnings for what works within limits only."""
    found = certificate.structure
    subject = quote(found.subject)
    if not _is_authority(found):
        return [_own_certificate(certificate, subjects, registries, origin)]
    warnings: list[Problem] = []
    if not found.is_self_issued and found.issuer_der not in subjects:
        warnings.append(
            origin.warn(
                Reason.INTERMEDIATE_AS_ROOT,
                f"{subject} is an intermediate CA, issued by {quote(found.issuer)}, and is trusted as a root: it "
                "works until the registry's certificate comes from another intermediate; use the root if you can",
                certificate.where,
            )
        )
    if found.key.name == "RSA" and found.key.bits > RSA_MAXIMUM_BITS:
        gist = f"{subject} has an RSA key of {found.key.bits} bits; runtimes reject it if the registry sends it"
        warnings.append(origin.warn(Reason.UNSUPPORTED_ALGORITHM, gist, certificate.where))
    if not serves(found.extensions):
        gist = f"{subject} is for uses other than serverAuth, so runtimes reject a registry certificate that it issued"
        warnings.append(origin.warn(Reason.KEY_USAGE, gist, certificate.where))
    forbidden = [name for name in registries if forbidden_by(name, found.extensions)]
    if forbidden:
        gist = f"{subject} has name constraints that exclude {listing(forbidden)}; use the CA that may issue for it"
        warnings.append(origin.warn(Reason.NAME_CONSTRAINT, gist, certificate.where))
    if found.is_self_issued and not found.extensions.has_alternative_names:
        warnings.extend(_common_name_warnings(certificate, registries, origin))
    return warnings


def _common_name_warnings(certificate: Certificate, registries: tuple[str, ...], origin: Origin) -> list[Problem]:
    """Warn of what `openssl req -x509` makes without `-addext`: a server's certificate that is a CA by its mark."""
    name = common_name(certificate.structure.subject_der)
    named = tuple(registry for registry in registries if is_common_name(registry, name))
    if not named:
        return []
    gist = (
        f"{quote(certificate.structure.subject)} names {listing(named)} only in its Common Name. If the registry "
        f'presents this certificate, every pull fails with "{LEGACY_COMMON_NAME}"; create it again: '
        + self_signed(named)
    )
    return [origin.warn(Reason.COMMON_NAME_ONLY, gist, certificate.where)]


def self_signed(registries: tuple[str, ...]) -> str:
    """Return the command that makes a certificate that one of these registries can show."""
    name = alternative_name(registries[0] if registries else "registry.example.com")
    host = name.partition(":")[2]
    return (
        "openssl req -x509 -newkey rsa:4096 -noenc -keyout registry.key -out ca.crt -days 365 "
        f'-subj "/CN={host}" -addext "subjectAltName={name}"'
    )


def _own_certificate(
    certificate: Certificate, subjects: set[bytes], registries: tuple[str, ...], origin: Origin
) -> Problem:
    """Warn of a server certificate, which vouches for itself whoever issued it (Go 1.22 to 1.26: `Roots.contains`)."""
    found = certificate.structure
    if found.is_self_issued:
        what, better = "a self-signed server certificate", ""
    else:
        what = f"a server certificate issued by {quote(found.issuer)}"
        here = found.issuer_der in subjects
        better = "; remove it; its issuer is here too" if here else "; put the certificate of its issuer here instead"
    missing = [name for name in registries if not is_named(name, found.extensions)]
    names = f". It does not name {listing(missing)}" if missing else ""
    return origin.warn(
        Reason.NOT_CA,
        f"{quote(found.subject)} is {what}, not a CA: it works only for exactly this certificate, so it must be "
        f"replaced here as soon as the registry gets a new one{better}{names}",
        certificate.where,
    )


def _check_not_all_expired(certificates: tuple[Certificate, ...], now: datetime, origin: Origin) -> None:
    if all(certificate.structure.not_after < now for certificate in certificates):
        latest = max(certificates, key=lambda certificate: certificate.structure.not_after)
        which = f"{quote(latest.structure.subject)} expired on {rfc3339(latest.structure.not_after)}"
        others = f", as did the {len(certificates) - 1} others" if len(certificates) > 2 else ""
        others = ", as did the other" if len(certificates) == 2 else others
        raise origin.refuse(
            Reason.EXPIRED,
            f"{which}{others}, and runtimes reject everything it issued; put the CA's current certificate here",
            latest.where,
        )
