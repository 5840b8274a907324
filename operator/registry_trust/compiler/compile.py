"""The compiler: trusts, sources and the last bundle to the next bundle and to what came of each trust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from registry_trust.compiler import fullness
from registry_trust.compiler.admission import TRUST_LIMIT
from registry_trust.compiler.canaries import Canaries
from registry_trust.compiler.content import Checked, Checker, SourcedCertificate
from registry_trust.compiler.fitting import Draft
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.lost_history import still_held
from registry_trust.compiler.reachability import unreachable_pairs
from registry_trust.compiler.removals import Removals, decide_removals
from registry_trust.compiler.retention import Serving, last_good, replacement_warnings, retain
from registry_trust.compiler.rollout import Moment, frozen, revision_of, stage
from registry_trust.compiler.served_certificates import served_certificates
from registry_trust.compiler.sources import Sources
from registry_trust.compiler.verifiers import NOBODY, Verifiers
from registry_trust.core.bundle import SIZE_LIMIT, Bundle, CanaryContent, IndexedTrust, Refusal, TrustContent
from registry_trust.core.bundle_format import encode, size_of
from registry_trust.core.problem import Problem
from registry_trust.core.trust import Verification


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one trust.

    `content` is what is served (last good content where there are errors), `since` the serial at which it last
    changed, `revision` 12 hex digits that name it; empty where nothing is served. `verifiers` are the nodes that ask
    its registries whether a pull would work. `rollout` is content that is not for all nodes, or not for any, and
    `waits` says why.
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
    rollout: CanaryContent | Refusal | None = None
    waits: Problem | None = None

    @property
    def accepted(self) -> bool:
        """Whether what the admin wrote, with its sources, is what is served (or would be, were it not suspended)."""
        return not self.errors

    @property
    def revision(self) -> str:
        """Return the name of the served content."""
        return revision_of(self.content) if self.content is not None else ""

    @property
    def candidate(self) -> CanaryContent | None:
        """Return the content that only canaries have."""
        return self.rollout if isinstance(self.rollout, CanaryContent) else None

    @property
    def next_revision(self) -> str:
        """Return the name of the content that is not served to all nodes yet; empty without any."""
        if isinstance(self.rollout, Refusal):
            return self.rollout.revision
        return revision_of(self.rollout.content) if self.rollout is not None else ""


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
    canaries: Canaries | None = None,
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
        canaries: the nodes that may get new content first; without them, as for files, all content is for all nodes.
    """
    ordered = _in_index_order(trusts, last)
    checker.forget_all_but({item.name for item in ordered})
    checks = {item.name: _check(item, sources, now, checker) for item in ordered}
    elapsed = now if steady is None else steady
    withdrawn = last.withdrawn and not resume
    moment = Moment(last.serial + 1, elapsed, last.serial > 0 and last.lost_history is None, withdrawn)
    served = {
        item.name: _serve(item, checks[item.name], last.trust(item.name), moment, canaries, verifiers)
        for item in ordered
    }
    contents = {name: serving.content for name, serving in served.items()}
    decide = partial(
        decide_removals,
        last,
        now=elapsed,
        coming=[serving.coming for serving in served.values() if serving.coming is not None],
        confirmed_serial=confirmed_serial,
        frozen=removals_frozen,
    )
    removals = decide(live=contents)
    blobs = dict(last.blobs)
    for check in checks.values():
        blobs.update(check.blobs)
    # A write that changes nothing else takes no serial: then it is the last bundle that stays.
    lost = still_held(last.lost_history, elapsed, confirmed_serial=confirmed_serial, frozen=removals_frozen)
    frame = Bundle(last.serial + 1, (), {}, fleet_size, withdrawn, lost_history=lost, writers=last.writers)
    parts = Draft(ordered, blobs, last, frame, verifiers, SIZE_LIMIT)
    draft = parts.assembled(served, removals)
    changed, encoded = _differs(draft, last), encode(draft)
    refused: Mapping[str, Problem] = {}
    if changed and parts.needs_fitting(draft, size_of(encoded), trust_limit):
        # What does not fit covers nothing: a removed trust goes only for content that is served already.
        removals = decide(live={item.name: last_good(last.trust(item.name)).content for item in ordered})
        draft, served, refused = parts.fitted(served, removals, trust_limit)
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
            served[item.name].waits,
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


def _serve(
    item: TrustInput,
    checked: Checked,
    before: IndexedTrust | None,
    moment: Moment,
    canaries: Canaries | None,
    verifiers: Verifiers,
) -> Serving:
    """Return the content to serve: the new one, or the last good one where it is bad or the trust is suspended."""
    if item.trust is None or item.trust.suspend or checked.content is None:
        return last_good(before) if canaries is None else frozen(item.trust, before, canaries, moment)
    new = retain(checked.content, checked.origins, before, item.trust, moment.now, left_out=checked.left_out)
    if canaries is None:
        return new
    asked = verifiers.wanted(item.trust) is not Verification.OFF
    return stage(item.trust, before, new, canaries, moment, promoted=item.promoted, asked=asked)


def _differs(draft: Bundle, last: Bundle) -> bool:
    return last.serial == 0 or not draft.same_content(last)


def _outcome(
    item: TrustInput,
    checked: Checked,
    bundle: Bundle,
    sources: Sources,
    warnings: tuple[Problem, ...],
    refused: Problem | None,
    verifiers: Verifiers,
    waits: Problem | None,
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
        rollout=indexed.rollout if indexed is not None else None,
        waits=waits,
    )
