"""Logs of both processes: one line for each transition on standard error, as text or JSON, never with secret bytes."""

from __future__ import annotations

import json
import logging
import sys

from registry_trust.core.times import rfc3339

FORMATS = ("json", "text")
LEVELS = ("debug", "info", "warning", "error")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every record has; any other is a field that the caller gave by `extra`."""


def set_up(log_format: str, level: str, **about: str) -> None:
    """Send the logs to standard error; call it once, before anything is logged.

    Args:
        log_format: one of `FORMATS`. A line has time (RFC 3339, UTC, milliseconds), level, message and fields; with
            json it is an object, which names the logger, too.
        level: one of `LEVELS`, for this project's own logs; libraries speak from `warning` on.
        about: fields of every line, e.g. `node`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JSONLines(about) if log_format == "json" else _TextLines(about))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("registry_trust").setLevel(level.upper())


class _JSONLines(logging.Formatter):
    """One JSON object in a line."""

    def __init__(self, about: dict[str, str]) -> None:
        super().__init__()
        self._about = about

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {**_head(record), "logger": record.name, **self._about, **_fields(record)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _TextLines(logging.Formatter):
    """The same for people: `time level message key=value …`, and a trace below it."""

    def __init__(self, about: dict[str, str]) -> None:
        super().__init__()
        self._about = about

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        head = _head(record)
        fields = "".join(f" {key}={value}" for key, value in {**self._about, **_fields(record)}.items())
        line = f"{head['time']} {head['level']:7} {head['message']}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _head(record: logging.LogRecord) -> dict[str, str]:
    return {
        "time": rfc3339(record.created, "milliseconds"),
        "level": record.levelname.lower(),
        "message": record.getMessage(),
    }


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD and value not in (None, "")}
