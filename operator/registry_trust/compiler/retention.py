"""CA retention: a CA certificate that its source replaced stays beside the new one for a while, or its loss is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from registry_trust.compiler.sources import INLINE, Sources, source_of
from registry_trust.core.bundle import CAOrigin, IndexedTrust, TrustContent
from registry_trust.core.findings import Finding
from registry_trust.core.reasons import Reason
from registry_trust.core.times import rfc3339
from registry_trust.core.trust import Trust

REPLACEMENT_TOLD = 86400.0
"""Seconds for which status warns of roots that were replaced with no overlap: as long as one would have lasted, had
nobody set `caRetention`."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served of one trust.

    `content` has the retained CA certificates too, and is None where nothing is known; `due` is the Unix time at
    which the next one is dropped.
    """

    content: TrustContent | None
    origins: tuple[CAOrigin, ...] = ()
    roots_replaced: tuple[tuple[str, float], ...] = ()
    due: float | None = field(default=None, compare=False)


def last_good(before: IndexedTrust | None) -> Serving:
    """Return what is served already, unchanged; nothing of it is dropped while its trust is bad or suspended."""
    return Serving(None) if before is None else Serving(before.content, before.origins, before.roots_replaced)


def retain(
    content: TrustContent, origins: tuple[CAOrigin, ...], before: IndexedTrust | None, trust: Trust, now: float
) -> Serving:
    """Return new content together with the CA certificates that stay because only their source let them go.

    What an edit of the trust removes goes at once: its source is not among those that the trust names (and what
    stands inline is the trust itself). `replaced_at` is kept from one bundle to the next, so that a restart, or
    another `caRetention`, changes nothing of when a certificate was replaced.

    Args:
        content: what the sources say now.
        origins: where its CA certificates come from.
        before: the trust as it stands in the last bundle.
        trust: the trust as it is now.
        now: Unix time by a clock that does not jump.
    """
    named = {source_of(source) for source in trust.ca_sources} - {INLINE}
    present = {(origin.source, origin.reference) for origin in origins}
    retained: list[CAOrigin] = []
    for origin in before.origins if before is not None else ():
        if origin.source not in named or (origin.source, origin.reference) in present:
            continue
        replaced_at = origin.replaced_at if origin.replaced_at is not None else now
        if now < replaced_at + trust.ca_retention:
            retained.append(replace(origin, replaced_at=replaced_at))
    references = {*content.ca_certificates, *(origin.reference for origin in retained)}
    everything = sorted((*origins, *retained), key=lambda origin: (origin.source, origin.reference))
    ends = [origin.replaced_at + trust.ca_retention for origin in retained if origin.replaced_at is not None]
    return Serving(
        replace(content, ca_certificates=tuple(sorted(references))),
        tuple(everything),
        _roots_replaced(origins, references, before, now),
        min(ends, default=None),
    )


def _roots_replaced(
    origins: tuple[CAOrigin, ...], served: set[str], before: IndexedTrust | None, now: float
) -> tuple[tuple[str, float], ...]:
    """Return the sources whose CA certificates were all replaced, now or a while ago, while nothing old stayed served.

    Whatever changes such a source again ends it: somebody has looked, and an overlap is judged like any other change.
    """
    if before is None:
        return ()
    old, new = _by_source(before.origins), _by_source(origins)
    told = {source: moment for source, moment in before.roots_replaced if now < moment + REPLACEMENT_TOLD}
    found: dict[str, float] = {}
    for source, references in new.items():
        had = old.get(source, set())
        if had == references and source in told:
            found[source] = told[source]
        elif had and had.isdisjoint(served):
            found[source] = now
    return tuple(sorted(found.items()))


def _by_source(origins: Iterable[CAOrigin]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for origin in origins:
        if origin.replaced_at is None:
            found.setdefault(origin.source, set()).add(origin.reference)
    return found


def replacement_warnings(
    indexed: IndexedTrust | None, trust: Trust | None, sources: Sources, now: float
) -> tuple[Finding, ...]:
    """Return the warnings of sources whose CA certificates were replaced with no overlap, as long as they are told."""
    if indexed is None or trust is None:
        return ()
    places = {source_of(source): f"spec.caCertificates[{index}]" for index, source in enumerate(trust.ca_sources)}
    return tuple(
        Finding(
            Reason.ROOT_REPLACED,
            f"{sources.place_of(source)}: every CA certificate was replaced at once, at "
            f"{rfc3339(moment)}, with no time in which old and new "
            "are both trusted; a registry whose certificate comes from an old one can't be reached until it has a new "
            "one. Put the old one beside the new one where that is so",
            places[source],
        )
        for source, moment in indexed.roots_replaced
        if source in places and now < moment + REPLACEMENT_TOLD
    )


def retained_until(serving: Serving, trust: Trust | None) -> dict[str, float]:
    """Return the Unix time of the end of each CA certificate that no source has any more, by its reference."""
    if trust is None:
        return {}
    present = {origin.reference for origin in serving.origins if origin.replaced_at is None}
    ends: dict[str, float] = {}
    for origin in serving.origins:
        if origin.replaced_at is not None and origin.reference not in present:
            end = origin.replaced_at + trust.ca_retention
            ends[origin.reference] = max(end, ends.get(origin.reference, end))
    return ends
