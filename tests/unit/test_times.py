"""Times as text: four digits for every year, as the API server's `date-time` reads it, and none that raises."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

import registry_trust
from registry_trust.core.times import rfc3339


@pytest.mark.parametrize(
    ("year", "text"),
    [
        (1, "0001-02-03T04:05:06Z"),
        (999, "0999-02-03T04:05:06Z"),
        (1000, "1000-02-03T04:05:06Z"),
        (9999, "9999-02-03T04:05:06Z"),
    ],
)
def test_every_year_has_four_digits(year: int, text: str) -> None:
    assert rfc3339(datetime(year, 2, 3, 4, 5, 6, 789, tzinfo=UTC)) == text


def test_every_time_is_in_utc() -> None:
    assert rfc3339(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31T23:00:00Z"
    assert rfc3339(1e9 + 0.25, "milliseconds") == "2001-09-09T01:46:40.250Z"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (1e18, "9999-12-31T23:59:59Z"),
        (float("inf"), "9999-12-31T23:59:59Z"),
        (float("nan"), "9999-12-31T23:59:59Z"),
        (-1e18, "0001-01-01T00:00:00Z"),
    ],
)
def test_unix_time_beyond_the_calendar_is_its_first_or_last_second(moment: float, text: str) -> None:
    assert rfc3339(moment) == text


def test_nothing_else_writes_a_time_as_text() -> None:
    root = Path(registry_trust.__file__).parent
    found = [
        str(file.relative_to(root))
        for file in sorted(root.rglob("*.py"))
        if re.search(r"strftime\(|isoformat\(", file.read_text("utf-8"))
    ]

    assert found == ["core/times.py"]
