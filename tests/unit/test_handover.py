"""Leaders with wrong clocks: removals, the guard and retention end by the time that passes, whatever clocks say."""

from __future__ import annotations

from dataclasses import replace
from email.utils import formatdate

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from registry_trust.compiler.handover import take_over
from registry_trust.compiler.removals import GRACE, GUARD_WINDOW, decide_removals
from registry_trust.compiler.retention import retain
from registry_trust.controller.api_server import date_of
from registry_trust.controller.clock import Clock
from registry_trust.core.bundle import Bundle, CAOrigin, IndexedTrust, TrustContent, TrustState
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.trust import SourceRef, Trust

START = 1_800_000_000.0
DAY = 86_400.0
CLOCKS = (0.0, 3600.0, -3600.0, DAY, -DAY, 365 * DAY, -365 * DAY)
NAMES = ("a", "b", "c")
OLD, NEW = "0" * 64, "1" * 64
CA = SourceRef("Secret", "ca", "ca.crt")
TRUST = Trust("a", "uid", "", 1, ("a.example",), (CA,), ca_retention=DAY)


def removed(*names: str, at: float) -> Bundle:
    content = TrustContent(("a.example",))
    trusts = tuple(IndexedTrust(name, "uid", 1, TrustState.REMOVED, content, removed_at=at) for name in names)
    return Bundle(1, trusts)


class Leaders(RuleBasedStateMachine):
    """Trusts that go, under leaders whose clocks are wrong by up to a year and are set while they lead."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.clock = 0.0
        self.led_since = 0.0
        self.live: set[str] = set(NAMES)
        self.gone_since: dict[str, float] = {}
        trusts = tuple(
            IndexedTrust(name, "uid", 1, TrustState.ACTIVE, TrustContent((f"{name}.example",))) for name in NAMES
        )
        self.served = Bundle(1, trusts)

    def compile(self) -> None:
        live = {name: TrustContent((f"{name}.example",)) for name in self.live}
        found = decide_removals(self.served, live, START + self.clock + self.time)
        kept = {trust.name: trust for trust in self.served.trusts if trust.name in self.live}
        self.served = replace(
            self.served,
            serial=self.served.serial + 1,
            trusts=tuple({**kept, **found.tombstones}.values()),
            removals=found.carried_out,
        )

    @initialize(clock=st.sampled_from(CLOCKS))
    def the_first_leader(self, clock: float) -> None:
        self.clock = clock

    @rule(clock=st.sampled_from(CLOCKS))
    def another_leader(self, clock: float) -> None:
        self.clock, self.led_since = clock, self.time
        self.served = take_over(decode(encode(self.served)), START + clock + self.time)
        self.compile()

    @rule(seconds=st.sampled_from((1.0, GRACE, GUARD_WINDOW, DAY)))
    def time_passes(self, seconds: float) -> None:
        self.time += seconds
        self.compile()

    @rule(name=st.sampled_from(NAMES))
    def a_trust_goes(self, name: str) -> None:
        if name in self.live:
            self.live.discard(name)
            self.gone_since[name] = self.time
            self.compile()

    @invariant()
    def nothing_goes_before_its_grace(self) -> None:
        for name, since in self.gone_since.items():
            if self.time - since < GRACE:
                assert self.served.trust(name) is not None, f"{name} went after {self.time - since} s"

    @invariant()
    def nothing_stays_longer_than_one_leader_sees_its_waits_pass(self) -> None:
        for name, since in self.gone_since.items():
            if self.time - max(since, self.led_since) >= GRACE + GUARD_WINDOW:
                assert self.served.trust(name) is None, f"{name} stays"


TestLeaders = Leaders.TestCase
TestLeaders.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)


@pytest.mark.parametrize("ahead", [3600.0, DAY, 365 * DAY])
def test_tombstones_of_a_leader_whose_clock_was_ahead_are_served_for_one_grace_more(ahead: float) -> None:
    taken = take_over(removed("a", at=START + ahead), START)

    assert decide_removals(taken, {}, START + GRACE - 1).tombstones
    assert not decide_removals(taken, {}, START + GRACE).tombstones


@pytest.mark.parametrize("ahead", [3600.0, DAY, 365 * DAY])
def test_a_leader_whose_clock_is_ahead_takes_nothing_away_at_once(ahead: float) -> None:
    guarded = {trust.name for trust in removed(*NAMES, at=START).trusts}

    taken = take_over(removed(*NAMES, at=START), START + ahead)
    assert set(decide_removals(taken, {}, START + ahead + GRACE).guarded) == guarded


def rotated(replaced_at: float) -> Bundle:
    origins = (
        CAOrigin(NEW, CA),
        CAOrigin(OLD, CA, replaced_at),
    )
    content = TrustContent(("a.example",), (OLD, NEW))
    return Bundle(1, (IndexedTrust("a", "uid", 1, TrustState.ACTIVE, content, origins=origins),))


@pytest.mark.parametrize("ahead", [1.0, 3600.0, DAY, 365 * DAY])
def test_retention_that_began_in_the_future_began_now(ahead: float) -> None:
    taken = take_over(rotated(START + ahead), START).trusts[0]
    content, origins = TrustContent(("a.example",), (NEW,)), (CAOrigin(NEW, CA),)

    def trusted(now: float) -> set[str]:
        serving = retain(content, origins, taken, TRUST, now)
        assert serving.content is not None
        return set(serving.content.ca_certificates)

    assert trusted(START + DAY - 1) == {OLD, NEW}
    assert trusted(START + DAY) == {NEW}


def test_restarts_do_not_prolong_retention() -> None:
    assert take_over(rotated(START), START + 3600) == rotated(START)


def test_the_clock_of_the_api_server_is_read_from_its_answers() -> None:
    assert date_of(formatdate(START, usegmt=True)) == START
    for nonsense in ("", None, "tomorrow", "Thu, 99 Foo 99999 99:99:99 GMT", "9" * 5000):
        assert date_of(nonsense) is None


@pytest.mark.parametrize("said", [-1e12, -1.0, 1e18, float("inf")])
def test_whatever_a_clock_says_at_the_start_a_bundle_can_hold_it(said: float) -> None:
    now = Clock().counted_from(said).now()
    bundle = removed("a", at=max(0.0, now))

    assert decode(encode(bundle)) == bundle
