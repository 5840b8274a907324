"""What the rows of reports and passes say: the reason and the message of a row's problem, empty if it has none."""

from __future__ import annotations

from typing import Protocol

from registry_trust.core.problem import Problem


class Row(Protocol):
    """A row of any kind."""

    @property
    def problem(self) -> Problem | None:
        """What is wrong."""


def reason_of(row: Row) -> str:
    """Return the reason of a row's problem."""
    return "" if row.problem is None else row.problem.reason


def message_of(row: Row) -> str:
    """Return the message of a row's problem."""
    return "" if row.problem is None else row.problem.message
