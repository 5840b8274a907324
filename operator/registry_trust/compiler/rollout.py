"""The rollout: whether a trust's new content goes to its canaries, from them to all nodes, or back; a pure decision."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from registry_trust.compiler.canaries import Canaries, Says, Word, asking
from registry_trust.compiler.retention import Serving, last_good
from registry_trust.core.bundle import CanaryContent, IndexedTrust, Refusal, TrustContent
from registry_trust.core.names import PROMOTE_ANNOTATION
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import clip, listing
from registry_trust.core.times import rfc3339
from registry_trust.core.trust import Rollout, Trust


@dataclass(frozen=True, slots=True)
class Moment:
    """When a decision is made.

    Attributes:
        serial: of the bundle that it goes into.
        now: Unix time by a clock that nobody can set.
        known: whether it is known what nodes had before the last bundle.
        stopped: whether nothing goes on at all, because everything is being removed from all nodes.
    """

    serial: int
    now: float
    known: bool
    stopped: bool = False


PATIENCE = 10.0
"""Seconds for which canaries are not exchanged: a node that flaps writes the bundle no more often."""


def revision_of(content: TrustContent) -> str:
    """Return 12 hex digits over everything that a trust asks of a node."""
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


def stage(
    trust: Trust,
    before: IndexedTrust | None,
    new: Serving,
    canaries: Canaries,
    moment: Moment,
    *,
    promoted: str = "",
    asked: bool = True,
) -> Serving:
    """Return what is served of a trust now: its new content, or what was served, with a candidate or a refusal.

    Whatever changes content is tried, also what only takes away, and the end of a retention: a CA that goes while it is
    in use fails more pulls than any that comes. All that is to be remembered is in the bundle, so whoever leads next
    goes on from any write.

    Args:
        trust: the trust.
        before: as the last bundle has it.
        new: what would be served if it went to all nodes at once; its content is not None.
        canaries: the nodes, and what they say.
        moment: the time, and the bundle's.
        promoted: the revision that an admin promotes.
        asked: whether nodes ask registries in this cluster.
    """
    assert new.content is not None  # noqa: S101 - the caller's promise
    rollout, revision = trust.rollout, revision_of(new.content)
    if rollout is None or promoted == revision or (before is not None and before.content == new.content):
        return new
    kept = kept_back(trust, before, moment)
    if moment.stopped:
        return kept
    if isinstance(kept.rollout, Refusal) and kept.rollout.revision == revision:
        waits = _refused(trust.name, kept.rollout, before)
        return replace(kept, waits=waits, due=new.due, coming=new.content)
    candidate = _candidate(rollout, before, new.content, canaries, moment, f"{trust.uid} {revision}")
    words = _words(trust.name, rollout, candidate, canaries)
    failed = next((word for word in words if word.says is Says.FAILED), None)
    if failed is not None and failed.problem is not None:
        refusal = _refusal(revision, failed, failed.problem)
        waits = _refused(trust.name, refusal, before)
        return replace(kept, rollout=refusal, waits=waits, due=new.due, coming=new.content)
    ends = candidate.started_at + rollout.minimum
    if words and all(word.says is Says.FINE for word in words) and moment.now >= ends and (asked or not rollout.verify):
        return new
    waits = _waits(trust.name, revision, candidate, words, ends, before, unasked=rollout.verify and not asked)
    timers = (ends, candidate.started_at + PATIENCE)
    dues = [due for due in (new.due, *(each for each in timers if moment.now < each)) if due is not None]
    return replace(kept, rollout=candidate, waits=waits, due=min(dues, default=None), coming=new.content)


def kept_back(trust: Trust | None, before: IndexedTrust | None, moment: Moment) -> Serving:
    """Return what is served already.

    Of a trust that is new to a history that is known, no node has anything: that is remembered, because its canaries
    have to go back to it.
    """
    if before is None:
        return Serving(None, unserved=moment.known and trust is not None and trust.rollout is not None)
    return last_good(before)


def frozen(trust: Trust | None, before: IndexedTrust | None, canaries: Canaries, moment: Moment) -> Serving:
    """Return what is served of a trust that is suspended, or that can't be used as it is now.

    Nothing goes on from there, but a canary that fails is not left with what fails.
    """
    kept = kept_back(trust, before, moment)
    if isinstance(kept.rollout, Refusal) and trust is not None:
        return replace(kept, waits=_refused(trust.name, kept.rollout, before))
    if trust is None or trust.rollout is None or not isinstance(kept.rollout, CanaryContent):
        return kept
    revision = revision_of(kept.rollout.content)
    for word in _words(trust.name, trust.rollout, kept.rollout, canaries):
        if word.says is Says.FAILED and word.problem is not None:
            refusal = _refusal(revision, word, word.problem)
            return replace(kept, rollout=refusal, waits=_refused(trust.name, refusal, before))
    message = (
        f"revision {revision} stays on its canaries ({_names(kept.rollout.canaries)}) and goes no further as long as "
        "the trust is suspended, or can't be used as it is"
    )
    return replace(kept, waits=Problem(Reason.ROLLING_OUT, message))


def promote_command(trust: str, revision: str) -> str:
    """Return the command by which a revision goes to all nodes now."""
    return f"kubectl annotate --overwrite rt {trust} {PROMOTE_ANNOTATION}={revision}"


def _candidate(
    rollout: Rollout,
    before: IndexedTrust | None,
    content: TrustContent,
    canaries: Canaries,
    moment: Moment,
    place: str,
) -> CanaryContent:
    """Return the candidate as it is to be: as it was, or with other canaries, or a new one on those of the last one."""
    last = before.candidate if before is not None else None
    names = canaries.chosen(last.canaries if last is not None else (), content, rollout, place)
    if last is not None and last.content == content:
        early = moment.now < last.started_at + PATIENCE
        if names == last.canaries or (early and last.canaries):
            return last
    if last is not None:
        failing = last.failing
    else:
        failing = canaries.failing_before(before.verifiers, before.since) if before is not None else ()
    # Who has it from now on is judged by what it says from now on, and has it for the whole of the minimum.
    return CanaryContent(content, moment.serial, moment.now, names, failing)


def _words(trust: str, rollout: Rollout, candidate: CanaryContent, canaries: Canaries) -> list[Word]:
    ask = asking(candidate.canaries) if rollout.verify else ()
    return [canaries.word_of(name, trust, candidate, verify=name in ask) for name in candidate.canaries]


def _refusal(revision: str, word: Word, problem: Problem) -> Refusal:
    return Refusal(revision, word.node, word.registry, Problem(problem.reason, clip(problem.message)))


def _refused(trust: str, refusal: Refusal, before: IndexedTrust | None) -> Problem:
    word = Word(refusal.node, Says.FAILED, refusal.registry, refusal.problem)
    return Problem(
        Reason.CANARY_FAILED,
        f"revision {refusal.revision} failed on a canary and goes no further: {word.shown}; "
        f"{_others(before, 'every node has')}. Change the trust or its source, and the next content is tried. To let "
        f"this one go to all nodes all the same: {promote_command(trust, refusal.revision)}",
    )


def _waits(
    trust: str,
    revision: str,
    candidate: CanaryContent,
    words: Sequence[Word],
    ends: float,
    before: IndexedTrust | None,
    *,
    unasked: bool,
) -> Problem:
    others = _others(before, "all other nodes have")
    command = f"To let it go to all nodes now: {promote_command(trust, revision)}"
    if not words:
        return Problem(
            Reason.NO_CANARY,
            f"revision {revision} waits for a node that can be a canary: Ready, with a live agent of this version, a "
            "runtime that reads its files, and the labels of spec.nodeSelector and spec.rollout.nodeSelector; "
            f"{others}. {command}",
        )
    where = f"revision {revision} is on its canaries first ({_names(candidate.canaries)})"
    unproven = next((word for word in words if word.says is Says.UNPROVEN), None)
    if unproven is not None or unasked:
        nobody = "no node of this installation asks registries (value verification.enabled)"
        what = nobody if unproven is None else unproven.shown
        return Problem(
            Reason.CANARY_UNVERIFIED,
            f"{where}, and nobody can tell whether pulls work there: {what}; {others}. It goes on as soon as they do. "
            f"{command}",
        )
    waiting = next((word for word in words if word.says is Says.WAITING), None)
    what = f", works there, and goes on at {rfc3339(ends)}" if waiting is None else f": {waiting.shown}"
    return Problem(Reason.ROLLING_OUT, f"{where}{what}; {others}. {command}")


def _others(before: IndexedTrust | None, who: str) -> str:
    served = before.content if before is not None else None
    return f"{who} revision {revision_of(served)}" if served is not None else f"{who} nothing of this trust yet"


def _names(canaries: Sequence[str]) -> str:
    return listing(list(canaries), 3) or "none"
