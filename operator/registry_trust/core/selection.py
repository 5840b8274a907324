"""Selection: which nodes a trust's `nodeSelector` chooses, by the rules of Kubernetes label selectors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Operator(StrEnum):
    """The operators of a set-based requirement (Kubernetes `metav1.LabelSelectorOperator`)."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """One line of `matchExpressions`; `values` is empty for Exists and DoesNotExist."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Say whether a node's labels meet this requirement. NotIn also holds where the label is absent."""
        match self.operator:
            case Operator.IN:
                return self.key in labels and labels[self.key] in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.DOES_NOT_EXIST:
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class Selector:
    """A label selector; every label of `match_labels` and every requirement must hold."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[Requirement, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Say whether a node with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels) and all(
            requirement.holds(labels) for requirement in self.match_expressions
        )


def may_overlap(one: Selector | None, other: Selector | None) -> bool:
    """Say whether a node could exist that both select; None selects every node.

    Exact for what selectors can say, since each requirement speaks of one label and a label may have any value; whether
    such a node does exist is not asked.
    """
    if one is None or other is None:
        return True
    requirements = [
        *one.match_expressions,
        *other.match_expressions,
        *(Requirement(k, Operator.IN, (v,)) for k, v in (*one.match_labels, *other.match_labels)),
    ]
    by_key: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        by_key.setdefault(requirement.key, []).append(requirement)
    return all(_satisfiable(key, of_key) for key, of_key in by_key.items())


def _satisfiable(key: str, requirements: list[Requirement]) -> bool:
    """Say whether a label can meet all of these requirements: absent, with a named value, or with any other one."""
    values = {value for requirement in requirements for value in requirement.values}
    another = "-".join(sorted(values)) + "-"
    candidates: list[Mapping[str, str]] = [{}, {key: another}, *({key: value} for value in sorted(values))]
    return any(all(requirement.holds(labels) for requirement in requirements) for labels in candidates)


def labels_hash(labels: Mapping[str, str]) -> str:
    """Return 16 hex digits that stand for a node's labels.

    An agent reports the hash of the labels that it selected by; the operator compares it with the Node's own, and so
    knows whether the agent has seen a relabelling yet, whichever bundle it has.
    """
    encoded = json.dumps(sorted(labels.items()), separators=(",", ":")).encode()
    return hashlib.sha256(encoded).hexdigest()[:16]
