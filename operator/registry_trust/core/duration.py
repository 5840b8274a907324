"""Durations as Kubernetes writes them (`24h`, `1h30m`), in both directions."""

from __future__ import annotations

import re

DURATION = r"^([0-9]{1,6}[hms]){1,3}$"
"""A subset of Go's `time.ParseDuration`: whole hours, minutes and seconds."""

_UNITS = {"h": 3600, "m": 60, "s": 1}


def parse_duration(text: str) -> float:
    """Return the seconds of a duration.

    Raises:
        ValueError: it is not of the form of `DURATION`.
    """
    if not re.fullmatch(DURATION, text, re.ASCII):
        raise ValueError(text)
    return float(sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([hms])", text)))
