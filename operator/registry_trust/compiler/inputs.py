"""Inputs of the compiler: one existing trust, as it was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry_trust.core.problem import Problem
from registry_trust.core.trust import Trust


@dataclass(frozen=True, slots=True)
class TrustInput:
    """One existing `RegistryTrust`: parsed, or with the errors that kept it from being parsed; and its status."""

    name: str
    uid: str
    created: str
    generation: int
    trust: Trust | None
    errors: tuple[Problem, ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)
    promoted: str = ""
    """The revision that goes to all nodes now, whatever its canaries say (`names.PROMOTE_ANNOTATION`)."""
