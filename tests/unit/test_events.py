"""Events: the same one again has the same name, and too many that differ only in their text share one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry_trust.controller.events import ALIKE_SECONDS, COMBINED, MOST_ALIKE, About, Similar
from registry_trust.controller.transitions import NOTE_LIMIT, Event
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason

ABOUT = About("RegistryTrust", "harbor", "uid-1")
EVENT = Event("Warning", Problem(Reason.NODE_FAILING, "n1: ForeignFile: r.example: why"), "Distribute")


def saying(text: str) -> Event:
    return replace(EVENT, problem=Problem(Reason.NODE_FAILING, text))


def named(event: Event = EVENT, about: About = ABOUT) -> str:
    return Similar().identify(about, event, 0.0)[0]


def test_the_same_event_has_the_same_name_in_every_process() -> None:
    assert named() == named()


@pytest.mark.parametrize(
    ("event", "about"),
    [
        (saying("n2: another"), ABOUT),
        (replace(EVENT, problem=Problem(Reason.NODE_RECOVERED, EVENT.problem.message)), ABOUT),
        (replace(EVENT, kind="Normal"), ABOUT),
        (EVENT, replace(ABOUT, uid="uid-2")),
        (EVENT, replace(ABOUT, kind="Node")),
    ],
    ids=["text", "reason", "type", "object made again", "kind"],
)
def test_another_event_has_another_name(event: Event, about: About) -> None:
    assert named(event, about) != named()


def told(similar: Similar, number: int, now: float) -> tuple[str, str]:
    return similar.identify(ABOUT, saying(f"text {number}"), now)


def test_more_than_ten_texts_share_one_event_that_shows_the_newest() -> None:
    similar = Similar()
    names = {told(similar, number, float(number))[0] for number in range(MOST_ALIKE)}
    assert len(names) == MOST_ALIKE

    combined = {told(similar, number, float(number)) for number in range(MOST_ALIKE, 100)}

    assert len({name for name, _ in combined}) == 1
    assert {message for _, message in combined} == {f"{COMBINED}text {number}" for number in range(MOST_ALIKE, 100)}
    assert told(similar, 3, 100.0) == (told(Similar(), 3, 0.0)[0], "text 3"), "one that has its own keeps it"


def test_after_ten_quiet_minutes_each_text_has_its_own_event_again() -> None:
    similar = Similar()
    for number in range(MOST_ALIKE + 1):
        told(similar, number, 0.0)

    assert told(similar, 99, ALIKE_SECONDS)[1].startswith(COMBINED)
    assert told(similar, 99, 2 * ALIKE_SECONDS + 1)[1] == "text 99"


def test_a_combined_text_is_not_longer_than_an_event_may_be() -> None:
    similar = Similar()
    for number in range(MOST_ALIKE):
        told(similar, number, 0.0)

    _, message = similar.identify(ABOUT, saying("x" * NOTE_LIMIT), 1.0)

    assert len(message) == NOTE_LIMIT
