"""Logs: the same line from both processes, as text and as JSON."""

from __future__ import annotations

import json
import logging

import pytest

from registry_trust.process.logs import FORMATS, set_up


@pytest.fixture(autouse=True)
def restored():
    root, own = logging.getLogger(), logging.getLogger("registry_trust")
    before = root.level, root.handlers[:], own.level
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    own.setLevel(before[2])


def lines(capsys, log_format: str, level: str = "info") -> list[str]:
    """Log one record at the start of 1970 for each of three loggers and levels; return what standard error has."""
    set_up(log_format, level, node="worker-1")
    for name, number in (
        ("registry_trust.agent.passes", logging.INFO),
        ("registry_trust.agent.passes", logging.DEBUG),
        ("kopf", logging.INFO),
        ("kopf", logging.WARNING),
    ):
        fields = {"trust": "harbor", "registry": "", "created": 0.25}
        record = logging.makeLogRecord({"name": name, "levelno": number, "levelname": logging.getLevelName(number)})
        record.__dict__.update({"msg": "wrote %s", "args": ("a/b",), **fields})
        logger = logging.getLogger(name)
        if logger.isEnabledFor(number):
            logger.handle(record)
    return capsys.readouterr().err.splitlines()


def test_a_line_of_text_has_time_level_message_and_the_fields_that_are_not_empty(capsys):
    assert lines(capsys, "text") == [
        "1970-01-01T00:00:00.250Z info    wrote a/b node=worker-1 trust=harbor",
        "1970-01-01T00:00:00.250Z warning wrote a/b node=worker-1 trust=harbor",
    ]


def test_a_line_of_json_has_the_same_and_its_logger(capsys):
    assert json.loads(lines(capsys, "json")[0]) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "info",
        "message": "wrote a/b",
        "logger": "registry_trust.agent.passes",
        "node": "worker-1",
        "trust": "harbor",
    }


@pytest.mark.parametrize("log_format", FORMATS)
def test_the_level_is_that_of_our_own_logs_and_libraries_speak_from_warning_on(capsys, log_format):
    assert [len(lines(capsys, log_format, level)) for level in ("debug", "info", "warning", "error")] == [3, 2, 1, 1]


HOSTILE = "x\n1970-01-01T00:00:00.000Z error   forged trust=other\x1b[2J\r\u202e\x85\u2028\x7f"


def hostile_lines(capsys, log_format: str, value: str) -> list[str]:
    """Log a message, a field and an exception with a text that another process wrote; return the lines."""
    set_up(log_format, "info", node="worker-1")
    logging.getLogger("kopf").error("seen: %s", value, extra={"note": value}, exc_info=ValueError(value))
    return capsys.readouterr().err.split("\n")[:-1]


def test_what_others_wrote_begins_no_line_of_text_and_sends_a_terminal_nothing_but_text(capsys):
    first, *trace = hostile_lines(capsys, "text", HOSTILE)

    assert first.isascii()
    assert first.isprintable()
    assert first.count(r"x\n1970") == 2
    assert all(line.startswith("  ") and line.isascii() and line.isprintable() for line in trace)


def test_what_others_wrote_stays_one_value_of_one_line_of_json(capsys):
    (line,) = hostile_lines(capsys, "json", HOSTILE)

    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["note"] == HOSTILE


@pytest.mark.parametrize("value", ["two words", "a=b", 'a"b', "tab\there", 'trust=other" level=error', "é", "\\ "])
def test_a_value_that_is_not_one_plain_word_stands_in_quotes(capsys, value):
    first = hostile_lines(capsys, "text", value)[0]

    assert json.loads(first.partition(" note=")[2]) == value
