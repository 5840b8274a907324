"""Times as text: the one place that writes a moment, as Kubernetes reads it (RFC 3339, UTC, a year of four digits).

`strftime("%Y")` leaves out the zeros of a year below 1000 (glibc), and the API server refuses such a time.
"""

from __future__ import annotations

from datetime import UTC, datetime

_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_FIRST = datetime(1, 1, 1, tzinfo=UTC)


def rfc3339(moment: datetime | float, timespec: str = "seconds") -> str:
    """Return a moment as text, e.g. `0999-01-02T03:04:05Z`.

    Args:
        moment: an aware time, or Unix time in seconds; beyond the years 1 to 9999 it is the first or last of them.
        timespec: the precision: `seconds`, `milliseconds` or `microseconds`.
    """
    if not isinstance(moment, datetime):
        # A comparison first: `fromtimestamp` raises what depends on the platform's time_t.
        if not moment < _LAST.timestamp():
            moment = _LAST
        elif moment < _FIRST.timestamp():
            moment = _FIRST
        else:
            moment = datetime.fromtimestamp(moment, UTC)
    return moment.astimezone(UTC).isoformat(timespec=timespec).removesuffix("+00:00") + "Z"
