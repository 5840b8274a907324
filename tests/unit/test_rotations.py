"""Rotation and revocation: told apart by what a trust loses and gains, whatever its sources are called."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry_trust.compiler.inputs import TrustInput
from registry_trust.controller.announcements import replacements
from registry_trust.core.bundle import Bundle
from registry_trust.core.trust import InlinePEM, SourceRef
from tests.unit.compiling import (
    CA,
    DAY,
    FIRST,
    NEW,
    NOW,
    OLD,
    OTHER,
    SECOND,
    THIRD,
    Operator,
    told,
    trust,
)

INLINE = trust(ca_sources=(InlinePEM(FIRST.pem.decode()),))
ROTATIONS = [
    (trust(), {"ca": FIRST.pem}, trust(), {"ca": SECOND.pem}),
    (trust(), {"ca": FIRST.pem}, trust(ca_sources=(OTHER,)), {"other": SECOND.pem}),
    (INLINE, {"ca": FIRST.pem}, trust(ca_sources=(InlinePEM(SECOND.pem.decode()),)), {"ca": FIRST.pem}),
    (INLINE, {"ca": FIRST.pem}, trust(), {"ca": SECOND.pem}),
    (trust(), {"ca": FIRST.pem}, trust(ca_sources=(CA, OTHER)), {"ca": SECOND.pem, "other": SECOND.pem}),
    (
        trust(ca_sources=(CA, OTHER)),
        {"ca": FIRST.pem, "other": SECOND.pem},
        trust(ca_sources=(OTHER,)),
        {"other": SECOND.pem + THIRD.pem},
    ),
]
ROTATED_BY = [
    "the source's content",
    "a source of another name",
    "an inline certificate",
    "a source in place of an inline certificate",
    "the content, and a source more",
    "a source less, and the content of another",
]


@pytest.mark.parametrize(("item", "pems", "then", "then_pems"), ROTATIONS, ids=ROTATED_BY)
def test_a_change_that_takes_cas_away_and_brings_others_is_a_rotation_whatever_the_names(
    item: TrustInput, pems: dict[str, bytes], then: TrustInput, then_pems: dict[str, bytes]
) -> None:
    operator = Operator(item, pems)
    before = operator.trusted()

    operator.step(then, then_pems)
    now = operator.trusted()
    assert now > before
    operator.step(later=DAY - 1)
    assert operator.trusted() == now
    operator.step(later=1)
    assert OLD not in operator.trusted()


@pytest.mark.parametrize(("item", "pems", "then", "then_pems"), ROTATIONS, ids=ROTATED_BY)
def test_with_no_retention_each_rotation_is_told(
    item: TrustInput, pems: dict[str, bytes], then: TrustInput, then_pems: dict[str, bytes]
) -> None:
    assert item.trust is not None
    assert then.trust is not None
    operator = Operator(replace(item, trust=replace(item.trust, ca_retention=0.0)), pems)

    operator.step(replace(then, trust=replace(then.trust, ca_retention=0.0)), then_pems)

    assert OLD not in operator.trusted()
    assert len(told(operator.result)) == 1


@pytest.mark.parametrize(
    ("then", "pems"),
    [
        (trust(ca_sources=(CA, OTHER)), {"ca": SECOND.pem, "other": THIRD.pem}),
        (trust(ca_sources=(OTHER,)), {"other": SECOND.pem}),
        (trust(ca_sources=(CA,)), {"ca": SECOND.pem}),
        (trust(ca_sources=(InlinePEM(SECOND.pem.decode()),)), {"ca": b""}),
    ],
    ids=["out of a source", "with a source", "by names that changed", "into the trust"],
)
def test_a_change_that_only_takes_cas_away_is_a_revocation_and_acts_at_once(
    then: TrustInput, pems: dict[str, bytes]
) -> None:
    operator = Operator(trust(ca_sources=(CA, OTHER)), ca=FIRST.pem + SECOND.pem, other=THIRD.pem)

    operator.step(then, pems)

    assert OLD not in operator.trusted()
    assert operator.retained() == {}
    assert told(operator.result) == []


def test_a_name_that_changes_with_every_rotation_keeps_each_old_ca_for_its_day() -> None:
    operator = Operator(trust(ca_sources=(SourceRef("Secret", "ca-1", "ca.crt"),)), {"ca-1": FIRST.pem})
    operator.step(trust(ca_sources=(SourceRef("Secret", "ca-2", "ca.crt"),)), {"ca-2": SECOND.pem})
    operator.step(trust(ca_sources=(SourceRef("Secret", "ca-3", "ca.crt"),)), {"ca-3": THIRD.pem}, later=3600)

    assert operator.retained() == {"CN=CA 0": NOW + DAY, "CN=CA 1": NOW + 3600 + DAY}


def test_a_name_that_changes_and_nothing_else_keeps_what_is_retained() -> None:
    operator = Operator(ca=FIRST.pem)
    operator.step(ca=SECOND.pem)
    operator.step(trust(ca_sources=(OTHER, CA)), other=SECOND.pem, ca=SECOND.pem)

    assert operator.trusted() == {OLD, NEW}


def test_roots_that_are_replaced_with_no_overlap_are_told_for_a_day() -> None:
    operator = Operator(trust(ca_retention=0.0), ca=FIRST.pem)
    assert told(operator.result) == []

    assert told(operator.step(ca=SECOND.pem)) == ["spec.caCertificates[0]"]
    assert "Secret registry-trust/ca key ca.crt" in operator.result.outcomes["harbor"].warnings[0].message
    serial = operator.bundle.serial
    assert told(operator.step(later=DAY - 1)) == ["spec.caCertificates[0]"]
    assert told(operator.step(later=1)) == []
    assert operator.bundle.serial == serial, "the end of a warning writes no bundle"


def test_a_source_that_changes_again_is_judged_anew() -> None:
    operator = Operator(trust(ca_retention=0.0), ca=FIRST.pem)
    operator.step(ca=SECOND.pem)

    assert told(operator.step(ca=SECOND.pem + FIRST.pem)) == []
    assert told(operator.step(ca=FIRST.pem)) == []
    assert told(operator.step(ca=THIRD.pem)) == ["spec.caCertificates[0]"]


def test_roots_that_stay_for_their_retention_or_by_another_source_are_no_loss() -> None:
    retaining = Operator(ca=FIRST.pem)
    shared = Operator(trust(ca_sources=(CA, OTHER), ca_retention=0.0), ca=FIRST.pem, other=FIRST.pem)

    assert told(retaining.step(ca=SECOND.pem)) == []
    assert told(retaining.step(later=2 * DAY)) == []
    assert told(shared.step(ca=SECOND.pem, other=FIRST.pem)) == []


def test_an_event_tells_of_replaced_roots_once_with_the_warnings_own_words() -> None:
    operator = Operator(trust(ca_retention=0.0), ca=FIRST.pem)
    before = operator.bundle
    assert replacements(Bundle(), operator.result) == []

    ((about, event),) = replacements(before, operator.step(ca=SECOND.pem))

    assert (about.name, event.kind, event.problem.reason) == ("harbor", "Warning", "RootReplaced")
    assert event.problem.message == operator.result.outcomes["harbor"].warnings[0].message
    assert replacements(operator.bundle, operator.step(later=60)) == []
    before = operator.bundle
    assert replacements(before, operator.step(ca=SECOND.pem + THIRD.pem)) == []


def test_a_source_that_only_brings_something_is_not_told() -> None:
    operator = Operator(trust(ca_retention=0.0), ca=FIRST.pem)

    assert told(operator.step(trust(ca_sources=(CA, OTHER), ca_retention=0.0), ca=FIRST.pem, other=SECOND.pem)) == []
