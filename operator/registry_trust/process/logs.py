"""Logs of both processes: one line for each transition on standard error, as text or JSON, never with secret bytes."""

from __future__ import annotations

import json
import logging
import re
import sys

from registry_trust.core.text import escape
from registry_trust.core.times import rfc3339

FORMATS = ("json", "text")
LEVELS = ("debug", "info", "warning", "error")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every record has; any other is a field that the caller gave by `extra`."""

_PLAIN = re.compile(r"[!#-<>-~]+")
"""A value that needs no quotes in a line of text: printable ASCII without space, quotation mark and `=`."""

_LONGEST = 65_536
"""Characters of a message, or of a line of a trace, in text."""


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
    """The same for people: `time level message key=value …`, and a trace below it, indented.

    What another process wrote can begin no line, add no field to the values, and send nothing to a terminal but text.
    """

    def __init__(self, about: dict[str, str]) -> None:
        super().__init__()
        self._about = about

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        head = _head(record)
        fields = "".join(f" {key}={_shown(value)}" for key, value in {**self._about, **_fields(record)}.items())
        line = f"{head['time']} {head['level']:7} {escape(head['message'], _LONGEST)}{fields}"
        trace = self.formatException(record.exc_info).splitlines() if record.exc_info else ()
        return "\n".join((line, *(f"  {escape(each, _LONGEST)}" for each in trace)))


def _head(record: logging.LogRecord) -> dict[str, str]:
    return {
        "time": rfc3339(record.created, "milliseconds"),
        "level": record.levelname.lower(),
        "message": record.getMessage(),
    }


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD and value not in (None, "")}


def _shown(value: object) -> str:
    """Return a field's value as one word, or in JSON's quotes and escapes."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
