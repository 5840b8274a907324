"""The table of reasons: every one is used, explained, and looks as the code says it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import registry_trust
from registry_trust.core.explanations import CHAPTERS, EXPLANATIONS
from registry_trust.core.reasons import Reason

PACKAGE = Path(registry_trust.__file__).parent
TABLE = PACKAGE / "core" / "explanations"
TREES = [
    ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
    if TABLE not in path.parents and path != PACKAGE / "core" / "reasons.py"
]
NODES = [node for tree in TREES for node in ast.walk(tree)]
TEXTS = {node.value for node in NODES if isinstance(node, ast.Constant) and isinstance(node.value, str)}
NAMED = {
    node.attr
    for node in NODES
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason"
}
SPELLED = {text.partition(":")[0] for text in TEXTS}
"""Words that begin a message or are one: some modules write a reason in words."""

FRAGMENTS = {
    part for text in TEXTS for part in map(str.strip, re.split(r"[;:,.] |\(", text)) if len(part) > 8 and " " in part
}
"""What messages are made of: some words in a row, without the values between them."""

EACH = pytest.mark.parametrize("reason", Reason)


def test_every_reason_stands_in_the_table_once():
    listed = [reason for chapter in CHAPTERS.values() for reason in chapter]

    assert sorted(listed) == sorted(Reason)


@EACH
def test_a_reason_is_used_by_the_code(reason):
    assert reason.name in NAMED or reason.value in SPELLED


@EACH
def test_a_reason_says_what_it_means_where_it_shows_and_what_to_do(reason):
    explanation = EXPLANATIONS[reason]

    assert explanation.meaning.endswith(".")
    assert explanation.fix.endswith((".", "`"))
    assert explanation.where
    assert len(set(explanation.where)) == len(explanation.where)


@EACH
def test_an_example_is_in_the_words_of_the_code(reason):
    appearance = EXPLANATIONS[reason].appearance

    assert [fragment for fragment in FRAGMENTS if fragment in appearance]


def test_what_an_event_is_called_is_a_reason_of_the_table():
    events = {
        node.args[1].value
        for node in NODES
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Notice"
        and isinstance(node.args[1], ast.Constant)
    }

    assert events
    assert events <= {reason.value for reason in Reason}


def test_what_messages_begin_with_is_a_reason_of_the_table():
    words = {match.group(1) for text in TEXTS if (match := re.match(r"((?:[A-Z][a-z]+){2,}): [a-z]", text))}

    assert words
    assert words <= {reason.value for reason in Reason}


@EACH
def test_a_reason_is_one_word_in_camel_case(reason):
    assert re.fullmatch(r"(?:[A-Z]+[a-z]+)+[A-Z]*|(?:[A-Z][a-z]+)+[A-Z]{2,}", reason.value)
