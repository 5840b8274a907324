"""How a case of CA certificates is checked; what is said of it is in docs/messages.md."""

from __future__ import annotations

import pytest

from registry_trust.certificates.authorities import CheckedRoots
from registry_trust.core.errors import UnusableMaterial
from tools.messages.cases import Case, Table
from tools.messages.material import CA_FIELD, CA_PLACE, read_roots


def each(table: Table):
    """Run a test with each case of a table."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.sentence) for case in table])


def attempt(data: bytes) -> CheckedRoots | UnusableMaterial:
    """What was read, or the error; any other exception is a failure of the test."""
    try:
        return read_roots(data)
    except UnusableMaterial as error:
        return error


def check_refused(case: Case) -> None:
    error = attempt(case.given())

    assert isinstance(error, UnusableMaterial)
    assert ((error.problem.reason,), error.problem.field) == (case.reasons, CA_FIELD)
    assert error.problem.message.startswith(f"{CA_PLACE}: ")
    check_presentable(error)


def check_accepted(case: Case) -> None:
    found = read_roots(case.given())

    assert len(found.pems) == len(found.facts) == case.count
    assert tuple(warning.reason for warning in found.warnings) == case.reasons
    assert all(warning.field == CA_FIELD and warning.message.startswith(CA_PLACE) for warning in found.warnings)


def check_presentable(error: UnusableMaterial) -> None:
    """An error is printable ASCII and carries no other exception, which might quote what it read."""
    assert all(" " <= character <= "~" for character in str(error))
    assert error.__cause__ is None
    assert error.__context__ is None
