"""Logs of the operator: one line for each transition on standard error, as text or JSON."""

from __future__ import annotations

import json
import logging
import sys

from registry_trust.core.times import rfc3339

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _JSONLines(logging.Formatter):
    """One JSON object in a line: time, level, logger, message, and the fields that the caller gave."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return json.dumps({**_head(record), **_fields(record), **self._trace(record)}, default=str)

    def _trace(self, record: logging.LogRecord) -> dict[str, str]:
        return {"exception": self.formatException(record.exc_info)} if record.exc_info else {}


class _TextLines(logging.Formatter):
    """The same for people: `time level message key=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        head = _head(record)
        fields = "".join(f" {key}={value}" for key, value in _fields(record).items())
        line = f"{head['time']} {head['level']:7} {head['message']}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(log_format: str) -> None:
    """Send every log to standard error in the chosen format; libraries only speak from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JSONLines() if log_format == "json" else _TextLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("registry_trust").setLevel(logging.INFO)


def _head(record: logging.LogRecord) -> dict[str, str]:
    return {
        "time": rfc3339(record.created, "milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
    }


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}
