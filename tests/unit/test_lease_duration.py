"""How long another holder's Lease is waited for: what it states is input, and can't make a second leader."""

from __future__ import annotations

import pytest

from registry_trust.controller.leadership import DEADLINE, DURATION, LONGEST, patience

WRONG: tuple[object, ...] = (None, "30", [], True)


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        *((15, 15), (40, 40), (60, 60), (86_400, LONGEST), (float("inf"), LONGEST)),
        *((short, DURATION) for short in (0, 1, -1, -86_400, float("-inf"), float("nan"))),
        *((wrong, DURATION) for wrong in WRONG),
    ],
    ids=repr,
)
def test_another_holder_is_waited_for_at_least_as_long_as_it_may_write_and_never_for_ever(stated, seconds):
    assert patience(stated) == seconds
    assert patience(stated) > DEADLINE
