"""Verdict: whether pulls from a registry will work, why, and what the registry showed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import clip


class State(StrEnum):
    """What is known of pulls. The law: never Verified where a pull fails at TLS, never Failed where it works."""

    VERIFIED = "Verified"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one probe found.

    Attributes:
        state: see `State`.
        problem: the reason, and what was found with the one thing to do; of a Verified one, too.
        shown: each certificate that the registry showed, in its order, in words; empty if it showed none.
    """

    state: State
    problem: Problem
    shown: tuple[str, ...] = ()


def verified(message: str, shown: tuple[str, ...]) -> Verdict:
    """Return the verdict that pulls work."""
    return Verdict(State.VERIFIED, Problem(Reason.VERIFIED, clip(message)), shown)


def failed(reason: Reason, message: str, shown: tuple[str, ...] = ()) -> Verdict:
    """Return the verdict that every pull fails."""
    return Verdict(State.FAILED, Problem(reason, clip(message)), shown)


def unknown(reason: Reason, message: str, shown: tuple[str, ...] = ()) -> Verdict:
    """Return the verdict that this probe can't tell."""
    return Verdict(State.UNKNOWN, Problem(reason, clip(message)), shown)
