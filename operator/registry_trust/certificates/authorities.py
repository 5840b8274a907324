"""CA certificates: one source's value is read whole, and refused whole if any part of it would not work on a node."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from registry_trust.certificates.certificate import (
    RSA_MAXIMUM_BITS,
    Certificate,
    common_warnings,
    read_certificate,
)
from registry_trust.certificates.extensions import ANY_USAGE, SERVER_AUTH
from registry_trust.certificates.facts import CertificateFacts, CertificateKind, facts_of
from registry_trust.certificates.hosts import forbidden_by, is_named
from registry_trust.certificates.labels import unexpected_label
from registry_trust.certificates.limits import SELF_SIGNED_SERVERS, SOURCE_BYTES, check_count, check_size, is_empty
from registry_trust.certificates.origin import Origin
from registry_trust.certificates.pem import CERTIFICATE, Block, split
from registry_trust.certificates.structure import Structure
from registry_trust.core.findings import Finding
from registry_trust.core.reasons import Reason
from registry_trust.core.text import listing, quote
from registry_trust.core.times import rfc3339


@dataclass(frozen=True, slots=True)
class CACertificates:
    """The CA certificates of one source: canonical PEM of one each, without duplicates, ordered by SHA-256 of the DER.

    `facts` is in the order of `pems`; `warnings` in the order of the source.
    """

    pems: tuple[bytes, ...]
    facts: tuple[CertificateFacts, ...]
    warnings: tuple[Finding, ...]


def read_ca_certificates(
    data: bytes, *, field: str, place: str, now: datetime, registries: tuple[str, ...] = ()
) -> CACertificates:
    """Read one source of CA certificates.

    Args:
        data: PEM text, at most 330,000 bytes and 300 blocks; only CERTIFICATE blocks, with any text between them.
        field: the path of the field that names it.
        place: where it was read from, e.g. `Secret registry-trust/harbor-ca key ca.crt`, or `inline`.
        now: the time, aware.
        registries: the checked registries that it is for; warnings name those that it can't vouch for.

    Raises:
        UnusableMaterial: EmptyData, TooLarge, InvalidPEM, PrivateKeyInCA, CertificateParse, UnsupportedAlgorithm,
            UnsupportedExtension, NotCA; Expired where every certificate of the source has expired.
    """
    origin = Origin(field, place)
    check_size(data, SOURCE_BYTES, origin)
    check_count(data, origin)
    if is_empty(data):
        raise origin.refuse(Reason.EMPTY_DATA, "is empty; put the CA certificate of the registry there, as PEM")
    blocks = split(data, origin)
    _check_labels(blocks, origin)
    unique: dict[str, Certificate] = {}
    for block in blocks:
        certificate = read_certificate(block, origin)
        unique.setdefault(certificate.sha256, certificate)
    certificates = tuple(unique.values())
    subjects = {certificate.structure.subject_der for certificate in certificates}
    _check_servers(certificates, origin)
    warnings: list[Finding] = []
    for certificate in certificates:
        warnings.extend(_check_role(certificate, subjects, registries, origin))
        warnings.extend(common_warnings(certificate, now, origin))
    _check_not_all_expired(certificates, now, origin)
    ordered = sorted(certificates, key=lambda certificate: certificate.sha256)
    return CACertificates(
        pems=tuple(certificate.pem for certificate in ordered),
        facts=tuple(facts_of(certificate, CertificateKind.CA) for certificate in ordered),
        warnings=tuple(warnings),
    )


def _check_labels(blocks: tuple[Block, ...], origin: Origin) -> None:
    for block in blocks:
        if block.is_private_key:
            raise origin.refuse(
                Reason.PRIVATE_KEY_IN_CA,
                "is a private key among the CA certificates; remove it, and replace that key if others can read this "
                "place. A client's key belongs in clientCertificates, a CA's key nowhere near a node",
                block.where,
            )
    for block in blocks:
        if block.label != CERTIFICATE:
            raise unexpected_label(block, origin)


def _is_authority(found: Structure) -> bool:
    return found.can_sign and (found.version >= 3 or found.is_self_issued)


def _check_servers(certificates: tuple[Certificate, ...], origin: Origin) -> None:
    """Refuse more self-signed server certificates than can have their signatures checked in a moment."""
    servers = [one for one in certificates if one.structure.is_self_issued and not _is_authority(one.structure)]
    if len(servers) > SELF_SIGNED_SERVERS:
        raise origin.refuse(
            Reason.TOO_LARGE,
            f"{len(servers)} self-signed server certificates, at most {SELF_SIGNED_SERVERS} are read; have the "
            "registries' certificates issued by one CA and give that, or split them among several sources",
            servers[SELF_SIGNED_SERVERS].where,
        )


def _check_role(
    certificate: Certificate, subjects: set[bytes], registries: tuple[str, ...], origin: Origin
) -> list[Finding]:
    """Refuse what could vouch for nothing; return warnings for what works within limits only."""
    found = certificate.structure
    subject = quote(found.subject)
    if found.extensions.unhandled:
        raise origin.refuse(
            Reason.UNSUPPORTED_EXTENSION,
            f"{subject} has a critical extension that runtimes don't know or don't all honour "
            f"({listing(found.extensions.unhandled)}), so they refuse every chain through it; "
            "have it issued anew without",
            certificate.where,
        )
    if not _is_authority(found):
        return [_own_certificate(certificate, subjects, registries, origin)]
    warnings: list[Finding] = []
    if not found.is_self_issued and found.issuer_der not in subjects:
        warnings.append(
            origin.warn(
                Reason.INTERMEDIATE_AS_ROOT,
                f"{subject} is an intermediate CA, issued by {quote(found.issuer)}, and is trusted as a root: it works "
                "until the registry's certificate comes from another intermediate; use the root where you can",
                certificate.where,
            )
        )
    if found.key.name == "RSA" and found.key.bits > RSA_MAXIMUM_BITS:
        gist = f"{subject} has an RSA key of {found.key.bits} bits; runtimes refuse it if the registry sends it along"
        warnings.append(origin.warn(Reason.UNSUPPORTED_ALGORITHM, gist, certificate.where))
    usages = found.extensions.extended_usages
    if usages and not {SERVER_AUTH, ANY_USAGE} & set(usages):
        gist = f"{subject} is for other uses than serverAuth, so runtimes refuse a registry's certificate from it"
        warnings.append(origin.warn(Reason.KEY_USAGE, gist, certificate.where))
    forbidden = [name for name in registries if forbidden_by(name, found.extensions)]
    if forbidden:
        gist = f"{subject} has name constraints that exclude {listing(forbidden)}; use the CA that may issue for it"
        warnings.append(origin.warn(Reason.NAME_CONSTRAINT, gist, certificate.where))
    return warnings


def _own_certificate(
    certificate: Certificate, subjects: set[bytes], registries: tuple[str, ...], origin: Origin
) -> Finding:
    """Accept a self-signed server certificate as its own CA (Go: `Roots.contains`); refuse everything else."""
    found = certificate.structure
    subject = quote(found.subject)
    if not certificate.is_self_signed:
        if found.is_self_issued:
            gist = (
                f"{subject} is no CA certificate: it names itself as its issuer, and another key signed it; put the "
                "certificate of the CA that did so here. To see it: openssl x509 -in ca.crt -noout -text"
            )
            raise origin.refuse(Reason.NOT_CA, gist, certificate.where)
        cure = (
            ", whose certificate is here, too; remove this one (a registry's own chain is no list of CAs)"
            if found.issuer_der in subjects
            else "; put that CA's certificate here. To see which it is: openssl x509 -in ca.crt -noout -subject "
            "-issuer -ext basicConstraints,keyUsage"
        )
        gist = f"{subject} is no CA certificate: it was issued by {quote(found.issuer)}{cure}"
        raise origin.refuse(Reason.NOT_CA, gist, certificate.where)
    if not found.extensions.has_alternative_names:
        lacks = "keyCertSign in its keyUsage" if found.extensions.is_ca else "the mark CA:TRUE"
        raise origin.refuse(
            Reason.NOT_CA,
            f"{subject} is self-signed and lacks {lacks}, so it can't vouch for others; and without a "
            "subjectAltName runtimes don't take it as the registry's own either. Have it made anew: "
            "openssl req -x509 -newkey rsa:4096 "
            '-noenc -keyout registry.key -out ca.crt -days 365 -addext "subjectAltName=DNS:registry.example.com"',
            certificate.where,
        )
    missing = [name for name in registries if not is_named(name, found.extensions)]
    names = f"; it does not name {listing(missing)}" if missing else ""
    return origin.warn(
        Reason.NOT_CA,
        f"{subject} is a self-signed server certificate, no CA: it works only for exactly this certificate, so "
        f"when the registry gets a new one, this must follow at once{names}",
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
            f"{which}{others}, and runtimes accept nothing that it issued; put the CA's current certificate here",
            latest.where,
        )
