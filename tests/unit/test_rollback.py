"""Rollback: which bundles an agent takes, and which it takes only after a while."""

from __future__ import annotations

from registry_trust.agent.rollback import PATIENCE, Applied, decide, newest
from registry_trust.core.reasons import Reason

NINE = Applied("secret-1", 9)


def test_a_new_node_takes_any_bundle() -> None:
    assert decide(None, "secret-1", 1, None, 0.0).accepted


def test_a_store_laid_down_at_boot_without_a_bundle_takes_any() -> None:
    assert decide(Applied("", 0), "secret-1", 1, None, 0.0).accepted


def test_the_same_and_a_higher_serial_are_taken_without_a_word() -> None:
    for serial in (9, 10):
        decision = decide(NINE, "secret-1", serial, None, 0.0)
        assert decision.accepted
        assert decision.notice is None
        assert decision.refused_since is None


def test_a_new_secret_is_taken_at_once_whatever_its_serial() -> None:
    decision = decide(NINE, "secret-2", 1, None, 0.0)
    assert decision.accepted
    assert decision.notice is None


def test_a_lower_serial_is_refused_for_ten_minutes_then_taken_and_said() -> None:
    first = decide(NINE, "secret-1", 8, None, 1000.0)
    assert not first.accepted
    assert first.refused_since == 1000.0
    assert str(first.notice).startswith(f"{Reason.ROLLBACK_REFUSED}: serial 8 is older than the applied 9")

    later = decide(NINE, "secret-1", 8, first.refused_since, 1000.0 + PATIENCE - 1)
    assert not later.accepted
    assert later.refused_since == 1000.0

    last = decide(NINE, "secret-1", 8, later.refused_since, 1000.0 + PATIENCE)
    assert last.accepted
    assert last.refused_since is None
    assert str(last.notice).startswith(f"{Reason.ROLLED_BACK}: serial 8 was accepted although 9 had been applied")


def test_something_newer_ends_the_refusal() -> None:
    refused = decide(NINE, "secret-1", 8, None, 0.0)
    caught_up = decide(NINE, "secret-1", 9, refused.refused_since, 1.0)
    assert caught_up.accepted
    again = decide(NINE, "secret-1", 8, caught_up.refused_since, PATIENCE)
    assert not again.accepted, "the ten minutes start anew"


def test_of_several_roots_the_highest_serial_of_the_same_secret_counts() -> None:
    states = [Applied("secret-0", 50), Applied("secret-1", 7), NINE]
    assert newest(states, "secret-1") == NINE
    assert newest(states, "secret-2") == Applied("secret-0", 50)
    assert newest([], "secret-1") is None
