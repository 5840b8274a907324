"""Served certificates: what status shows of each, whether or not its source is still good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from registry_trust.certificates.facts import CertificateFacts, CertificateKind, read_facts
from registry_trust.compiler.content import Checked, SourcedCertificate
from registry_trust.compiler.retention import Serving, retained_until
from registry_trust.compiler.sources import Sources
from registry_trust.core.bundle import TrustContent
from registry_trust.core.certificate_state import CertificateState, state_of
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.trust import Trust


def served_certificates(
    serving: Serving, checked: Checked, trust: Trust | None, sources: Sources, blobs: Mapping[str, bytes]
) -> tuple[SourcedCertificate, ...]:
    """Return every certificate that is served of one trust, with its source and the end of its retention.

    Args:
        serving: what is served.
        checked: what came of the trust's sources.
        trust: the trust; None where it can't be parsed.
        sources: the trust namespace, which messages name.
        blobs: the bundle's.
    """
    if serving.content is None:
        return ()
    fresh = checked.content
    certificates: list[SourcedCertificate] = []
    known: frozenset[str] = frozenset()
    if fresh is not None and _is_based_on(serving.content, fresh):
        certificates.extend(checked.certificates)
        known = frozenset(fresh.references())
    ends = retained_until(serving, trust)
    origins = {origin.reference: origin.source for origin in serving.origins}
    for reference in serving.content.ca_certificates:
        if reference not in known:
            place = sources.place(origins[reference]) if reference in origins else ""
            certificates.extend(
                SourcedCertificate(facts, place, ends.get(reference))
                for facts in _facts(blobs[reference], CertificateKind.CA)
            )
    for pair in serving.content.client_certificates:
        if pair.certificate not in known:
            chain = _facts(blobs[pair.certificate], CertificateKind.CLIENT)
            certificates.extend(SourcedCertificate(facts, "") for facts in chain)
    return tuple(certificates)


def that_matter(certificates: Iterable[SourcedCertificate], now: datetime) -> tuple[SourcedCertificate, ...]:
    """Return the certificates whose dates an admin has to watch: not those that end with nobody any the worse.

    A retained CA certificate goes anyway. A CA certificate beside a valid one that ends later loses nothing: with one
    of the same key, chains that the first verified are verified by the second; with one of the same subject only, that
    is so once the first has ended and its chains have ended with it.

    Args:
        certificates: everything that is served of one trust.
        now: the moment to judge by.
    """
    lasting = [certificate for certificate in certificates if certificate.retained_until is None]
    latest: dict[str, datetime] = {}
    for facts in (certificate.facts for certificate in lasting):
        if facts.kind is CertificateKind.CA and facts.not_before <= now <= facts.not_after:
            for name in (facts.spki_sha256, facts.subject):
                latest[name] = max(latest.get(name, facts.not_after), facts.not_after)
    return tuple(certificate for certificate in lasting if not _has_successor(certificate.facts, latest, now))


def _has_successor(facts: CertificateFacts, latest: Mapping[str, datetime], now: datetime) -> bool:
    if facts.kind is not CertificateKind.CA:
        return False
    names = (facts.spki_sha256, facts.subject) if facts.not_after < now else (facts.spki_sha256,)
    return any(name in latest and facts.not_after < latest[name] for name in names)


def states(certificates: Iterable[SourcedCertificate], now: float, warning: timedelta) -> tuple[CertificateState, ...]:
    """Return the state of each certificate at a Unix time."""
    moment = datetime.fromtimestamp(now, UTC)
    return tuple(state_of(c.facts.not_before, c.facts.not_after, moment, warning) for c in certificates)


def _is_based_on(content: TrustContent, fresh: TrustContent) -> bool:
    """Say whether content is what the sources say now, with nothing but retained CA certificates beside it."""
    return fresh.client_certificates == content.client_certificates and set(fresh.ca_certificates) <= set(
        content.ca_certificates
    )


@lru_cache(maxsize=4096)
def _facts(pem: bytes, kind: CertificateKind) -> tuple[CertificateFacts, ...]:
    try:
        return read_facts(pem, kind)
    except UnusableMaterial:
        return ()  # It came from the bundle's Secret, which another process may have written.
