"""Findings: what was accepted and still deserves a word (a warning), in the shape of an error without the refusal."""

from __future__ import annotations

from dataclasses import dataclass

from registry_trust.core.reasons import Reason


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A warning: `reason`, the `field` it is about (may be empty), and what was found and what to do."""

    reason: Reason
    message: str
    field: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.field}: {self.message}" if self.field else f"{self.reason}: {self.message}"
