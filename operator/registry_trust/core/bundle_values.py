"""Values of a bundle's index: each is checked for type, length and range before anything is built from it.

Whoever may write the Secret may write anything into it. Every function raises ValueError for what no operator writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

HIGHEST_NUMBER = 2**53
"""Serials and sizes; the highest whole number that every JSON reader keeps."""

LATEST_MOMENT = 253_402_300_799.0
"""Unix time of the last second of the year 9999: RFC 3339 has no later one."""

_TEXT = re.compile(r"[ -~]*")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def number(value: object) -> int:
    """Return a whole number of 0 to 2**53."""
    if type(value) is not int or not 0 <= value <= HIGHEST_NUMBER:
        raise ValueError("number")
    return value


def moment(value: object) -> float:
    """Return a Unix time in seconds between the years 1970 and 9999."""
    # NaN compares as False, and a huge int as what it is: only then is it made a float.
    if type(value) not in (int, float) or not 0 <= value <= LATEST_MOMENT:  # type: ignore[operator]
        raise ValueError("moment")
    return float(value)  # type: ignore[arg-type]


def text(value: object, most: int = 1024) -> str:
    """Return text of printable ASCII, at most `most` bytes."""
    if not isinstance(value, str) or len(value) > most or not _TEXT.fullmatch(value):
        raise ValueError("text")
    return value


def name(value: object) -> str:
    """Return the name of a cluster-scoped object (RFC 1123 subdomain, at most 253 bytes)."""
    if not isinstance(value, str) or len(value) > 253 or not _NAME.fullmatch(value):
        raise ValueError("name")
    return value


def sequence(value: object) -> Sequence[Any]:
    """Return a JSON array."""
    if not isinstance(value, list):
        raise ValueError("array")  # noqa: TRY004 - one error for all that no operator writes
    return value


def mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise ValueError("object")  # noqa: TRY004 - as above
    return value


def pair(value: object) -> tuple[Any, Any]:
    """Return the two members of a JSON array."""
    first, second = sequence(value)
    return first, second
