"""The compiler: trusts, sources and the last bundle to the next bundle and to what came of each trust."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from registry_trust.compiler import fullness
from registry_trust.compiler.admission import (
    TRUST_LIMIT,
    Weight,
    even_share,
    fair_share,
    fits,
    only_removes,
    reserved,
)
from registry_trust.compiler.content import Checked, Checker, SourcedCertificate
from registry_trust.compiler.lost_history import still_held
from registry_trust.compiler.reachability import unreachable_pairs
from registry_trust.compiler.removals import Removals, decide_removals
from registry_trust.compiler.retention import Serving, last_good, replacement_warnings, retain
from registry_trust.compiler.served_certificates import served_certificates
from registry_trust.compiler.sources import Sources
from registry_trust.compiler.verifiers import NOBODY, Verifiers
from registry_trust.core.bundle import SIZE_LIMIT, Bundle, IndexedTrust, TrustContent, TrustState
from registry_trust.core.bundle_format import encode, size_of
from registry_trust.core.problem import Problem
from registry_trust.core.trust import Trust, Verification


@dataclass(frozen=True, slots=True)
class TrustInput:
    """One existing `RegistryTrust`: parsed, or with the errors that kept it from being parsed; and its status."""

    name: str
    uid: str
    created: str
    generation: int
    trust: Trust | None
    errors: tuple[Problem, ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one trust.

    `content` is what is served (last good content where there are errors), `since` the serial at which it last
    changed, `revision` 12 hex digits that name it; empty where nothing is served. `verifiers` are the nodes that ask
    its registries whether a pull would work.
    """

    name: str
    uid: str
    generation: int
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    certificates: tuple[SourcedCertificate, ...]
    content: TrustContent | None
    since: int
    registries: tuple[str, ...] = ()
    suspended: bool = False
    withdrawn: bool = False
    verification: Verification = Verification.OFF
    verifiers: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether what the admin wrote, with its sources, is what is served (or would be, were it not suspended)."""
        return not self.errors

    @property
    def revision(self) -> str:
        """Return the name of the served content."""
        return revision_of(self.content) if self.content is not None else ""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The next bundle (the last one itself if nothing changed), what came of each trust, and what is held.

    `encoded` is the bundle as the data of a Secret, empty if nothing changed; `due` the seconds until the next removal
    or the end of a retention matures; `crowding` the names of the largest trusts while the bundle is nearly full.
    """

    bundle: Bundle
    encoded: Mapping[str, bytes] = field(repr=False)
    outcomes: Mapping[str, Outcome]
    removals: Removals
    changed: bool = field(default=False)
    due: float | None = None
    crowding: tuple[str, ...] = ()


def revision_of(content: TrustContent) -> str:
    """Return 12 hex digits over everything that a trust asks of a node."""
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


