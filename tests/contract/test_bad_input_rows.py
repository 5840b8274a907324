"""The table of bad inputs (128 rows, from empty names to messages too long): each row has a test, or a reason."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROWS = set(range(1, 129))
TESTS = Path(__file__).parents[1]

DIFFERENT = {
    45: "There is no list of allowed or denied hosts: who may create a RegistryTrust is the policy (RBAC), and no "
    "field exists that does nothing.",
    82: "The operator never sees a registry's server certificate; a self-signed one among the CA certificates is "
    "refused without subjectAltName (rows 78 and 79).",
    107: "There is no opt-in on Secrets: the trust namespace holds sources and nothing else, and is the only one read.",
}
"""Rows that this design changed: no such input exists, or the verdict is another one."""

ELSEWHERE = {
    106: ("unit/test_api_models.py", "a Secret's name that Kubernetes does not know"),
    113: ("unit/test_desired.py", "test_several_trusts_for_one_registry_add_up"),
    114: ("unit/test_desired.py", "test_the_files_stay_the_same_when_one_trust_takes_over_from_another"),
    115: ("unit/test_desired.py", "test_a_trust_with_a_selector_is_for_the_nodes_that_it_selects"),
    116: ("unit/test_desired.py", "test_the_same_pair_under_one_name_is_no_conflict"),
    118: ("unit/test_api_models.py", "upper case"),
    120: ("unit/test_api_models.py", "a duplicate registry"),
    121: ("unit/test_plan.py", "test_an_entry_of_somebody_else_is_left_alone_and_named"),
    126: ("unit/test_compile.py", "test_what_no_longer_fits_leaves_its_trust_at_the_last_content_and_the_others_alone"),
    122: ("unit/test_api_models.py", "too many registries"),
}
"""Rows whose test is named by what it says alone. Several trusts of one registry add up here (113 to 116, 119)."""


@cache
def names_in(file: Path) -> frozenset[str]:
    """Return the names of a file's tests and the texts that may be ids of their parameters; no docstrings."""
    tree = ast.parse(file.read_text())
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
    }
    return frozenset(texts | {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)})


def named_rows() -> set[int]:
    files = [file for file in TESTS.rglob("test_*.py") if file != Path(__file__)]
    names = " | ".join(name for file in files for name in names_in(file))
    return {
        int(number) for number in re.findall(r"\brow (\d+):|\btest_row_(\d+)_", names) for number in number if number
    }


def test_every_row_has_a_test_or_a_reason():
    assert sorted(ROWS - named_rows() - DIFFERENT.keys() - ELSEWHERE.keys()) == []


def test_no_test_names_a_row_that_does_not_exist():
    assert sorted(named_rows() - ROWS) == []


def test_no_row_is_excused_that_has_a_test_of_its_number():
    assert sorted(named_rows() & (DIFFERENT.keys() | ELSEWHERE.keys())) == []


def test_the_tests_that_stand_elsewhere_exist():
    assert [row for row, (file, name) in ELSEWHERE.items() if name not in names_in(TESTS / file)] == []
