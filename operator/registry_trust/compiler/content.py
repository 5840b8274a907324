"""A trust's content: its sources resolved, checked, and turned into blobs and facts; remembered until it may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from registry_trust.certificates.authorities import read_ca_certificates
from registry_trust.certificates.facts import CertificateFacts
from registry_trust.certificates.pairs import CheckedPair, read_client_pair
from registry_trust.compiler.sources import Sources, read_ca, read_pair
from registry_trust.core import registry as registry_names
from registry_trust.core.bundle import CAOrigin, ClientPairRef, TrustContent, in_order, reference_of
from registry_trust.core.errors import RegistryTrustError
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import quote
from registry_trust.core.trust import SourceRef, Trust


@dataclass(frozen=True, slots=True)
class SourcedCertificate:
    """A certificate that is being served, and the source that it came from (empty where that is not known).

    `retained_until` is the Unix time at which a CA certificate goes that its source has replaced.
    """

    facts: CertificateFacts
    source: str
    retained_until: float | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of one trust: content and blobs if every source was good, else the errors, each with its field."""

    content: TrustContent | None
    blobs: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    certificates: tuple[SourcedCertificate, ...] = ()
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    origins: tuple[CAOrigin, ...] = ()
    left_out: frozenset[SourceRef] = frozenset()
    """Sources of which a certificate can't be used and the others are."""


class Checker:
    """Checks trusts, and remembers each result until the trust, a source or a date makes it another one."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[object, float, float, Checked]] = {}

    def check(self, trust: Trust, sources: Sources, now: float) -> Checked:
        """Return the content of a trust, or why there is none.

        Args:
            trust: the trust.
            sources: the trust namespace.
            now: Unix time; certificates are judged by it.
        """
        key = (trust, sources.namespace, sources.versions(trust))
        known = self._known.get(trust.name)
        # Only between the moment of the check and the next date: a clock that was wrong may have been put back.
        if known is not None and known[0] == key and known[1] <= now < known[2]:
            return known[3]
        checked = check_trust(trust, sources, datetime.fromtimestamp(now, UTC))
        self._known[trust.name] = (key, now, _valid_until(checked, now), checked)
        return checked

    def forget_all_but(self, names: set[str]) -> None:
        """Drop what is remembered of trusts that are gone."""
        for name in self._known.keys() - names:
            del self._known[name]


def check_trust(trust: Trust, sources: Sources, now: datetime) -> Checked:
    """Resolve and check every source of a trust; all errors are collected, so that one look shows them all."""
    errors: list[Problem] = []
    warnings: list[Problem] = list(_registry_warnings(trust))
    blobs: dict[str, bytes] = {}
    certificates: list[SourcedCertificate] = []
    authorities: list[str] = []
    origins: set[CAOrigin] = set()
    left_out: set[SourceRef] = set()
    pairs: list[ClientPairRef] = []
    read_pairs: list[tuple[str, CheckedPair]] = []
    for index, source in enumerate(trust.ca_sources):
        try:
            data, field_path = read_ca(sources, source, index)
            place, text = sources.place(source.ref), sources.place_of_text(source)
            roots = read_ca_certificates(data, field=field_path, place=text, now=now, registries=trust.registries)
        except RegistryTrustError as error:
            errors.append(error.problem)
            continue
        for pem, facts in zip(roots.pems, roots.facts, strict=True):
            reference = reference_of(pem)
            origins.add(CAOrigin(reference, source.ref))
            if reference not in authorities:
                authorities.append(reference)
                blobs[reference] = pem
                certificates.append(SourcedCertificate(facts, place))
        warnings.extend(roots.warnings)
        if roots.left_out:
            left_out.add(source.ref)
    for index, client in enumerate(trust.client_sources):
        try:
            certificate, key, field_path = read_pair(sources, client, index)
            places = sources.place(client.certificate), sources.place(client.private_key)
            pair = read_client_pair(
                certificate, key, field=field_path, certificate_place=places[0], key_place=places[1], now=now
            )
        except RegistryTrustError as error:
            errors.append(error.problem)
            continue
        key_pem = pair.key.reveal()
        references = ClientPairRef(client.name, reference_of(pair.certificate), reference_of(key_pem))
        blobs[references.certificate] = pair.certificate
        blobs[references.key] = key_pem
        pairs.append(references)
        certificates.extend(SourcedCertificate(facts, places[0]) for facts in pair.facts)
        warnings.extend(pair.warnings)
        warnings.extend(_unreachable(client.name, pair, read_pairs, f"spec.clientCertificates[{index}]"))
        read_pairs.append((client.name, pair))
    if errors:
        return Checked(None, errors=tuple(errors), warnings=tuple(warnings))
    content = TrustContent(
        registries=tuple(sorted(trust.registries)),
        ca_certificates=tuple(sorted(authorities)),
        client_certificates=tuple(pairs),
        selector=trust.selector,
        existing_files=trust.existing_files,
    )
    return Checked(content, blobs, tuple(certificates), (), tuple(warnings), in_order(origins), frozenset(left_out))


def _unreachable(
    name: str, pair: CheckedPair, earlier: Sequence[tuple[str, CheckedPair]], field_path: str
) -> list[Problem]:
    """Warn of a pair that Go's TLS passes over for an earlier one.

    crypto/tls takes the first certificate in whose chain an issuer is one that the registry asks for, and never tries
    another (Go 1.26 `getClientCertificate`); a registry that asks for none gets the first of all.
    """
    issuers = {facts.issuer for facts in pair.facts}
    for other_name, other in earlier:
        if issuers <= {facts.issuer for facts in other.facts}:
            return [
                Problem(
                    Reason.UNREACHABLE_CLIENT_CERTIFICATE,
                    f"{quote(name)} is never presented to a registry: {quote(other_name)} comes before it and has "
                    f"the same issuer, {quote(pair.facts[0].issuer)}, and runtimes use the first match; remove one, "
                    "or put the right one first",
                    field_path,
                )
            ]
    return []


def _registry_warnings(trust: Trust) -> list[Problem]:
    warnings: list[Problem] = []
    for index, registry in enumerate(trust.registries):
        place = f"spec.registries[{index}]"
        if registry_names.is_loopback(registry):
            warnings.append(
                Problem(
                    Reason.RUNTIME_IGNORES_TLS,
                    f"containerd and dockerd always skip TLS verification for {quote(registry)}; give the registry a "
                    "host name if it should be verified",
                    place,
                )
            )
        host, port = registry_names.split(registry)
        if port == "443":
            warnings.append(
                Problem(
                    Reason.INVALID_PORT,
                    f"{quote(registry)} has its own directory, separate from that of {quote(host)}: it is used only "
                    "for image references that include :443",
                    place,
                )
            )
    return warnings


def _valid_until(checked: Checked, now: float) -> float:
    """Unix time at which a certificate's date changes what was said of it; without one, the end of time.

    A rejected trust is checked again after a minute: its certificates may have become valid.
    """
    if checked.content is None:
        return now + 60
    moments = [
        moment.timestamp()
        for certificate in checked.certificates
        for moment in (certificate.facts.not_before, certificate.facts.not_after)
    ]
    return min((moment for moment in moments if moment > now), default=float("inf"))
