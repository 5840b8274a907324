"""Fitting: puts a bundle together, and leaves out of it what does not fit beside what is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from registry_trust.compiler import fullness
from registry_trust.compiler.admission import Weight, even_share, fair_share, fits, only_removes, reserved
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.removals import Removals
from registry_trust.compiler.retention import Serving, last_good
from registry_trust.compiler.verifiers import Verifiers
from registry_trust.core.bundle import Bundle, IndexedTrust, TrustState
from registry_trust.core.bundle_format import encode, size_of
from registry_trust.core.problem import Problem


@dataclass(frozen=True, slots=True)
class Draft:
    """What a bundle is made of, but for what each trust serves.

    `ordered` are the existing trusts in the order of the index, `blobs` every PEM that may be needed, `last` the bundle
    before, `frame` the next one without its trusts, `limit` the bytes that it may have.
    """

    ordered: Sequence[TrustInput]
    blobs: Mapping[str, bytes]
    last: Bundle
    frame: Bundle
    verifiers: Verifiers
    limit: int

    def assembled(self, served: Mapping[str, Serving], removals: Removals) -> Bundle:
        """Put the index together: existing trusts and tombstones at the places that they have, new ones at the end."""
        live = {item.name: self._indexed(item, served[item.name]) for item in self.ordered}
        last = self.last
        names = [trust.name for trust in last.trusts if trust.name in live or trust.name in removals.tombstones]
        names += [item.name for item in self.ordered if last.trust(item.name) is None]
        trusts = tuple(live.get(name) or removals.tombstones[name] for name in names)
        needed = {reference for trust in trusts for reference in trust.references()}
        return replace(
            self.frame,
            trusts=trusts,
            blobs={reference: self.blobs[reference] for reference in sorted(needed)},
            removals=removals.carried_out,
        )

    def _indexed(self, item: TrustInput, serving: Serving) -> IndexedTrust:
        before, content = self.last.trust(item.name), serving.content
        unchanged = before is not None and before.content == content and before.state is not TrustState.REMOVED
        since = before.since if before is not None and unchanged else self.last.serial + 1
        indexed = IndexedTrust(
            item.name,
            item.uid,
            since,
            TrustState.ACTIVE if content is not None else TrustState.HELD,
            content,
            origins=serving.origins,
            roots_replaced=serving.roots_replaced,
            rollout=serving.rollout,
            unserved=serving.unserved,
        )
        return self.verifiers.assigned(indexed, before, item.trust)

    def needs_fitting(self, draft: Bundle, size: int, trust_limit: int) -> bool:
        """Say whether anything of a draft may not fit: below half of the limit only a trust's own counts."""
        before = {trust.name: (trust.content, trust.candidate) for trust in self.last.trusts}
        return 2 * size > self.limit or any(
            (trust.content, trust.candidate) != before.get(trust.name) and _largest(trust, draft.blobs) > trust_limit
            for trust in draft.trusts
        )

    def fitted(
        self, served: Mapping[str, Serving], removals: Removals, trust_limit: int
    ) -> tuple[Bundle, dict[str, Serving], dict[str, Problem]]:
        """Take what fits, in index order, and say of each other trust why it does not; see `admission`."""
        ordered, blobs = self.ordered, self.blobs
        chosen = {item.name: last_good(self.last.trust(item.name)) for item in ordered}
        draft = self.assembled(chosen, removals)
        weights = {trust.name: weigh(trust, blobs) for trust in draft.trusts}
        room = self.limit - size_of(encode(replace(draft, trusts=(), blobs={})))
        share = fair_share(weights.values(), room)
        asked = {
            item.name: self._indexed(item, served[item.name])
            for item in ordered
            if chosen[item.name] != served[item.name]
        }
        pending = {name: weigh(trust, blobs) for name, trust in asked.items()}
        too_large = {
            name: weight
            for name, weight in pending.items()
            if _largest(asked[name], blobs) > trust_limit and not only_removes(weights[name], weight)
        }
        pending = {name: weight for name, weight in pending.items() if name not in too_large}
        everything = {**weights, **pending}
        if reserved(everything.values(), min(share, even_share(everything.values(), room))) <= room:
            chosen.update((name, served[name]) for name in pending)
            pending = {}
        progress = True
        while progress:
            # Content that shrinks makes room for content before it: the rounds go on while anything was taken.
            progress = False
            for name, weight in list(pending.items()):
                if fits(name, weight, weights, share, room):
                    chosen[name], weights[name], progress = served[name], weight, True
                    del pending[name]
        draft = self.assembled(chosen, removals)
        size = size_of(encode(draft))
        refused = {name: fullness.over_its_limit(weight, trust_limit) for name, weight in too_large.items()}
        refused |= {name: fullness.no_room(weight, share, size, self.limit) for name, weight in pending.items()}
        return (
            draft,
            chosen,
            {
                name: fullness.still_served(finding) if chosen[name].content is not None else finding
                for name, finding in refused.items()
                if _differ(chosen[name], served[name])
            },
        )


def _differ(one: Serving, other: Serving) -> bool:
    return (one.content, one.rollout) != (other.content, other.rollout)


def _largest(trust: IndexedTrust, blobs: Mapping[str, bytes]) -> int:
    """Return what a trust takes, with its candidate instead of what is served if that is more: it has both for a while.

    So one that may take so much can be rolled out, too.
    """
    alone = replace(trust, rollout=None)
    contents = (
        [alone] if trust.candidate is None else [alone, replace(alone, content=trust.candidate.content, origins=())]
    )
    return max(weigh(each, blobs).total for each in contents)


def weigh(trust: IndexedTrust, blobs: Mapping[str, bytes]) -> Weight:
    """Return what a trust takes of the bundle."""
    entry = size_of(encode(Bundle(trusts=(trust,)))) - size_of(encode(Bundle())) + len(",")
    needed = {reference: len(reference) + len(blobs[reference]) for reference in trust.references()}
    return Weight(entry, needed, trust.state is not TrustState.REMOVED)
