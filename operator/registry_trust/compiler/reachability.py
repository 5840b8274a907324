"""Client pairs across trusts: those that a registry is never shown, because an earlier trust's pair stands before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from registry_trust.certificates.facts import CertificateKind, read_facts
from registry_trust.core.bundle import Bundle, ClientPairRef, TrustState
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.selection import Selector, may_overlap
from registry_trust.core.text import quote


@dataclass(frozen=True, slots=True)
class _EarlierPair:
    """A pair of a trust that comes earlier in the index, and so stands before in every directory that has both."""

    trust: str
    name: str
    registries: frozenset[str]
    selector: Selector | None


_Earlier = dict[frozenset[str], dict[str, list[_EarlierPair]]]
"""By issuers, and then by certificate: a thousand trusts that share a pair, or pairs of a hundred CAs, cost little."""


def unreachable_pairs(bundle: Bundle) -> dict[str, tuple[Problem, ...]]:
    """Return, by trust, a warning for each client pair that Go's TLS passes over for one of an earlier trust.

    Runtimes load a registry's pairs in the order of the index (`core.layout.pair_names`), and take the first of which
    an issuer is one that the registry asks for. What two pairs of one trust do to each other is found with its content.

    Each certificate is parsed once (`_issuers` remembers); what is left is comparisons of sets.
    """
    earlier: _Earlier = {}
    found: dict[str, tuple[Problem, ...]] = {}
    for trust in bundle.trusts:
        content = trust.content
        if content is None or trust.state is not TrustState.ACTIVE or not content.client_certificates:
            continue
        registries = frozenset(content.registries)
        warnings: list[Problem] = []
        for place, pair in enumerate(content.client_certificates):
            issuers = _issuers(bundle.blobs[pair.certificate])
            hiding = _hiding(pair, issuers, registries, content.selector, earlier)
            if hiding is not None:
                warnings.append(_warning(place, pair, min(issuers), min(registries & hiding.registries), hiding))
        if warnings:
            found[trust.name] = tuple(warnings)
        for pair in content.client_certificates:
            of_issuers = earlier.setdefault(_issuers(bundle.blobs[pair.certificate]), {})
            standing = _EarlierPair(trust.name, pair.name, registries, content.selector)
            of_issuers.setdefault(pair.certificate, []).append(standing)
    return found


def _hiding(
    pair: ClientPairRef,
    issuers: frozenset[str],
    registries: frozenset[str],
    selector: Selector | None,
    earlier: _Earlier,
) -> _EarlierPair | None:
    for known, by_certificate in earlier.items():
        if not issuers or not issuers <= known:
            continue
        for certificate, standings in by_certificate.items():
            if certificate == pair.certificate:
                continue  # The same certificate twice loses nothing.
            for standing in standings:
                # Of two pairs with one name a node has one, and says so itself.
                meets = standing.name != pair.name and not registries.isdisjoint(standing.registries)
                if meets and may_overlap(selector, standing.selector):
                    return standing
    return None


def _warning(place: int, pair: ClientPairRef, issuer: str, registry: str, hiding: _EarlierPair) -> Problem:
    return Problem(
        Reason.UNREACHABLE_CLIENT_CERTIFICATE,
        f"on nodes that both trusts select, {quote(pair.name)} is never presented to {registry}: "
        f"{quote(hiding.name)} of trust {hiding.trust}, which is older, comes before it and has the same issuer, "
        f"{quote(issuer)}, and runtimes use the first match; remove one of the two",
        f"spec.clientCertificates[{place}]",
    )


@lru_cache(maxsize=4096)
def _issuers(chain: bytes) -> frozenset[str]:
    try:
        return frozenset(facts.issuer for facts in read_facts(chain, CertificateKind.CLIENT))
    except UnusableMaterial:
        return frozenset()  # It came from the bundle's Secret, which another process may have written.
