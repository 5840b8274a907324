"""Truth under churn: a fleet that joins, dies, returns, speaks late and out of order, against a simple model of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from registry_trust.compiler.node_standing import NodeStanding, NodeState, judge
from registry_trust.core.reasons import Reason
from tests.unit.churn import CONTENTS, NAMES, ZONES, Churn

EXPLORED, EXPLORED_STEPS = 500, 10
"""Sequences that Hypothesis chooses: few, for each costs it milliseconds, and it makes a failure short."""
PLAYED, PLAYED_STEPS = 5000, 20
"""Sequences that a seed chooses."""

Mutation = Callable[..., NodeStanding | None]


def play(seed: int) -> None:
    """Play one sequence without Hypothesis' bookkeeping; every step's truth is asserted."""
    chance = random.Random(seed)  # noqa: S311 - a sequence that can be played again
    name = lambda: chance.choice(NAMES)  # noqa: E731 - four one-word draws read best beside each other
    zone = lambda: chance.choice(ZONES)  # noqa: E731
    coin = lambda: chance.random() < 0.5  # noqa: E731
    place = lambda: chance.randrange(20)  # noqa: E731
    churn = Churn()
    churn.a_fleet_that_has_everything((zone(), zone(), zone()))
    steps: list[Callable[[], None]] = [
        lambda: churn.join(name(), zone()),
        lambda: churn.leave(name()),
        lambda: churn.recreate_under_another_uid(name(), keeps_disk=coin()),
        lambda: churn.relabel(name(), zone()),
        lambda: churn.becomes_ready_or_not(name(), ready=coin()),
        lambda: churn.agent_starts_or_ends(name(), up=coin()),
        churn.observe,
        churn.scaled_to_none,
        lambda: churn.daemon_set_is_deleted_or_created(exists=coin()),
        lambda: churn.content_changes(chance.choice(sorted(CONTENTS))),
        churn.bundle_is_created_anew,
        lambda: churn.etcd_is_restored(place()),
        *[lambda: churn.applies(name(), fails=chance.random() < 0.3)] * 4,
        lambda: churn.applies_an_older_bundle(name(), place()),
        *[lambda: churn.deliver(place(), again=coin())] * 4,
        lambda: churn.lose(place()),
        lambda: churn.report_is_deleted(name()),
        churn.relist,
        *[churn.everybody_who_lives_catches_up] * 3,
    ]
    for _ in range(PLAYED_STEPS):
        chance.choice(steps)()
        churn.distributed_is_never_true_while_a_live_selected_node_lacks_the_files()
        churn.the_counts_add_up_to_the_selected_nodes()
        churn.with_no_agent_at_all_nothing_is_called_distributed()
        churn.a_status_is_written_whenever_there_is_something_new_to_say()


@pytest.mark.timeout(240)
def test_status_tells_the_truth_in_every_sequence_that_a_seed_chooses() -> None:
    for seed in range(PLAYED):
        try:
            play(seed)
        except AssertionError as error:
            raise AssertionError(f"sequence {seed}: {error}") from error


@pytest.mark.timeout(240)
def test_status_tells_the_truth_in_every_sequence_that_hypothesis_finds() -> None:
    run_state_machine_as_test(
        Churn,
        settings=settings(
            max_examples=EXPLORED,
            stateful_step_count=EXPLORED_STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def changed(**fields: Any) -> Mutation:
    """Return a judge that is given another report than there is."""
    return lambda node, report, trust, uid, **more: judge(
        node, None if report is None else replace(report, **fields), trust, uid, **more
    )


MUTANTS: dict[str, Mutation] = {
    "any serial is new enough": lambda n, r, trust, uid, **more: judge(n, r, replace(trust, since=0), uid, **more),
    "any bundle is the present one": lambda n, r, t, uid, **more: judge(n, r, t, r.bundle_uid if r else uid, **more),
    "a lost history counts": lambda *given, live, newest, admitted: judge(*given, live=live, admitted=admitted),
    "labels do not matter": lambda n, r, t, uid, **more: judge(
        n, replace(r, labels_hash=n.labels_hash) if r else r, t, uid, **more
    ),
    "failures do not matter": changed(registries=(), failing=0),
    "an agent that is gone is waited for": lambda *given, live, newest, admitted: judge(
        *given, live=True, newest=newest, admitted=admitted
    ),
    "a node that is away is waited for": lambda n, *given, **more: judge(replace(n, ready=True), *given, **more),
}
"""Each judges one thing wrongly; the model must see it."""


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_a_judge_that_is_wrong_in_one_thing_is_found_out(mutant: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry_trust.compiler.fleet.judge", mutant)

    def play_all() -> None:
        for seed in range(PLAYED):
            play(seed)

    with pytest.raises(AssertionError):
        play_all()


def test_without_a_daemon_set_nothing_is_distributed_whatever_old_reports_say() -> None:
    churn = Churn()
    churn.a_fleet_that_has_everything(("a", "a", "a"))
    assert churn.distributed("everywhere")["status"] == "True"

    churn.daemon_set_is_deleted_or_created(exists=False)

    told = churn.distributed("everywhere")
    assert (told["status"], told["reason"]) == ("False", Reason.NO_AGENTS)
    assert "there is no DaemonSet registry-trust-agent" in told["message"]
    churn.daemon_set_is_deleted_or_created(exists=True)
    assert churn.distributed("everywhere")["status"] == "True"


def test_a_node_that_failed_and_then_died_blocks_nothing() -> None:
    churn = Churn()
    churn.a_fleet_that_has_everything(("a", "a", "a"))
    churn.applies("n1", fails=True)
    churn.deliver(0, again=False)
    assert churn.distributed("everywhere")["reason"] == Reason.NODES_FAILING

    churn.becomes_ready_or_not("n1", ready=False)

    assert churn.distributed("everywhere")["status"] == "True"
    assert churn.fleet.standing("everywhere", 10).counts[NodeState.UNREACHABLE] == 1
