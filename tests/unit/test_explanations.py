"""The table of reasons: every one is used, explained, and says what to do."""

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

EACH = pytest.mark.parametrize("reason", Reason)


def test_every_reason_stands_in_the_table_once():
    listed = [reason for chapter in CHAPTERS.values() for reason in chapter]

    assert sorted(listed) == sorted(Reason)


@EACH
def test_a_reason_is_used_by_the_code(reason):
    assert reason.name in NAMED


@EACH
def test_a_reason_says_what_it_means_where_it_shows_and_what_to_do(reason):
    explanation = EXPLANATIONS[reason]

    assert explanation.meaning.endswith(".")
    assert explanation.fix.endswith((".", "`"))
    assert explanation.where
    assert len(set(explanation.where)) == len(explanation.where)


def test_no_text_begins_with_a_reason_that_a_problem_should_carry():
    assert {text for text in TEXTS if re.match(r"(?:[A-Z][a-z]+){2,}: [a-z]", text)} == set()


@EACH
def test_a_reason_is_one_word_in_camel_case(reason):
    assert re.fullmatch(r"(?:[A-Z]+[a-z]+)+[A-Z]*|(?:[A-Z][a-z]+)+[A-Z]{2,}", reason.value)
