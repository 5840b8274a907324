"""The table of bad inputs (128 rows, from empty names to messages too long): verdict and reason of each row.

The rows themselves are the tables of `tests/unit` and of `tools/messages`, whose ids name their row. Here are the
verdicts, and what this design decided otherwise.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from registry_trust.core.reasons import Reason
from tools.messages.cases import Case

UNIT = Path(__file__).parents[1] / "unit"
ROWS = set(range(1, 129))


class Verdict(StrEnum):
    """What becomes of an input."""

    REFUSED = "refused"
    WARNED = "accepted with a warning"
    ACCEPTED = "accepted"


REFUSED, WARNED, ACCEPTED = Verdict

EXPECTED: tuple[tuple[Verdict, str, str], ...] = (
    # registries
    (REFUSED, "InvalidHost", "1-12 14-21 24 31-35 37-40 44"),
    (REFUSED, "InvalidPort", "23 25-29"),
    (REFUSED, "ReservedHost", "42 43 118"),
    (WARNED, "RuntimeIgnoresTLS", "22"),
    (WARNED, "InvalidPort", "30 117"),
    (ACCEPTED, "", "13 22 36 42"),
    # PEM
    (ACCEPTED, "", "46 47 62 85 86"),
    (REFUSED, "InvalidPEM", "48-60 64 66 112 125"),
    (REFUSED, "PrivateKeyInCA", "63"),
    (REFUSED, "EmptyData", "65"),
    # certificates
    (REFUSED, "CertificateParse", "61 67 68 70 73 88"),
    (WARNED, "CertificateParse", "61 68 69"),
    (REFUSED, "UnsupportedAlgorithm", "71 72 74 75"),
    (WARNED, "UnsupportedAlgorithm", "72 75"),
    (WARNED, "WeakKey", "74"),
    (ACCEPTED, "", "76"),
    (REFUSED, "NotCA", "77 79"),
    (WARNED, "NotCA", "77 78 110"),
    (REFUSED, "UnsupportedExtension", "80"),
    (WARNED, "UnsupportedExtension", "80"),
    (WARNED, "KeyUsage", "81 101 103"),
    (REFUSED, "KeyUsage", "101 103"),
    (WARNED, "NameConstraint", "81"),
    (WARNED, "IntermediateAsRoot", "76 83"),
    (REFUSED, "Expired", "84"),
    (WARNED, "Expired", "84 88 102"),
    (WARNED, "NotYetValid", "84 102"),
    (ACCEPTED, "", "88"),
    # keys and pairs
    (ACCEPTED, "", "89 93"),
    (REFUSED, "KeyEncrypted", "90"),
    (REFUSED, "KeyUnsupported", "91 92"),
    (REFUSED, "KeyParse", "94 99"),
    (REFUSED, "KeyMismatch", "95 96"),
    (REFUSED, "Swapped", "97"),
    (REFUSED, "KeyAmbiguous", "98"),
    (REFUSED, "PairIncomplete", "100"),
    # sources, trusts, sizes
    (REFUSED, "SecretNotFound", "104"),
    (REFUSED, "SecretKeyNotFound", "105 109"),
    (REFUSED, "InvalidSpec", "106 122"),
    (REFUSED, "SecretTypeForbidden", "108"),
    (REFUSED, "TooLarge", "112 123-125 127"),
    (REFUSED, "DuplicateRegistry", "120"),
    (REFUSED, "ForeignFile", "121"),
    (REFUSED, "WouldShadow", "121"),
)
"""Verdict, reason, rows: each has at least one test of its number with this verdict, this reason and its message."""

SAID_BY_NAME = {
    41: "xn-- text that does not decode is accepted: no runtime decodes it",
    87: "a hostile subject is escaped and cut wherever it is shown",
    111: "a Secret that was made anew with the same bytes changes nothing",
    126: "what does not fit into the bundle is BundleTooLarge, and the other trusts stay",
    128: "messages are cut, and lists in them count what they leave out",
}
"""Rows that are no line of a table, and have a test named `test_row_N_…`."""

OTHERWISE = {
    36: ("IPv6 without a port is accepted without a warning: containerd finds it by its second spelling", ""),
    45: (
        "there is not a list of hosts: who may create a RegistryTrust is the policy, and no field does nothing",
        "",
    ),
    61: ("what can't be read is left out with a warning if the source has others; the only one is refused", ""),
    68: ("what can't be read is left out with a warning if the source has others; the only one is refused", ""),
    77: ("a server's certificate vouches for itself in Go, whoever issued it: accepted with a warning", ""),
    76: ("an intermediate signed with SHA-1 becomes an anchor, whose own signature nobody checks: accepted", ""),
    82: (
        "the operator never sees a registry's server certificate; a self-signed one must have a subjectAltName (79)",
        "",
    ),
    93: ("Go tries every form whatever the label says, and what is written is canonical: accepted", ""),
    101: ("a pair for servers alone is refused: its key must not be on every node", ""),
    103: ("the key of a CA with keyCertSign must not be on any node: refused; Docker's page has a CA without", ""),
    107: (
        "there is no opt-in on Secrets: the trust namespace holds sources and nothing else, and is all that is read",
        "",
    ),
    108: ("a cluster's operator never lists Helm's releases nor its own bundle, so that those are SecretNotFound", ""),
    110: ("a server's certificate vouches for itself in Go, whoever issued it: accepted with a warning", ""),
    112: ("bytes that are not UTF-8 are told by what they look like; 1 MiB is over the limit of a source", ""),
    113: ("trusts of one registry add up, as in Docker's directory", "test_several_trusts_for_one_registry_add_up"),
    114: (
        "trusts add up: the files of the other one simply stay",
        "test_the_files_stay_the_same_when_one_trust_takes_over_from_another",
    ),
    115: (
        "trusts add up, on each node those that select it",
        "test_a_trust_with_a_selector_is_for_the_nodes_that_it_selects",
    ),
    116: ("trusts add up: the same content is stored once", "test_the_same_pair_under_one_name_is_no_conflict"),
    119: (
        "trusts add up: a hundred are accepted",
        "test_row_119_a_hundred_trusts_of_one_registry_are_all_accepted_and_add_up",
    ),
    123: ("the limits are fixed: none was ever met by what a registry needs, so there is no flag to raise them", ""),
}
"""Verdicts that this design changed: why, and the test that shows it where no table has the row."""

NO_INPUT = {45, 82, 107}
"""Rows for which this design has no such input."""


@dataclass(frozen=True)
class Line:
    """One line of a table of tests: its row, the verdict, the reasons, and whether it has a message."""

    row: int
    verdict: Verdict
    reasons: frozenset[str]
    has_message: bool


def numbers(text: str) -> Iterator[int]:
    for part in text.split():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def lines() -> Iterator[Line]:
    """Yield every line that has the number of a row in its id, of every table of the unit tests."""
    for file in sorted(UNIT.glob("test_*.py")):
        module = importlib.import_module(f"tests.unit.{file.stem}")
        for name, test in vars(module).items():
            for mark in getattr(test, "pytestmark", []) if name.startswith("test_") else []:
                for parameters in mark.args[1] if mark.name == "parametrize" else []:
                    row = re.match(r"row (\d+): ", getattr(parameters, "id", None) or "")
                    if row:
                        yield line_of(int(row[1]), name, parameters.values)


def line_of(row: int, test: str, values: tuple[Any, ...]) -> Line:
    """Return what a line says: its reason stands beside the message, in its warnings, or before the message."""
    flat = list(flattened(values))
    cases = [value for value in flat if isinstance(value, Case)]
    texts = [value for value in flat if isinstance(value, str) and not isinstance(value, Reason)]
    reasons = {str(value) for value in flat if isinstance(value, Reason)}
    reasons |= {str(reason) for case in cases for reason in case.reasons}
    reasons |= {found[1] for text in texts if (found := re.match(r"(\w+): spec\.", text))}
    verdict = REFUSED if "refused" in test else WARNED if reasons else ACCEPTED
    return Line(row, verdict, frozenset(reasons), bool(cases) or any(len(text) > 25 for text in texts))


def flattened(value: object) -> Iterator[object]:
    if isinstance(value, tuple):
        for part in value:
            yield from flattened(part)
    else:
        yield value


@pytest.fixture(scope="module")
def table() -> list[Line]:
    return list(lines())


def test_every_row_has_a_verdict():
    named = {row for _, _, rows in EXPECTED for row in numbers(rows)}

    assert sorted(ROWS - named - SAID_BY_NAME.keys() - OTHERWISE.keys()) == []
    assert sorted((named | SAID_BY_NAME.keys() | OTHERWISE.keys()) - ROWS) == []


@pytest.mark.parametrize(("verdict", "reason", "rows"), EXPECTED, ids=[" ".join(line[:2]) for line in EXPECTED])
def test_each_row_is_met_with_this_verdict_this_reason_and_a_message(table, verdict, reason, rows):
    met = {
        line.row
        for line in table
        if line.verdict is verdict and (reason in line.reasons or (not reason and not line.reasons))
        if line.has_message or not reason
    }

    assert sorted(set(numbers(rows)) - met) == []


def test_no_line_has_a_verdict_that_is_not_expected(table):
    expected = {(row, verdict) for verdict, _, rows in EXPECTED for row in numbers(rows)}
    also = {(line.row, line.verdict) for line in table if line.verdict is ACCEPTED}  # the good one beside the bad ones

    assert sorted({(line.row, line.verdict) for line in table} - expected - also) == []


def test_rows_that_are_no_line_of_a_table_have_their_test():
    text = "".join(file.read_text() for file in UNIT.glob("test_*.py"))

    assert [row for row in SAID_BY_NAME if f"def test_row_{row}_" not in text] == []
    assert [row for row, (_, test) in OTHERWISE.items() if test and f"def {test}(" not in text] == []


def test_rows_without_an_input_have_no_line(table):
    assert [line for line in table if line.row in NO_INPUT] == []
