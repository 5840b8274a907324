"""Statuses and Events: the conditions of a trust, its failing nodes, and what is told of each turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from registry_trust.compiler.canaries import Canaries
from registry_trust.compiler.compile import Outcome
from registry_trust.compiler.placement import Agents, placement_of
from registry_trust.compiler.startup_taint import REMOVED, Wait, kept
from registry_trust.compiler.verifiers import Verifiers
from registry_trust.controller.announcements import Announcements, replacements
from registry_trust.controller.events import About
from registry_trust.controller.transitions import NOTE_LIMIT, Event, events
from registry_trust.core.bundle import SCHEMA, Bundle, LostHistory
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState
from registry_trust.core.selection import Selector
from registry_trust.core.trust import Rollout, SourceRef
from registry_trust.core.verdict.verdict import Verdict, failed, unknown, verified
from tools import pki
from tools.messages.cluster import (
    CURRENT,
    GOOD,
    NODES,
    NOW,
    REGISTRY,
    Situation,
    canaries_of,
    compiled,
    outcome_of,
    secret,
)
from tools.messages.nodes import FOREIGN
from tools.pki import issue, root

CA_SECRET = secret("harbor-ca", ca_crt=root().pem)
SERVED = compiled((GOOD,), CA_SECRET).bundle


WORKS = verified("it answers 401, so pulls work", ())
FAILS = failed(Reason.WRONG_NAME, "...")
NOBODY_KNOWS = unknown(Reason.REGISTRY_UNREACHABLE, "...")


def answered(verdict: Verdict) -> RegistryRow:
    """Return a row of a node that asked the registry."""
    return RegistryRow(REGISTRY, RowState.CURRENT, "0123456789abcdef", verdict=verdict)


def ending(days: int) -> bytes:
    """Return a CA certificate that expires some days after now."""
    name = "Ending CA" if days > 0 else "Ended CA"
    return issue(name, pki.curve_key(5), ca=True, not_after=NOW + timedelta(days=days)).pem


TRIED = replace(GOOD, ca_retention=0.0, rollout=Rollout(1))
NEXT_SECRET = secret("harbor-ca", ca_crt=issue("Next CA", pki.curve_key(5), ca=True).pem)
NEXT = outcome_of(TRIED, NEXT_SECRET, last=SERVED).content


def rollouts() -> dict[str, Outcome]:
    """Return what comes of new content on its way to canaries, there, and after one failed."""
    ask = Verifiers(NODES)
    first = compiled((TRIED,), NEXT_SECRET, last=SERVED, canaries=canaries_of(), verifiers=ask)
    indexed = first.bundle.trust("harbor")
    (canary,) = indexed.candidate.canaries if indexed is not None and indexed.candidate is not None else ("",)

    def after(verdict: Verdict | None = None, **changes: Any) -> Outcome:
        rows = () if verdict is None else (answered(verdict),)
        report = replace(CURRENT, schema=SCHEMA, registries=rows, **changes)
        told = canaries_of(**{canary.replace("-", "_"): report})
        return outcome_of(TRIED, NEXT_SECRET, last=first.bundle, canaries=told, verifiers=ask)

    slow = replace(TRIED, rollout=Rollout(1, minimum=600.0, verify=False))
    return {
        "on a canary": first.outcomes["harbor"],
        "on a canary that asks": after(),
        "on a canary that can't tell": after(NOBODY_KNOWS),
        "failed on a canary": after(FAILS),
        "on a canary for a while": outcome_of(
            slow, NEXT_SECRET, last=first.bundle, canaries=canaries_of(), verifiers=ask
        ),
        "without a canary": outcome_of(TRIED, NEXT_SECRET, last=SERVED, canaries=NO_CANARIES, verifiers=ask),
        "where nobody asks": outcome_of(TRIED, NEXT_SECRET, last=first.bundle, canaries=canaries_of()),
        "suspended on a canary": outcome_of(
            replace(TRIED, suspend=True), NEXT_SECRET, last=first.bundle, canaries=canaries_of(), verifiers=ask
        ),
        "new, on a canary": outcome_of(TRIED, NEXT_SECRET, last=Bundle(1), canaries=canaries_of(), verifiers=ask),
    }


NO_CANARIES = Canaries(lambda: (), {}, "", 0)


def situations() -> dict[str, Situation]:
    """Return each situation of a trust, by its name."""
    good = Situation(outcome_of(GOOD, CA_SECRET))
    suspended = replace(GOOD, suspend=True)
    early = issue("Early CA", pki.curve_key(5), ca=True, not_before=NOW + timedelta(days=1)).pem
    asked = Situation(outcome_of(GOOD, CA_SECRET, verifiers=Verifiers(NODES)))
    pool_b = placement_of({"nodeSelector": {"pool": "b"}})
    two = replace(GOOD, ca_sources=(*GOOD.ca_sources, SourceRef("Secret", "other-ca", "ca.crt")))
    rolling = {name: Situation(outcome) for name, outcome in rollouts().items()}
    return {
        "good": good,
        "warned": Situation(outcome_of(replace(GOOD, registries=("localhost:5000",)), CA_SECRET)),
        "suspended": Situation(outcome_of(suspended, CA_SECRET, last=SERVED)),
        "suspended from the start": Situation(outcome_of(suspended, CA_SECRET)),
        "missing": Situation(outcome_of(two)),
        "missing later": Situation(outcome_of(GOOD, last=SERVED)),
        "withdrawn": Situation(outcome_of(GOOD, CA_SECRET, last=replace(SERVED, withdrawn=True))),
        "for no node": Situation(outcome_of(replace(GOOD, selector=Selector((("pool", "b"),))), CA_SECRET)),
        "pending": good.but("worker-2", serial=0),
        "failing": good.but("worker-3", registries=(FOREIGN,), failing=1),
        "failing more": good.but("worker-3", failing=70),
        "away": replace(good, nodes=(*NODES[:2], replace(NODES[2], ready=False))).but("worker-3", serial=0),
        "silent": replace(good, agents=Agents(frozenset({"worker-1", "worker-2"}))).but("worker-3", serial=0),
        "excluded": replace(good, reports={}, agents=Agents(frozenset({"master"}), pool_b)),
        "without agents": replace(good, agents=Agents()),
        "without the DaemonSet": replace(good, agents=Agents(placement=None)),
        "expiring": Situation(outcome_of(GOOD, secret("harbor-ca", ca_crt=ending(20) + root().pem))),
        "expiring soon": Situation(outcome_of(GOOD, secret("harbor-ca", ca_crt=ending(5) + root().pem))),
        "expired": Situation(outcome_of(GOOD, secret("harbor-ca", ca_crt=ending(-1) + root().pem))),
        "not verified yet": asked,
        "agents that do not verify": replace(asked, newest=CURRENT.serial),
        "verified": asked.but("worker-1", registries=(answered(WORKS),)),
        "verified by some": asked.but("worker-1", registries=(answered(WORKS),)).but(
            "worker-2", registries=(answered(NOBODY_KNOWS),)
        ),
        "verified by none": asked.but("worker-2", registries=(answered(NOBODY_KNOWS),)),
        "verification failed": asked.but("worker-3", registries=(answered(FAILS),)),
        **rolling,
        "rolled out": Situation(replace(rolling["on a canary"].outcome, content=NEXT, rollout=None, waits=None)),
        "early": Situation(outcome_of(GOOD, secret("harbor-ca", ca_crt=early + root().pem))),
    }


TURNS = (
    ("on a canary", "rolled out"),
    ("on a canary", "failed on a canary"),
    ("on a canary", "without a canary"),
    ("missing", "good"),
    ("good", "missing later"),
    ("pending", "good"),
    ("good", "failing"),
    ("failing", "good"),
    ("good", "without agents"),
    ("good", "expiring"),
    ("good", "expiring soon"),
    ("good", "expired"),
    ("good", "early"),
    ("not verified yet", "verified"),
    ("not verified yet", "verification failed"),
)
"""Pairs of situations: Events tell of the second one after the first."""


def said() -> Iterator[Problem]:
    """Yield what conditions, failing nodes and Events say."""
    statuses = {name: situation.status() for name, situation in situations().items()}
    for status in statuses.values():
        for condition in status["conditions"]:
            yield Problem(Reason(condition["reason"]), condition["message"])
        for row in status.get("failingNodes", ()):
            yield Problem(Reason(row["reason"]), row["message"])
    for before, after in TURNS:
        yield from (event.problem for event in events(statuses[before], statuses[after]))
    yield from _of_rotations()
    yield from _announced()
    yield REMOVED
    why = Problem(Reason.ROOT_NOT_READ, "/etc/containerd/certs.d: ...")
    yield kept(NODES[2], Wait("harbor", why), NOTE_LIMIT)


def _of_rotations() -> Iterator[Problem]:
    """Yield the Events of a CA that is replaced, kept for a while and dropped, and of one replaced with no overlap."""
    replaced = secret("harbor-ca", ca_crt=root(1).pem)
    kept = compiled((GOOD,), replaced, last=SERVED, after=timedelta(hours=1))
    gone = compiled((GOOD,), replaced, last=kept.bundle, after=timedelta(hours=26))
    bare = compiled((replace(GOOD, ca_retention=0.0),), replaced, last=SERVED, after=timedelta(hours=1))
    early = issue("Early CA", pki.curve_key(5), ca=True, not_before=NOW + timedelta(days=1)).pem
    future = secret("harbor-ca", ca_crt=root().pem + early)
    waiting = compiled((GOOD,), future, last=SERVED)
    valid = compiled((GOOD,), future, last=waiting.bundle, after=timedelta(days=2))

    yield from (event.problem for _, event in replacements(SERVED, bare))

    def status(step: Any, **after: int) -> dict[str, Any]:
        return Situation(step.outcomes["harbor"], at=NOW + timedelta(**after)).status()

    first = Situation(outcome_of(GOOD, CA_SECRET)).status()
    for before, after in (
        (first, status(kept, hours=1)),
        (status(kept, hours=1), status(gone, hours=26)),
        (first, status(bare, hours=1)),
        (status(waiting), status(valid, days=2)),
    ):
        yield from (event.problem for event in events(before, after))


class _Heard:
    """In place of the recorder of Events: keeps what is told."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def tell(self, about: About, event: Event, *when: object) -> None:
        self.problems.append(event.problem)


def _announced() -> Iterator[Problem]:
    """Yield the Events of trusts that went together (after their grace the guard holds them), and of a lost history."""
    heard = _Heard()
    trusts = tuple(
        replace(GOOD, name=name, uid=f"uid-{name}", registries=(f"{name}.corp.example",))
        for name in ("harbor", "quay", "gitlab", "nexus")
    )
    last = compiled(trusts, CA_SECRET).bundle
    for seconds in (1, 40):
        last = (held := compiled(trusts[:1], CA_SECRET, last=last, after=timedelta(seconds=seconds))).bundle
    announcements = Announcements(heard, "registry-trust/registry-trust-bundle")  # type: ignore[arg-type]
    announcements.removals_held(held)
    yield from heard.problems[:1]
    announcements.history_lost(replace(last, lost_history=LostHistory(9, NOW.timestamp())), "uid")
    yield from heard.problems[-1:]