def compile_bundle(
    trusts: Sequence[TrustInput],
    sources: Sources,
    last: Bundle,
    now: float,
    *,
    checker: Checker,
    steady: float | None = None,
    fleet_size: int = 0,
    confirmed_serial: int = 0,
    removals_frozen: bool = False,
    resume: bool = False,
    trust_limit: int = TRUST_LIMIT,
    verifiers: Verifiers = NOBODY,
) -> Compiled:
    """Compile every trust into the next bundle.

    One bad trust never blocks another: it stays at its last good content, or is held where there is none. A trust
    keeps its place in the index; new ones are appended by (creationTimestamp, name).

    Args:
        trusts: every `RegistryTrust` that exists.
        sources: the complete trust namespace.
        last: the bundle as it was written last (an empty one where there never was any).
        now: Unix time; certificates are judged by it, and it takes nothing away.
        steady: Unix time by a clock that nobody can set; removals and retention end by it. `now` by default.
        checker: remembers the checks of trusts that did not change.
        fleet_size: number of Nodes.
        confirmed_serial: see `removals.judge`.
        removals_frozen: see `removals.judge`.
        resume: take back a withdrawal, because somebody installed registry-trust again.
        trust_limit: bytes that one trust may take of the bundle.
        verifiers: chooses the nodes that ask a trust's registries whether a pull would work.
    """
    ordered = _in_index_order(trusts, last)
    checker.forget_all_but({item.name for item in ordered})
    checks = {item.name: _check(item, sources, now, checker) for item in ordered}
    elapsed = now if steady is None else steady
    served = {item.name: _serve(item, checks[item.name], last, elapsed) for item in ordered}
    contents = {name: serving.content for name, serving in served.items()}
    removals = decide_removals(last, contents, elapsed, confirmed_serial=confirmed_serial, frozen=removals_frozen)
    blobs = dict(last.blobs)
    for check in checks.values():
        blobs.update(check.blobs)
    # A write that changes nothing else takes no serial: then it is the last bundle that stays.
    lost = still_held(last.lost_history, elapsed, confirmed_serial=confirmed_serial, frozen=removals_frozen)
    frame = Bundle(
        serial=last.serial + 1, fleet_size=fleet_size, withdrawn=last.withdrawn and not resume, lost_history=lost
    )
    draft = _assemble(ordered, served, removals, blobs, last, frame, verifiers)
    changed, encoded = _differs(draft, last), encode(draft)
    refused: Mapping[str, Problem] = {}
    if changed and _needs_fitting(draft, size_of(encoded), last, trust_limit):
        # What does not fit covers nothing: a removed trust goes only for content that is served already.
        kept = {item.name: last_good(last.trust(item.name)).content for item in ordered}
        removals = decide_removals(last, kept, elapsed, confirmed_serial=confirmed_serial, frozen=removals_frozen)
        draft, served, refused = _fit(ordered, served, removals, blobs, last, frame, trust_limit, verifiers)
        changed, encoded = _differs(draft, last), encode(draft)
    bundle = draft if changed else last
    crowding = fullness.crowding(bundle, size_of(encoded), SIZE_LIMIT)
    hidden, indexed = unreachable_pairs(bundle), {trust.name: trust for trust in bundle.trusts}
    outcomes = {
        item.name: _outcome(
            item,
            checks[item.name],
            bundle,
            sources,
            (
                *replacement_warnings(indexed.get(item.name), item.trust, sources, elapsed),
                *checks[item.name].warnings,
                *hidden.get(item.name, ()),
                *crowding.get(item.name, ()),
            ),
            refused.get(item.name),
            verifiers,
        )
        for item in ordered
    }
    held_until = None if lost is None or removals_frozen else lost.held_until
    ends = (removals.due, held_until, *(serving.due for serving in served.values()))
    due = min((end - elapsed for end in ends if end is not None), default=None)
    return Compiled(bundle, encoded if changed else {}, outcomes, removals, changed, due, tuple(crowding))


def _in_index_order(trusts: Sequence[TrustInput], last: Bundle) -> list[TrustInput]:
    places = {trust.name: place for place, trust in enumerate(last.trusts)}
    return sorted(
        trusts,
        key=lambda item: (
            places.get(item.name, len(places)),
            "" if item.name in places else item.created,
            item.name,
        ),
    )


def _check(item: TrustInput, sources: Sources, now: float, checker: Checker) -> Checked:
    if item.trust is None:
        return Checked(None, errors=item.errors)
    return checker.check(item.trust, sources, now)


def _serve(item: TrustInput, checked: Checked, last: Bundle, now: float) -> Serving:
    """Return the content to serve: the new one, or the last good one where it is bad or the trust is suspended."""
    before = last.trust(item.name)
    if item.trust is None or item.trust.suspend or checked.content is None:
        return last_good(before)
    return retain(checked.content, checked.origins, before, item.trust, now, left_out=checked.left_out)


def _assemble(
    ordered: Sequence[TrustInput],
    served: Mapping[str, Serving],
    removals: Removals,
    blobs: Mapping[str, bytes],
    last: Bundle,
    frame: Bundle,
    verifiers: Verifiers,
) -> Bundle:
    """Put the index together: existing trusts and tombstones at the places that they have, new ones at the end."""
    live = {item.name: _indexed(item, served[item.name], last, verifiers) for item in ordered}
    names = [trust.name for trust in last.trusts if trust.name in live or trust.name in removals.tombstones]
    names += [item.name for item in ordered if last.trust(item.name) is None]
    trusts = tuple(live.get(name) or removals.tombstones[name] for name in names)
    needed = {reference for trust in trusts if trust.content is not None for reference in trust.content.references()}
    return replace(
        frame,
        trusts=trusts,
        blobs={reference: blobs[reference] for reference in sorted(needed)},
        removals=removals.carried_out,
    )


def _indexed(item: TrustInput, serving: Serving, last: Bundle, verifiers: Verifiers) -> IndexedTrust:
    before, content = last.trust(item.name), serving.content
    unchanged = before is not None and before.content == content and before.state is not TrustState.REMOVED
    since = before.since if before is not None and unchanged else last.serial + 1
    state = TrustState.ACTIVE if content is not None else TrustState.HELD
    origins, replaced = serving.origins, serving.roots_replaced
    indexed = IndexedTrust(item.name, item.uid, since, state, content, origins=origins, roots_replaced=replaced)
    return verifiers.assigned(indexed, before, item.trust)


