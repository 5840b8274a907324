"""Rollouts: new content goes to canaries first, from them to all nodes or back, whoever leads after whichever write."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry_trust.compiler.rollout import PATIENCE
from registry_trust.core.reasons import Reason
from registry_trust.core.selection import Selector
from registry_trust.core.trust import Rollout
from tests.unit.compiling import DAY, FIRST, LAST, NEW, OLD, SECOND, THIRD
from tests.unit.rolling import REGISTRY, TRUST, reason_of, rolled_out

BOTH = FIRST.pem + SECOND.pem


def test_new_content_goes_to_one_canary_and_from_there_to_all_nodes():
    cluster = rolled_out()
    cluster.pems["ca"] = BOTH

    assert reason_of(cluster.compile()) is Reason.ROLLING_OUT
    cluster.apply()
    (canary,) = cluster.canaries()
    assert cluster.with_ca(OLD, NEW) == {canary}
    assert cluster.with_ca(OLD) == set(cluster.machines) - {canary}

    assert cluster.compile().waits is None
    cluster.apply()
    assert cluster.with_ca(OLD, NEW) == set(cluster.machines)
    assert cluster.bundle.trust("harbor").rollout is None


def test_a_wrong_ca_is_seen_by_the_canary_alone_and_it_goes_back():
    cluster = rolled_out()
    cluster.pems["ca"] = SECOND.pem
    cluster.compile()
    cluster.apply()
    (canary,) = cluster.canaries()
    assert cluster.with_ca(NEW) == {canary}

    outcome = cluster.compile()
    cluster.apply()
    assert cluster.with_ca(OLD) == set(cluster.machines)
    assert reason_of(outcome) is Reason.CANARY_FAILED
    assert outcome.accepted
    assert f"{canary}: {REGISTRY}: UnknownAuthority" in outcome.waits.message

    for _ in range(5):
        assert reason_of(cluster.compile(later=DAY)) is Reason.CANARY_FAILED
        cluster.apply()
    assert cluster.with_ca(OLD) == set(cluster.machines)


def test_every_write_of_a_rollout_is_followed_by_another_leader_and_each_is_needed():
    """`Rolling.compile` decodes what was written and takes it over: here the writes are counted, too."""
    cluster = rolled_out()
    before = cluster.writes
    for _ in range(3):
        cluster.compile()
    assert cluster.writes == before, "without a change nothing is written"
    cluster.pems["ca"] = BOTH
    for _ in range(3):
        cluster.compile()
    assert cluster.writes == before + 1, "the candidate"
    cluster.apply()
    for _ in range(3):
        cluster.compile()
    assert cluster.writes == before + 2, "the promotion"
    cluster.pems["ca"] = THIRD.pem
    for _ in range(3):
        cluster.compile()
    assert cluster.writes == before + 3, "the next candidate"
    cluster.apply()
    for _ in range(3):
        cluster.compile()
    assert cluster.writes == before + 4, "the refusal"


def test_a_change_of_the_source_begins_again_after_a_failure():
    cluster = rolled_out()
    cluster.pems["ca"] = SECOND.pem
    assert reason_of(cluster.settle()) is Reason.CANARY_FAILED
    cluster.pems["ca"] = BOTH

    assert cluster.settle().waits is None
    assert cluster.with_ca(OLD, NEW) == set(cluster.machines)


def test_a_source_that_is_set_back_ends_the_rollout_and_the_failure():
    cluster = rolled_out()
    for pem in (BOTH, SECOND.pem):
        cluster.pems["ca"] = pem
        cluster.compile()
        cluster.apply()
        cluster.pems["ca"] = FIRST.pem
        assert cluster.compile().waits is None
        cluster.apply()
        assert cluster.with_ca(OLD) == set(cluster.machines)


def test_of_two_changes_in_a_row_the_newest_wins_on_the_same_canaries():
    cluster = rolled_out()
    cluster.pems["ca"] = BOTH
    cluster.compile()
    canaries = cluster.canaries()
    cluster.pems["ca"] = BOTH + THIRD.pem
    cluster.compile()
    assert cluster.canaries() == canaries
    cluster.apply()
    assert cluster.with_ca(OLD, NEW, LAST) == set(canaries)
    assert cluster.with_ca(OLD, NEW) == set()

    assert cluster.settle().waits is None
    assert cluster.with_ca(OLD, NEW, LAST) == set(cluster.machines)


def test_what_a_canary_said_of_the_change_before_promotes_nothing():
    cluster = rolled_out()
    cluster.pems["ca"] = BOTH
    cluster.compile()
    cluster.apply()
    cluster.pems["ca"] = SECOND.pem

    assert reason_of(cluster.compile()) is Reason.ROLLING_OUT
    assert reason_of(cluster.compile()) is Reason.ROLLING_OUT


@pytest.mark.parametrize("how", ["dies", "loses its agent", "is deleted", "is relabelled", "has an older agent"])
def test_a_canary_that_goes_is_replaced_and_comes_back_to_what_all_have(how: str):
    canary = Selector((("canary", "yes"),))
    trust = replace(TRUST, rollout=Rollout(1, selector=canary))
    cluster = rolled_out(trust=trust, labels={"canary": "yes"})
    cluster.pems["ca"] = BOTH
    cluster.compile()
    (first,) = cluster.canaries()
    gone = cluster.machines[first]
    if how != "is relabelled":  # It has said nothing yet, or it would have been enough.
        cluster.apply(first)
    match how:
        case "dies":
            gone.ready = False
        case "loses its agent":
            gone.live = False
        case "is deleted":
            del cluster.machines[first]
        case "is relabelled":
            gone.labels = {}
        case _:
            gone.schema = 1
            cluster.apply(first)
    cluster.compile()
    assert cluster.canaries() == (first,), "a node that flaps would write the bundle each time"
    cluster.compile(later=PATIENCE)
    (second,) = cluster.canaries()
    assert second != first
    gone.ready = gone.live = True
    cluster.apply()
    assert cluster.with_ca(OLD, NEW) == {second}
    assert cluster.settle().waits is None
    assert cluster.with_ca(OLD, NEW) == set(cluster.machines)


def test_a_leader_that_finds_no_agent_at_first_leaves_the_canaries_alone():
    cluster = rolled_out()
    cluster.pems["ca"] = BOTH
    cluster.compile()
    canaries, writes = cluster.canaries(), cluster.writes
    for machine in cluster.machines.values():
        machine.live = False
    assert reason_of(cluster.compile(later=PATIENCE)) is Reason.ROLLING_OUT
    for machine in cluster.machines.values():
        machine.live = True
    assert reason_of(cluster.compile()) is Reason.ROLLING_OUT
    assert (cluster.canaries(), cluster.writes) == (canaries, writes)


def test_a_canary_that_is_chosen_later_is_judged_by_what_it_says_later_and_has_the_whole_minimum():
    cluster = rolled_out()
    cluster.change(rollout=Rollout(1, minimum=100.0))
    cluster.pems["ca"] = BOTH
    cluster.compile()
    cluster.apply()
    (first,) = cluster.canaries()
    cluster.machines[first].ready = False
    assert reason_of(cluster.compile(later=99.0)) is Reason.ROLLING_OUT
    assert reason_of(cluster.compile(later=99.0)) is Reason.ROLLING_OUT
    cluster.apply()
    assert reason_of(cluster.compile()) is Reason.ROLLING_OUT
    assert cluster.result.due == pytest.approx(1.0)
    assert cluster.compile(later=1.0).waits is None


def test_without_a_node_that_can_be_canary_it_waits_and_says_so_and_begins_when_one_comes():
    cluster = rolled_out()
    for machine in cluster.machines.values():
        machine.schema = 1
    cluster.apply()
    cluster.pems["ca"] = BOTH
    assert reason_of(cluster.settle()) is Reason.NO_CANARY
    assert cluster.with_ca(OLD) == set(cluster.machines), "agents of before candidates read the same bundle"

    cluster.machines["two"].schema = 2
    cluster.apply()
    assert cluster.settle().waits is None


def test_what_nobody_can_tell_waits_and_an_admin_promotes_just_that():
    cluster = rolled_out()
    del cluster.shown[REGISTRY]
    cluster.pems["ca"] = BOTH
    outcome = cluster.settle()
    assert reason_of(outcome) is Reason.CANARY_UNVERIFIED
    revision = outcome.next_revision
    assert f"registrytrust.io/promote={revision}" in outcome.waits.message

    cluster.promoted["harbor"] = "0123456789ab"
    assert reason_of(cluster.settle()) is Reason.CANARY_UNVERIFIED
    cluster.promoted["harbor"] = revision
    outcome = cluster.settle()
    assert outcome.waits is None
    assert outcome.revision == revision
    cluster.pems["ca"] = BOTH + THIRD.pem
    assert reason_of(cluster.settle()) is Reason.CANARY_UNVERIFIED, "it counts for one content"


def test_what_failed_on_a_canary_goes_to_all_if_an_admin_promotes_it():
    cluster = rolled_out()
    cluster.pems["ca"] = SECOND.pem
    cluster.promoted["harbor"] = cluster.settle().next_revision

    assert cluster.settle().waits is None
    assert cluster.with_ca(NEW) == set(cluster.machines)


def test_without_verification_it_is_enough_that_canaries_have_it():
    cluster = rolled_out(trust=replace(TRUST, rollout=Rollout(1, verify=False)))
    cluster.pems["ca"] = SECOND.pem
    assert cluster.settle().waits is None
    assert cluster.with_ca(NEW) == set(cluster.machines)


def test_where_nobody_asks_it_says_that():
    cluster = rolled_out()
    cluster.asks = False
    cluster.pems["ca"] = BOTH
    outcome = cluster.settle()
    assert reason_of(outcome) is Reason.CANARY_UNVERIFIED
    assert "verification.enabled" in outcome.waits.message


def test_a_canary_that_can_not_apply_it_fails():
    cluster = rolled_out()
    cluster.pems["ca"] = BOTH
    cluster.compile()
    (canary,) = cluster.canaries()
    cluster.machines[canary].fails = True
    cluster.apply()
    outcome = cluster.compile()
    assert reason_of(outcome) is Reason.CANARY_FAILED
    assert "ForeignFile" in outcome.waits.message


def test_pulls_that_failed_before_are_no_failure_of_new_content_and_prove_nothing():
    cluster = rolled_out()
    cluster.shown[REGISTRY] = LAST
    cluster.apply()
    cluster.pems["ca"] = BOTH
    assert reason_of(cluster.settle()) is Reason.CANARY_UNVERIFIED

    cluster.pems["ca"] = BOTH + THIRD.pem
    assert cluster.settle().waits is None
    assert cluster.with_ca(OLD, NEW, LAST) == set(cluster.machines)


def test_one_node_that_lies_about_what_is_served_does_not_hide_a_failure():
    cluster = rolled_out()
    liar = cluster.bundle.trust("harbor").verifiers[0]
    shown = cluster.shown.copy()
    cluster.shown[REGISTRY] = LAST
    cluster.apply(liar)
    cluster.shown = shown
    cluster.pems["ca"] = SECOND.pem
    assert reason_of(cluster.settle()) is Reason.CANARY_FAILED


def test_a_ca_that_is_in_use_and_is_taken_away_goes_from_the_canary_alone():
    cluster = rolled_out()
    cluster.pems["ca"] = BOTH
    cluster.settle()
    cluster.pems["ca"] = SECOND.pem
    cluster.compile()
    cluster.apply()
    assert cluster.with_ca(NEW) == set(cluster.canaries())
    assert reason_of(cluster.settle()) is Reason.CANARY_FAILED
    assert cluster.with_ca(OLD, NEW) == set(cluster.machines)

    cluster.pems["ca"] = FIRST.pem
    assert cluster.settle().waits is None
    assert cluster.with_ca(OLD) == set(cluster.machines)


def test_a_revocation_goes_to_all_at_once_if_an_admin_promotes_it():
    cluster = rolled_out()
    cluster.pems["ca"] = BOTH
    cluster.settle()
    cluster.pems["ca"] = SECOND.pem
    cluster.promoted["harbor"] = cluster.compile().next_revision
    assert cluster.compile().waits is None
    cluster.apply()
    assert cluster.with_ca(NEW) == set(cluster.machines)


def test_retention_begins_when_all_nodes_have_the_new_ca_and_its_end_is_tried_first():
    cluster = rolled_out(trust=replace(TRUST, ca_retention=DAY))
    cluster.pems["ca"] = SECOND.pem
    del cluster.shown[REGISTRY]
    cluster.settle()
    cluster.compile(later=3 * DAY)
    cluster.shown[REGISTRY] = OLD
    assert cluster.settle().waits is None
    assert cluster.with_ca(OLD, NEW) == set(cluster.machines)
    assert cluster.compile(later=DAY - 1).waits is None
    assert cluster.result.due == pytest.approx(1.0)

    cluster.compile(later=1.0)
    assert reason_of(cluster.settle()) is Reason.CANARY_FAILED, "the registry never got a certificate of the new CA"
    assert cluster.with_ca(OLD, NEW) == set(cluster.machines)
    cluster.promoted["harbor"] = cluster.compile().next_revision
    assert cluster.settle().waits is None
    assert cluster.with_ca(NEW) == set(cluster.machines)
