"""CA retention: a CA certificate that was replaced stays beside the new one for a while, or its loss is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from registry_trust.compiler.sources import Sources
from registry_trust.core.bundle import CanaryContent, CAOrigin, IndexedTrust, Refusal, TrustContent, in_order
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.times import rfc3339
from registry_trust.core.trust import SourceRef, Trust

REPLACEMENT_TOLD = 86400.0
"""Seconds for which status warns of roots that were replaced with no overlap: as long as one would have lasted, had
nobody set `caRetention`."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served of one trust.

    `content` has the retained CA certificates too, and is None where nothing is known; `due` is the Unix time at
    which the next one is dropped, or a rollout goes on. `rollout` and `unserved` are as in the index, and `waits` says
    what a rollout waits for, or why it ended, and `coming` is the content that is not served yet.
    """

    content: TrustContent | None
    origins: tuple[CAOrigin, ...] = ()
    roots_replaced: tuple[tuple[SourceRef, float], ...] = ()
    due: float | None = field(default=None, compare=False)
    rollout: CanaryContent | Refusal | None = None
    unserved: bool = False
    waits: Problem | None = field(default=None, compare=False)
    coming: TrustContent | None = field(default=None, compare=False)


def last_good(before: IndexedTrust | None) -> Serving:
    """Return what is served already, unchanged; nothing of it is dropped while its trust is bad or suspended."""
    if before is None:
        return Serving(None)
    kept = Serving(before.content, before.origins, before.roots_replaced)
    return replace(kept, rollout=before.rollout, unserved=before.unserved)


def retain(
    content: TrustContent,
    origins: tuple[CAOrigin, ...],
    before: IndexedTrust | None,
    trust: Trust,
    now: float,
    *,
    left_out: frozenset[SourceRef] = frozenset(),
) -> Serving:
    """Return new content together with the CA certificates that a rotation leaves in place for a while.

    The trust as a whole tells a rotation from a revocation, whatever its sources are called: a change that takes CA
    certificates away and brings others is a rotation, and the old ones stay for `caRetention`; one that only takes
    away is a revocation, and acts at once. `replaced_at` is kept from one bundle to the next, so that a restart, or
    another `caRetention`, changes nothing of when a certificate was replaced.

    A certificate that a source has and that can't be used may be a served one that was damaged. It counts as brought:
    what such a source no longer has is never revoked, nor is anything where it is new to the trust.

    Args:
        content: what the sources say now.
        origins: where its CA certificates come from.
        before: the trust as it stands in the last bundle.
        trust: the trust as it is now.
        now: Unix time by a clock that does not jump.
        left_out: the sources that have a certificate that can't be used.
    """
    if before is not None and not (left_out or before.roots_replaced) and before.content == content:
        origins = in_order(origins)
        if before.origins == origins:
            return Serving(content, origins)  # As it was, with nothing retained: so are most of a thousand.
    known = before.origins if before is not None else ()
    had = {origin.reference for origin in known if origin.replaced_at is None}
    has = set(content.ca_certificates)
    brought = has - had or left_out - _by_source(known).keys()
    rotation = bool(had - has and brought)
    # A source that the trust named until now takes what is retained of it along, unless others come in its place.
    dropped = set() if brought else _by_source(known).keys() - {source.ref for source in trust.ca_sources}
    retained: list[CAOrigin] = []
    for origin in known:
        replaced = rotation or origin.source in left_out
        replaced_at = now if origin.replaced_at is None and replaced else origin.replaced_at
        if replaced_at is None or origin.reference in has or origin.source in dropped:
            continue
        if now < replaced_at + trust.ca_retention:
            retained.append(replace(origin, replaced_at=replaced_at))
    references = has | {origin.reference for origin in retained}
    ends = [origin.replaced_at + trust.ca_retention for origin in retained if origin.replaced_at is not None]
    return Serving(
        replace(content, ca_certificates=tuple(sorted(references))),
        in_order((*origins, *retained)),
        _roots_replaced(origins, references, before, now, left_out),
        min(ends, default=None),
    )


def _roots_replaced(
    origins: tuple[CAOrigin, ...],
    served: set[str],
    before: IndexedTrust | None,
    now: float,
    left_out: frozenset[SourceRef],
) -> tuple[tuple[SourceRef, float], ...]:
    """Return the sources whose CA certificates were all replaced, now or a while ago, while nothing old stayed served.

    Of a source with a certificate that can't be used, one that is gone is enough: it may be that one.
    What sources had that are gone counts as replaced by one that came in the same change, or that brought something.
    Whatever changes such a source again ends it: somebody has looked, and an overlap is judged like any other change.
    """
    if before is None:
        return ()
    old, new = _by_source(before.origins), _by_source(origins)
    told = {source: moment for source, moment in before.roots_replaced if now < moment + REPLACEMENT_TOLD}
    vanished = {reference for source in old.keys() - new.keys() for reference in old[source]}
    known = {reference for references in old.values() for reference in references}
    damaged = left_out - old.keys()
    brought = damaged | {source for source, references in new.items() if references - known}
    lost = vanished - served if damaged else vanished if vanished.isdisjoint(served) else set()
    heir = min(damaged or (new.keys() - old.keys()) or brought, key=str, default=None) if lost else None
    found: dict[SourceRef, float] = {}
    for source, references in new.items():
        had = old.get(source, set())
        if had == references and source in told:
            found[source] = told[source]
        elif (brought and (source == heir or (had and had.isdisjoint(served)))) or (
            source in left_out and not had <= served
        ):
            found[source] = now
    return tuple((source, found[source]) for source in sorted(found, key=str))


def _by_source(origins: Iterable[CAOrigin]) -> dict[SourceRef, set[str]]:
    found: dict[SourceRef, set[str]] = {}
    for origin in origins:
        if origin.replaced_at is None:
            found.setdefault(origin.source, set()).add(origin.reference)
    return found


def replacement_warnings(
    indexed: IndexedTrust | None, trust: Trust | None, sources: Sources, now: float
) -> tuple[Problem, ...]:
    """Return the warnings of sources whose CA certificates were replaced with no overlap, as long as they are told."""
    if indexed is None or trust is None:
        return ()
    places = {source.ref: f"spec.caCertificates[{index}]" for index, source in enumerate(trust.ca_sources)}
    return tuple(
        Problem(
            Reason.ROOT_REPLACED,
            f"{sources.place(source)}: all CA certificates were replaced at once, at {rfc3339(moment)}, without a "
            "period in which both old and new are trusted; a registry that still has a certificate of an old CA "
            "can't be reached until it gets a new one. If there is such a registry, put the old CA certificate next "
            "to the new one",
            places[source],
        )
        for source, moment in indexed.roots_replaced
        if source in places and now < moment + REPLACEMENT_TOLD
    )


def retained_until(serving: Serving, trust: Trust | None) -> dict[str, float]:
    """Return the Unix time of the end of each CA certificate that no source has any longer, by its reference."""
    if trust is None:
        return {}
    present = {origin.reference for origin in serving.origins if origin.replaced_at is None}
    ends: dict[str, float] = {}
    for origin in serving.origins:
        if origin.replaced_at is not None and origin.reference not in present:
            end = origin.replaced_at + trust.ca_retention
            ends[origin.reference] = max(end, ends.get(origin.reference, end))
    return ends