def _differs(draft: Bundle, last: Bundle) -> bool:
    return last.serial == 0 or not draft.same_content(last)


def _needs_fitting(draft: Bundle, size: int, last: Bundle, trust_limit: int) -> bool:
    """Say whether anything may not fit: below half of the limit only a trust's own counts."""
    before = {trust.name: trust.content for trust in last.trusts}
    return 2 * size > SIZE_LIMIT or any(
        trust.content != before.get(trust.name) and _weigh(trust, draft.blobs).total > trust_limit
        for trust in draft.trusts
    )


def _weigh(trust: IndexedTrust, blobs: Mapping[str, bytes]) -> Weight:
    references = set(trust.content.references()) if trust.content is not None else set()
    entry = size_of(encode(Bundle(trusts=(trust,)))) - size_of(encode(Bundle())) + len(",")
    needed = {reference: len(reference) + len(blobs[reference]) for reference in references}
    return Weight(entry, needed, trust.state is not TrustState.REMOVED)


def _fit(
    ordered: Sequence[TrustInput],
    served: Mapping[str, Serving],
    removals: Removals,
    blobs: Mapping[str, bytes],
    last: Bundle,
    frame: Bundle,
    trust_limit: int,
    verifiers: Verifiers,
) -> tuple[Bundle, dict[str, Serving], dict[str, Problem]]:
    """Take what fits, in index order, and say of each other trust why it does not; see `admission`."""
    chosen = {item.name: last_good(last.trust(item.name)) for item in ordered}
    draft = _assemble(ordered, chosen, removals, blobs, last, frame, verifiers)
    weights = {trust.name: _weigh(trust, blobs) for trust in draft.trusts}
    room = SIZE_LIMIT - size_of(encode(replace(draft, trusts=(), blobs={})))
    share = fair_share(weights.values(), room)
    pending = {
        item.name: _weigh(_indexed(item, served[item.name], last, verifiers), blobs)
        for item in ordered
        if chosen[item.name] != served[item.name]
    }
    too_large = {
        name: weight
        for name, weight in pending.items()
        if weight.total > trust_limit and not only_removes(weights[name], weight)
    }
    pending = {name: weight for name, weight in pending.items() if name not in too_large}
    everything = {**weights, **pending}
    if reserved(everything.values(), min(share, even_share(everything.values(), room))) <= room:
        chosen.update((name, served[name]) for name in pending)
        pending = {}
    progress = True
    while progress:
        # Content that shrinks makes room for content before it, so that the rounds go on while anything was taken.
        progress = False
        for name, weight in list(pending.items()):
            if fits(name, weight, weights, share, room):
                chosen[name], weights[name], progress = served[name], weight, True
                del pending[name]
    draft = _assemble(ordered, chosen, removals, blobs, last, frame, verifiers)
    size = size_of(encode(draft))
    refused = {name: fullness.over_its_limit(weight, trust_limit) for name, weight in too_large.items()}
    refused |= {name: fullness.no_room(weight, share, size, SIZE_LIMIT) for name, weight in pending.items()}
    return (
        draft,
        chosen,
        {
            name: fullness.still_served(finding) if chosen[name].content is not None else finding
            for name, finding in refused.items()
            if chosen[name].content != served[name].content
        },
    )


def _outcome(
    item: TrustInput,
    checked: Checked,
    bundle: Bundle,
    sources: Sources,
    warnings: tuple[Problem, ...],
    refused: Problem | None,
    verifiers: Verifiers,
) -> Outcome:
    indexed = bundle.trust(item.name)
    content = indexed.content if indexed is not None else None
    errors = checked.errors if refused is None else (*checked.errors, refused)
    certificates = served_certificates(last_good(indexed), checked, item.trust, sources, bundle.blobs)
    return Outcome(
        name=item.name,
        uid=item.uid,
        generation=item.generation,
        errors=errors,
        warnings=warnings,
        certificates=certificates,
        content=content,
        since=indexed.since if indexed is not None else bundle.serial,
        verification=verifiers.wanted(item.trust),
        verifiers=indexed.verifiers if indexed is not None else (),
        registries=item.trust.registries if item.trust is not None else content.registries if content else (),
        suspended=item.trust is not None and item.trust.suspend,
        withdrawn=bundle.withdrawn,
    )
