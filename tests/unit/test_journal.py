"""The journal: a line when something begins and one when it ends, and none while it lasts."""

from __future__ import annotations

import logging

import pytest

from registry_trust.agent.journal import Journal

log = logging.getLogger("registry_trust.journal")


def test_a_trouble_is_logged_once_and_again_when_it_is_another_and_its_end_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    journal = Journal()

    for text in ("", "no space", "no space", "read-only", "", ""):
        journal.trouble(log, ("/etc/docker/certs.d", "r.example"), text, registry="r.example", serial=7)

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "no space"),
        ("WARNING", "read-only"),
        ("INFO", "recovered: /etc/docker/certs.d r.example"),
    ]
    assert {(vars(record)["registry"], vars(record)["serial"]) for record in caplog.records} == {("r.example", 7)}


def test_troubles_of_two_subjects_are_two_troubles(caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal()

    for subject in ("a", "b", "a"):
        journal.trouble(log, ("/root", subject), "no space")

    assert len(caplog.records) == 2


def test_what_is_no_longer_named_is_news_when_it_comes_back() -> None:
    journal = Journal()

    assert journal.news({("a",): "Read", ("b",): "Failed"}) == (("a",), ("b",))
    assert journal.news({("a",): "Read", ("b",): "Read"}) == (("b",),)
    assert journal.news({("a",): "Read"}) == ()
    assert journal.news({("a",): "Read", ("b",): "Read"}) == (("b",),)
