"""Findings: everything that lint has to say about manifests, as values, in the order of their places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from registry_trust.certificates.facts import CertificateKind
from registry_trust.cli.documents import Document
from registry_trust.cli.linting.images import ImageReference, spelled_otherwise, spelling
from registry_trust.cli.linting.places import ManifestPlace, place_in, place_of
from registry_trust.cli.manifests import Manifests
from registry_trust.compiler.compile import Compiled, Outcome, compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.kinds import TRUST
from registry_trust.compiler.served_certificates import that_matter
from registry_trust.core.bundle import Bundle
from registry_trust.core.certificate_state import ENDING, CertificateState, state_of
from registry_trust.core.desired import desired_state
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import listing, quote
from registry_trust.core.times import rfc3339

NOT_IN_FILES = frozenset(
    {
        Reason.SECRET_NOT_FOUND,
        Reason.CONFIG_MAP_NOT_FOUND,
        Reason.CLUSTER_TRUST_BUNDLE_NOT_FOUND,
        Reason.CLUSTER_TRUST_BUNDLES_UNAVAILABLE,
    }
)
"""A source that is not in the files may well be in the cluster: Secrets are seldom kept in a repository."""


class Severity(StrEnum):
    """How much a finding matters: an error is refused by the operator, a note asks for nothing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one object, or about a file that can't be read (then without an object and a reason)."""

    severity: Severity
    place: ManifestPlace
    message: str
    kind: str = ""
    name: str = ""
    reason: str = ""
    field: str = ""

    def __str__(self) -> str:
        parts = (f"{self.kind} {self.name}".strip(), self.reason, self.field, self.message)
        return ": ".join(str(part) for part in (self.place, self.severity, *parts) if part)


def find(
    manifests: Manifests, images: Sequence[ImageReference], earlier: Manifests | None, now: float, warning: timedelta
) -> list[Finding]:
    """Return every finding, by place.

    Args:
        manifests: trusts and their sources.
        images: what pods pull; nothing is said of images where there are none.
        earlier: the same manifests as they were; what changed since is judged as the operator would.
        now: Unix time.
        warning: how long before its end a certificate is reported; see `state_of`.
    """
    compiled = _compiled(manifests, now)
    documents = _trusts(manifests.documents)
    found = [_unreadable(problem) for problem in manifests.problems]
    found += [replace(_unreadable(note), severity=Severity.NOTE) for note in manifests.notes]
    for name, outcome in compiled.outcomes.items():
        document = documents[name]
        found += _of_outcome(outcome, document)
        found += _of_dates(outcome, document, now, warning)
    found += _of_conflicts(compiled, documents)
    found += _of_images(images, compiled)
    if earlier is not None:
        found += _of_change(_compiled(earlier, now), _trusts(earlier.documents), compiled, documents)
    return sorted(set(found), key=lambda each: (each.place, list(Severity).index(each.severity), str(each)))


def _compiled(manifests: Manifests, now: float) -> Compiled:
    return compile_bundle(manifests.trusts, manifests.sources, Bundle(), now, checker=Checker())


def _trusts(documents: Iterable[Document]) -> dict[str, Document]:
    """Return the first document of each trust, by its name."""
    found: dict[str, Document] = {}
    for document in documents:
        metadata = document.body.get("metadata")
        if document.body["kind"] == TRUST.name:
            name = metadata.get("name") if isinstance(metadata, Mapping) else None
            found.setdefault(name if isinstance(name, str) else "", document)
    return found


def _unreadable(problem: str) -> Finding:
    place, _, message = problem.partition(": ")
    return Finding(Severity.ERROR, place_in(place), message)


def _about(severity: Severity, problem: Problem, outcome: Outcome, document: Document) -> Finding:
    place = place_of(document, problem.field)
    return Finding(severity, place, problem.message, TRUST.name, outcome.name, problem.reason.value, problem.field)


def _of_outcome(outcome: Outcome, document: Document) -> Iterator[Finding]:
    for problem in outcome.errors:
        severity = Severity.NOTE if problem.reason in NOT_IN_FILES else Severity.ERROR
        yield _about(severity, problem, outcome, document)
    for problem in outcome.warnings:
        yield _about(Severity.WARNING, problem, outcome, document)
    if outcome.suspended:
        problem = Problem(Reason.SUSPENDED, "changes nothing until spec.suspend is removed", "spec.suspend")
        yield _about(Severity.NOTE, problem, outcome, document)


