"""A problem: what is wrong, or deserves a word, in the one shape that errors, rows, statuses and reports share."""

from __future__ import annotations

from dataclasses import dataclass

from registry_trust.core.reasons import Reason


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to tell an admin.

    Attributes:
        reason: from the one table of reasons, the same in conditions, Events, reports and logs.
        message: what was found and what to do; printable ASCII, without secret bytes.
        field: where it is, e.g. `spec.caCertificates[0].secretKeyRef`; empty where there is no field.
    """

    reason: Reason
    message: str
    field: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.field}: {self.message}" if self.field else f"{self.reason}: {self.message}"
