"""CA retention: a CA certificate that its source replaced stays beside the new one for a while."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from registry_trust.compiler.sources import INLINE, source_of
from registry_trust.core.bundle import CAOrigin, IndexedTrust, TrustContent
from registry_trust.core.trust import Trust


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served of one trust.

    `content` has the retained CA certificates too, and is None where nothing is known; `due` is the Unix time at
    which the next one is dropped.
    """

    content: TrustContent | None
    origins: tuple[CAOrigin, ...] = ()
    due: float | None = field(default=None, compare=False)


def last_good(before: IndexedTrust | None) -> Serving:
    """Return what is served already, unchanged; nothing of it is dropped while its trust is bad or suspended."""
    return Serving(None) if before is None else Serving(before.content, before.origins)


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
        replace(content, ca_certificates=tuple(sorted(references))), tuple(everything), min(ends, default=None)
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
