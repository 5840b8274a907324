"""Logs: one line for each transition on standard error, as text or JSON, never with secret bytes."""

from __future__ import annotations

import json
import logging

from registry_trust.core.times import rfc3339

FIELDS = ("registry", "trust", "serial")
"""What a line may say of itself beside its message; each line has the node."""


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, message, where it comes from, and what it is about."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": rfc3339(record.created, "milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "node": self._node,
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """The same for people: `time LEVEL message key=value …`."""

    def __init__(self, node: str) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._node = node

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002,N802 - as below
        """Return the time of the line."""
        return rfc3339(record.created)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's own name
        """Return the line without an exception's trace."""
        fields = {"node": self._node, **_fields(record)}
        return super().formatMessage(record) + "".join(f" {key}={value}" for key, value in fields.items())


def configure(log_format: str, node: str) -> None:
    """Send everything from `info` on to standard error in the given format, `text` or `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JSONFormatter(node) if log_format == "json" else TextFormatter(node))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name in FIELDS if (value := getattr(record, name, None))}
