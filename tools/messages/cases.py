"""A case: an input, in a sentence, and the reasons that the real code gives for refusing it or warning of it.

The messages themselves are in docs/messages.md, which `make generate` writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from registry_trust.core.reasons import Reason


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a table.

    Attributes:
        sentence: what the input is, and what becomes of it.
        given: the input, or what makes it.
        reasons: of the error or of the warnings, in their order.
        count: how many certificates are accepted; 0 if the input is refused.
    """

    sentence: str
    given: Any
    reasons: tuple[Reason, ...]
    count: int = 0


Table = tuple[Case, ...]


def refused(sentence: str, given: object, reason: Reason) -> Case:
    """Return a row of a table of inputs that are refused."""
    return Case(sentence, given, (reason,))


def accepted(sentence: str, given: object, *reasons: Reason, count: int = 1) -> Case:
    """Return a row of a table of inputs that are accepted, with a warning for each reason."""
    return Case(sentence, given, reasons, count)
