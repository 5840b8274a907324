"""A served CA that is damaged in its source is retained like one that was replaced: it is never taken for revoked."""

from __future__ import annotations

import pytest

from registry_trust.core.reasons import Reason
from registry_trust.core.trust import SourceRef
from tests.unit.compiling import CA, DAY, FIRST, LAST, NEW, NOW, OLD, OTHER, SECOND, THIRD, Operator, told, trust
from tools.der import armour, handmade

BOTH = FIRST.pem + SECOND.pem
UNUSABLE = armour(handmade(serial=b"\xff"))


def damaged(pem: bytes) -> bytes:
    """The same block with another byte in the middle of its base64, which is valid text."""
    lines = pem.split(b"\n")
    lines[2] = lines[2][:20] + (b"A" if lines[2][20:21] != b"A" else b"B") * 8 + lines[2][28:]
    return b"\n".join(lines)


@pytest.mark.parametrize("block", [UNUSABLE, armour(b"rubbish")], ids=["another block", "rubbish"])
def test_a_served_ca_whose_block_is_damaged_stays_for_its_retention(block: bytes) -> None:
    operator = Operator(ca=BOTH)

    operator.step(ca=block + SECOND.pem)
    assert operator.result.outcomes["harbor"].accepted
    assert operator.trusted() == {OLD, NEW}
    assert operator.retained() == {"CN=CA 0": NOW + DAY}

    operator.step(later=DAY)
    assert operator.trusted() == {NEW}


def test_a_served_ca_of_which_one_line_is_damaged_stays_whatever_became_of_it() -> None:
    operator = Operator(ca=BOTH)

    operator.step(ca=damaged(FIRST.pem) + SECOND.pem)

    assert OLD in operator.trusted()


def test_a_damaged_ca_that_is_repaired_is_retained_no_longer() -> None:
    operator = Operator(ca=BOTH)
    operator.step(ca=UNUSABLE + SECOND.pem)

    operator.step(ca=BOTH, later=60)
    assert operator.retained() == {}
    operator.step(later=2 * DAY)

    assert operator.trusted() == {OLD, NEW}


def test_the_only_ca_of_a_source_that_is_damaged_leaves_the_last_good_content() -> None:
    operator = Operator(ca=FIRST.pem)

    result = operator.step(ca=UNUSABLE)

    assert [error.reason for error in result.outcomes["harbor"].errors] == [Reason.CERTIFICATE_PARSE]
    assert operator.trusted() == {OLD}


def test_with_no_retention_a_damaged_ca_goes_now_and_the_status_says_so() -> None:
    operator = Operator(trust(ca_retention=0.0), ca=BOTH)

    operator.step(ca=UNUSABLE + SECOND.pem)
    assert operator.trusted() == {NEW}
    assert told(operator.result) == ["spec.caCertificates[0]"]

    operator.step(later=DAY)
    assert told(operator.result) == []


def test_a_ca_that_is_damaged_together_with_the_name_of_its_source_stays() -> None:
    renamed = SourceRef("Secret", "ca-v2", "ca.crt")
    operator = Operator(ca=BOTH)

    operator.step(trust(ca_sources=(renamed,)), {"ca-v2": UNUSABLE + SECOND.pem})

    assert operator.retained() == {"CN=CA 0": NOW + DAY}


def test_with_no_retention_a_source_that_is_renamed_and_damaged_is_said_to_have_replaced_its_ca() -> None:
    operator = Operator(trust(ca_retention=0.0), ca=BOTH)

    operator.step(
        trust(ca_sources=(SourceRef("Secret", "ca-v2", "ca.crt"),), ca_retention=0.0), {"ca-v2": UNUSABLE + SECOND.pem}
    )

    assert operator.trusted() == {NEW}
    assert told(operator.result) == ["spec.caCertificates[0]"]


def test_a_ca_that_is_taken_out_of_a_source_goes_at_once_though_another_source_has_something_unusable() -> None:
    operator = Operator(trust(ca_sources=(CA, OTHER)), ca=BOTH, other=UNUSABLE + THIRD.pem)

    operator.step(ca=SECOND.pem, other=UNUSABLE + THIRD.pem)

    assert operator.trusted() == {NEW, LAST}


def test_a_source_that_the_trust_names_no_longer_goes_at_once_with_what_is_unusable_in_it() -> None:
    operator = Operator(trust(ca_sources=(CA, OTHER)), ca=UNUSABLE + FIRST.pem, other=THIRD.pem)

    operator.step(trust(ca_sources=(OTHER,)))

    assert operator.trusted() == {LAST}


def test_what_is_unusable_from_the_first_day_on_removes_and_retains_nothing() -> None:
    operator = Operator(ca=UNUSABLE + BOTH)
    assert operator.trusted() == {OLD, NEW}

    operator.step(later=2 * DAY)

    assert operator.trusted() == {OLD, NEW}
    assert operator.retained() == {}
    assert told(operator.result) == []
