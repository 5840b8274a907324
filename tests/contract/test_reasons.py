"""Every reason is shown by a test: named where something real produces it, and not only in the table's own tests.

`python -m tests.contract.test_reasons` prints the table: each reason, and the tests that name it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from registry_trust.core.reasons import Reason

TESTS = Path(__file__).resolve().parents[1]
KINDS = ("unit", "contract", "integration", "e2e")
INPUTS = "messages"
"""In `tools/`: the inputs that unit tests give to the real code, with the reason that each is to have."""
TABLE_ALONE = {"test_explanations.py", "test_reasons.py"}
"""These go through the table itself."""


@cache
def named() -> dict[Reason, tuple[str, ...]]:
    """Return, for each reason, the tests that name it: `unit/test_x.py::test_y`, or the file for its tables."""
    found: dict[Reason, dict[str, None]] = {reason: {} for reason in Reason}
    folders = {**{kind: TESTS / kind for kind in KINDS}, INPUTS: TESTS.parent / "tools" / INPUTS}
    for kind, folder in folders.items():
        for path in sorted(folder.glob("*.py")):
            if path.name in TABLE_ALONE:
                continue
            for part in ast.parse(path.read_text()).body:
                name = getattr(part, "name", "")
                place = f"{kind}/{path.name}" + (f"::{name}" if name.startswith("test_") else "")
                for reason in reasons_in(part):
                    found[reason][place] = None
    return {reason: tuple(places) for reason, places in found.items()}


def reasons_in(part: ast.AST) -> Iterator[Reason]:
    """Yield what is named as `Reason.X`, as a string of its own, or (for two words or more) within a longer string."""
    for node in ast.walk(part):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason":
            if node.attr in Reason.__members__:
                yield Reason[node.attr]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            for word in re.findall(r"\w+", node.value):
                if word in set(Reason) and (word == node.value or re.search(r"[a-z][A-Z]", word)):
                    yield Reason(word)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_named_by_a_test(reason):
    assert named()[reason], f"no test shows {reason}: which situation has it, and what does status say then?"


if __name__ == "__main__":
    sys.stdout.write("| reason | shown by |\n|---|---|\n")
    for each, places in named().items():
        whole = [place for place in places if "::" in place]
        chosen = (
            sorted(whole, key=lambda p: (INPUTS, *KINDS).index(p.partition("/")[0]), reverse=True) or list(places)
        )[:3]
        sys.stdout.write(f"| {each} | {', '.join(f'`{place}`' for place in chosen)} |\n")