def _of_dates(outcome: Outcome, document: Document, now: float, warning: timedelta) -> Iterator[Finding]:
    moment = datetime.fromtimestamp(now, UTC)
    for item in that_matter(outcome.certificates, moment):
        state = state_of(item.facts.not_before, item.facts.not_after, moment, warning)
        if state in ENDING:
            verb = "expired" if state is CertificateState.EXPIRED else "expires"
            where = f" ({item.source})" if item.source else ""
            message = f"{item.facts.subject}{where} {verb} at {rfc3339(item.facts.not_after)}; replace it in its source"
            yield _about(Severity.WARNING, Problem(Reason(state.value), message), outcome, document)


def _of_conflicts(compiled: Compiled, documents: Mapping[str, Document]) -> Iterator[Finding]:
    """Find client certificates of two trusts that want one file: on any node that both select."""
    everywhere = tuple(
        replace(trust, content=replace(trust.content, selector=None) if trust.content is not None else None)
        for trust in compiled.bundle.trusts
    )
    for row in desired_state(replace(compiled.bundle, trusts=everywhere), {}).conflicts:
        first = compiled.outcomes.get(row.trust)
        if first is not None and row.problem is not None:
            yield _about(Severity.WARNING, row.problem, first, documents[row.trust])


def _of_images(images: Sequence[ImageReference], compiled: Compiled) -> Iterator[Finding]:
    named = {registry for outcome in compiled.outcomes.values() for registry in outcome.registries}
    spellings = {spelling(registry): registry for registry in sorted(named)}
    uncovered: dict[str, list[ImageReference]] = {}
    for image in images:
        if image.registry in named:
            continue
        other = spelled_otherwise(image.registry, spellings)
        if other is None:
            uncovered.setdefault(image.registry, []).append(image)
            continue
        message = (
            f"the image {quote(image.text)} names the registry {quote(image.registry)}, and the trust names "
            f"{quote(other)}, which is another directory; write one of them in both, or add the second to the trust"
        )
        yield Finding(Severity.WARNING, image.place, message)
    for registry, references in sorted(uncovered.items()):
        others = f" ({len(references)} images)" if len(references) > 1 else ""
        yield Finding(Severity.NOTE, references[0].place, f"no trust names the registry {quote(registry)}{others}")


def _of_change(
    before: Compiled, places: Mapping[str, Document], after: Compiled, documents: Mapping[str, Document]
) -> Iterator[Finding]:
    """Find what a change takes from nodes: trusts, registries of a trust, and CA certificates with no overlap."""
    for name, earlier in before.outcomes.items():
        outcome = after.outcomes.get(name)
        lost = sorted(set(earlier.registries) - set(outcome.registries if outcome is not None else ()))
        if outcome is None:
            message = f"is gone: nodes lose its certificates for {listing(lost, 5)}"
            yield Finding(Severity.WARNING, ManifestPlace(place_of(places[name]).file), message, TRUST.name, name)
            continue
        if lost and outcome.accepted:
            message = f"no longer names {listing(lost, 5)}: nodes lose its certificates for that"
            place = place_of(documents[name], "spec.registries")
            yield Finding(Severity.WARNING, place, message, TRUST.name, name, field="spec.registries")
        keys, earlier_keys = _ca_keys(outcome), _ca_keys(earlier)
        if keys and earlier_keys and not keys & earlier_keys:
            message = (
                "every CA certificate is replaced at once, with no time in which old and new are both trusted; put the "
                "old one next to the new one until the registry's certificate comes from the new one"
            )
            problem = Problem(Reason.ROOT_REPLACED, message, "spec.caCertificates")
            yield _about(Severity.WARNING, problem, outcome, documents[name])


def _ca_keys(outcome: Outcome) -> frozenset[str]:
    """Return the public keys of the CA certificates: one that was renewed with its key verifies what it did before."""
    facts = (item.facts for item in outcome.certificates)
    return frozenset(each.spki_sha256 for each in facts if each.kind is CertificateKind.CA)
