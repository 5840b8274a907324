"""Dates: the thresholds of a certificate's states, and what a status and its Events make of each crossing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_trust.certificates.facts import CertificateFacts, CertificateKind
from registry_trust.compiler.compile import Outcome
from registry_trust.compiler.content import SourcedCertificate
from registry_trust.compiler.fleet import Standing
from registry_trust.compiler.node_standing import NodeState
from registry_trust.compiler.status import make_status
from registry_trust.controller.transitions import Event, events
from registry_trust.core.bundle import TrustContent
from registry_trust.core.certificate_state import CertificateState, state_of
from registry_trust.core.times import rfc3339

START = datetime(2027, 1, 1, tzinfo=UTC)
STANDING = Standing({state: int(state is NodeState.CURRENT) for state in NodeState}, (), 1)


def certificate(lifetime: timedelta, digest: str = "a", retained_until: float | None = None) -> SourcedCertificate:
    facts = CertificateFacts(
        CertificateKind.CA, f"CN={digest}", "CN=CA", "1", digest * 64, START, START + lifetime, digest * 64
    )
    return SourcedCertificate(facts, f"Secret registry-trust/{digest} key ca.crt", retained_until)


def outcome(*certificates: SourcedCertificate) -> Outcome:
    return Outcome("harbor", "uid", 1, (), (), certificates, TrustContent(("harbor.example",)), 1, ("harbor.example",))


def status(now: datetime, *certificates: SourcedCertificate, before: dict[str, Any] | None = None) -> dict[str, Any]:
    return make_status(outcome(*certificates), STANDING, now, before or {})


def expiring(of: dict[str, Any]) -> dict[str, Any]:
    return next(each for each in of["conditions"] if each["type"] == "Expiring")


def dates(told: list[Event]) -> list[Event]:
    return [event for event in told if event.action == "Date"]


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("lifetime", "left", "state"),
    [
        (3650 * DAY, 31 * DAY, "Valid"),
        (3650 * DAY, 30 * DAY, "Expiring"),
        (3650 * DAY, 7 * DAY, "ExpiringSoon"),
        (3650 * DAY, timedelta(), "ExpiringSoon"),
        (3650 * DAY, timedelta(seconds=-1), "Expired"),
        (90 * DAY, 30 * DAY, "Valid"),  # cert-manager renews here
        (90 * DAY, 18.1 * DAY, "Valid"),
        (90 * DAY, 18 * DAY, "Expiring"),
        (90 * DAY, 7 * DAY, "ExpiringSoon"),
        (1 * DAY, timedelta(hours=5), "Valid"),
        (1 * DAY, timedelta(hours=4), "Expiring"),  # one warning: the second would come before the first
        (1 * DAY, timedelta(seconds=1), "Expiring"),
        (1 * DAY, timedelta(hours=25), "NotYetValid"),
    ],
)
def test_the_thresholds_of_each_state(lifetime: timedelta, left: timedelta, state: str) -> None:
    end = START + lifetime

    assert state_of(START, end, end - left).value == state


def test_the_warning_can_be_set() -> None:
    end = START + 3650 * DAY

    assert state_of(START, end, end - 60 * DAY, warning=90 * DAY) is CertificateState.EXPIRING
    assert state_of(START, end, end - 5 * DAY, warning=3 * DAY) is CertificateState.VALID


def test_each_crossing_is_one_event_and_the_condition_turns_once() -> None:
    year = certificate(3650 * DAY)
    seen: list[tuple[str, str, int]] = []
    before: dict[str, Any] = {}
    for hour in range(-48, 3660 * 24, 24):
        now = START + timedelta(hours=hour)
        after = status(now, year, before=before)
        told = dates(events(before, after))
        seen += [(event.kind, event.problem.reason, round(hour / 24)) for event in told]
        if expiring(after)["status"] == expiring(before or after)["status"] and before:
            assert expiring(after)["lastTransitionTime"] == expiring(before)["lastTransitionTime"]
        before = after

    assert seen == [
        ("Warning", "NotYetValid", -2),
        ("Normal", "Valid", 0),
        ("Warning", "Expiring", 3620),
        ("Warning", "ExpiringSoon", 3643),
        ("Warning", "Expired", 3651),
    ]


def test_a_second_certificate_that_crosses_has_its_own_event() -> None:
    first, second = certificate(400 * DAY), certificate(410 * DAY, "c")
    before = status(START + 375 * DAY, first, second)

    told = dates(events(before, status(START + 381 * DAY, first, second)))

    assert [event.problem.reason for event in told] == ["Expiring"]
    assert "CN=c" in told[0].problem.message
    assert "CN=a" not in told[0].problem.message


def test_the_condition_names_the_worst_and_what_to_do() -> None:
    now = START + 400 * DAY + timedelta(seconds=1)
    condition = expiring(status(now, certificate(400 * DAY), certificate(410 * DAY, "c")))

    assert condition["reason"] == "Expired"
    assert "Secret registry-trust/a key ca.crt" in condition["message"]
    assert condition["message"].endswith("replace them in their sources")


def test_a_certificate_that_is_not_valid_yet_is_told_without_an_alarm() -> None:
    condition = expiring(status(START - DAY, certificate(400 * DAY)))

    assert (condition["status"], condition["reason"]) == ("False", "NotYetValid")


def test_a_ca_certificate_that_is_only_retained_alarms_nobody() -> None:
    now = START + 401 * DAY
    old = certificate(400 * DAY, retained_until=(now + DAY).timestamp())
    after = status(now, old, certificate(4000 * DAY, "c"))

    assert expiring(after)["status"] == "False"
    assert after["nextExpiry"] == "2037-12-14T00:00:00Z"
    assert dates(events({}, after)) == []
    assert [row.get("retainedUntil") for row in after["certificates"]] == ["2028-02-07T00:00:00Z", None]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-20_000, 20_000), min_size=1, max_size=8))
def test_a_status_says_the_same_of_a_moment_whatever_the_clock_did_before(days: list[int]) -> None:
    year = certificate(3650 * DAY)
    before: dict[str, Any] = {}
    for day in days:
        now = START + day * DAY
        after = status(now, year, before=before)
        fresh = status(now, year)
        times = {"lastTransitionTime": ""}
        assert [{**each, **times} for each in after["conditions"]] == [
            {**each, **times} for each in fresh["conditions"]
        ]
        assert status(now, year, before=after) == after
        assert events(after, after) == []
        before = after


def test_a_list_that_is_cut_off_makes_no_certificate_appear_or_go() -> None:
    many = [certificate((400 + number) * DAY, f"{number:02}") for number in range(50)]
    many = [replace(each, facts=replace(each.facts, sha256=each.facts.sha256[:64])) for each in many]
    before = {**status(START, *many), "revision": "1"}
    after = {**status(START, *many[1:]), "revision": "2"}

    told = [event.problem.message for event in events(before, after) if event.problem.reason == "TrustRootsChanged"]

    assert told == [f"CA certificates by SHA-256: removed {'00' * 32}"]


def ca(subject: str, key: str, begins: int, ends: int) -> SourcedCertificate:
    """Return a CA certificate by its key, valid from one day to another, counted from now."""
    facts = CertificateFacts(
        CertificateKind.CA,
        subject,
        subject,
        "1",
        f"{subject}{key}{begins}{ends}",
        START + timedelta(days=begins),
        START + timedelta(days=ends),
        key,
    )
    return SourcedCertificate(facts, "a source")


RENEWED = ca("CN=root", "k1", -10, 3000)


@pytest.mark.parametrize(
    ("others", "alarm", "next_expiry"),
    [
        ([ca("CN=root", "k1", -3000, -1)], "NotExpiring", 3000),
        ([ca("CN=root", "k1", -3000, 5)], "NotExpiring", 3000),
        ([ca("CN=root", "k0", -3000, -1)], "NotExpiring", 3000),
        ([ca("CN=root of old", "k1", -3000, -1)], "NotExpiring", 3000),
        ([ca("CN=root", "k0", -3000, 5)], "ExpiringSoon", 5),
        ([ca("CN=another", "k2", -3000, -1)], "Expired", 3000),
        ([ca("CN=another", "k2", -3000, -1), ca("CN=third", "k3", -3000, 900)], "Expired", 900),
    ],
    ids=[
        "expired, renewed with its key",
        "expiring, renewed with its key",
        "expired, renewed with another key",
        "expired, renewed under another name",
        "expiring, and its chains still need it",
        "expired, and nothing follows it",
        "a public bundle with an expired root",
    ],
)
def test_an_expired_ca_beside_a_valid_one_of_the_same_key_or_subject_is_no_alarm(
    others: list[SourcedCertificate], alarm: str, next_expiry: int
) -> None:
    found = status(START, RENEWED, *others)

    assert expiring(found)["reason"] == alarm
    assert found["nextExpiry"] == rfc3339(START + timedelta(days=next_expiry))


def test_a_successor_that_is_not_valid_yet_or_has_ended_too_is_none() -> None:
    old = ca("CN=root", "k1", -3000, -5)

    assert expiring(status(START, old, ca("CN=root", "k1", 5, 3000)))["reason"] == "Expired"
    both = status(START, old, ca("CN=root", "k1", -3000, -2))
    assert expiring(both)["reason"] == "Expired"
    assert both["nextExpiry"] == rfc3339(START - timedelta(days=2))
