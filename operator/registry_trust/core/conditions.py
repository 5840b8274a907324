"""Conditions: Kubernetes' own shape of what is true of an object, with transition times that only a change moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from registry_trust.core.text import clip

MESSAGE_LIMIT = 2048


class ConditionStatus(StrEnum):
    """The three values of a condition (Kubernetes `metav1.ConditionStatus`)."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition without its times; those come from comparing it with what the object has."""

    type: str
    status: ConditionStatus
    reason: str
    message: str


def merge(
    previous: Iterable[Mapping[str, Any]], conditions: Iterable[Condition], generation: int | None, now: str
) -> list[dict[str, Any]]:
    """Return the conditions for an object's status, sorted as given.

    `lastTransitionTime` stays what it was unless the condition's status flips (Kubernetes API conventions). A
    condition that is not given any longer is dropped: `Reconciling` and `Stalled` exist only while they are true.
    """
    known = {condition.get("type"): condition for condition in previous}
    merged: list[dict[str, Any]] = []
    for condition in conditions:
        before = known.get(condition.type, {})
        same = before.get("status") == condition.status.value and before.get("lastTransitionTime")
        merged.append(
            {
                "type": condition.type,
                "status": condition.status.value,
                **({} if generation is None else {"observedGeneration": generation}),
                "lastTransitionTime": before["lastTransitionTime"] if same else now,
                "reason": str(condition.reason),
                "message": clip(condition.message, MESSAGE_LIMIT),
            }
        )
    return merged
