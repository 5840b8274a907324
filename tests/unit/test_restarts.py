"""Restarts: what a node may say of a configuration that was changed, by what was seen of it and of the runtime."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry_trust.agent.runtime.restarts import (
    IN_FORCE,
    InForce,
    Known,
    Seen,
    in_force,
    learn,
)

START, LATER = 1_000_000.0, 1_003_600.0
FILE = "/etc/containerd/config.toml"
OLD = Seen("old settings", "containerd://2.4.2", START, START - 60, FILE)
NEW = replace(OLD, settings="new settings", changed=LATER)
RESTARTED = replace(NEW, started=LATER + 60)


def story(*looks: Seen) -> InForce:
    """Return what is said at the last of several looks, a minute apart."""
    known: Known | None = None
    verdict = IN_FORCE
    for number, seen in enumerate(looks):
        known = learn(known, seen, LATER + 60 * number)
        verdict = in_force(known, seen)
    return verdict


def untold(seen: Seen) -> Seen:
    return replace(seen, started=None)


@pytest.mark.parametrize(
    "looks",
    [
        [OLD],
        [OLD, OLD],
        [OLD, NEW, OLD],
        [OLD, NEW, RESTARTED],
        [RESTARTED],
        [NEW, RESTARTED],
        [OLD, replace(OLD, changed=LATER)],  # a comment, seen to alter nothing
        [replace(OLD, changed=START + 5)],  # written by the unit's own preparation
        [replace(OLD, changed=0.0, newest="")],  # no file at all: containerd as shipped
        [untold(OLD)],
        [untold(NEW)],  # without the time of a start the first look is believed
        [untold(OLD), untold(NEW), untold(OLD)],
        [untold(OLD), untold(NEW), untold(replace(NEW, runtime="containerd://2.5.0"))],
    ],
)
def test_settings_that_the_runtime_has_started_with_are_in_force(looks: list[Seen]) -> None:
    assert story(*looks) == InForce()


@pytest.mark.parametrize(
    "looks",
    [
        [NEW],  # changed before there was an agent to see it
        [OLD, NEW],
        [OLD, NEW, NEW],
        [OLD, RESTARTED, NEW],
        [OLD, untold(NEW)],  # stopped just now, and not started yet
        [OLD, NEW, replace(RESTARTED, settings="newer", changed=LATER + 3600)],
    ],
)
def test_settings_changed_after_the_start_are_a_problem_with_its_cure(looks: list[Seen]) -> None:
    verdict = story(*looks)

    assert not verdict.remark
    assert verdict.problem.startswith("containerd reads its configuration only when it starts, which was at 1970-01-")
    assert f"{FILE} has changed since, at about 1970-01-" in verdict.problem
    assert verdict.problem.endswith("once: systemctl restart containerd")


def test_a_file_that_was_taken_away_is_a_change_too_although_it_has_no_time_any_more() -> None:
    verdict = story(OLD, replace(OLD, settings="without the drop-in"))

    assert "its configuration has changed since, at about 1970-01-12T14:47:40Z" in verdict.problem


def test_where_nothing_tells_of_the_start_a_change_that_was_seen_is_a_remark_with_its_time() -> None:
    verdict = story(untold(OLD), untold(OLD), untold(NEW), untold(NEW))

    assert not verdict.problem
    assert verdict.remark == (
        "containerd reads its configuration only when it starts, and the configuration changed at about "
        "1970-01-12T14:48:40Z; unless containerd was restarted since: systemctl restart containerd"
    )
