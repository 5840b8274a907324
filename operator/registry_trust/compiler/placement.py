"""Placement: on which nodes the DaemonSet may run an agent at all, by its own node selector and node affinity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry_trust.core.selection import Operator, Requirement

_NAME = "metadata.name"
"""The only field of a Node that `matchFields` may name (Kubernetes core/v1 NodeSelectorTerm)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What a pod template demands of a node; taints are not looked at, since nodes get and lose them all the time.

    `terms` are the terms of `requiredDuringSchedulingIgnoredDuringExecution`, one of which must hold; None: no such.
    """

    labels: tuple[tuple[str, str], ...] = ()
    terms: tuple[tuple[Mapping[str, Any], ...], ...] | None = None

    def admits(self, name: str, labels: Mapping[str, str]) -> bool:
        """Say whether a node of this name, with these labels, may have an agent."""
        if any(labels.get(key) != value for key, value in self.labels):
            return False
        known = {**labels, _NAME: name}
        return self.terms is None or any(term and all(_holds(each, known) for each in term) for term in self.terms)


@dataclass(frozen=True, slots=True)
class Agents:
    """What the DaemonSet tells; `placement` is None where there is no DaemonSet."""

    live: frozenset[str] = frozenset()
    """Names of the nodes on which an agent is ready."""
    placement: Placement | None = field(default_factory=Placement)


def placement_of(pod: Mapping[str, Any]) -> Placement:
    """Return what a pod's spec demands of its node (core/v1 PodSpec: `nodeSelector`, `affinity.nodeAffinity`)."""
    affinity = ((pod.get("affinity") or {}).get("nodeAffinity")) or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = None
    if required is not None:
        terms = tuple(
            (*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ()))
            for term in required.get("nodeSelectorTerms") or ()
        )
    return Placement(tuple(sorted((pod.get("nodeSelector") or {}).items())), terms)


def _holds(line: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = str(line.get("key")), line.get("operator"), tuple(line.get("values") or ())
    if operator in ("Gt", "Lt"):  # only whole numbers, on both sides (component-helpers, nodeaffinity)
        try:
            found, bound = int(labels[key]), int(values[0])
        except (KeyError, IndexError, ValueError):
            return False
        return found > bound if operator == "Gt" else found < bound
    try:
        return Requirement(key, Operator(str(operator)), values).holds(labels)
    except ValueError:
        return True  # An operator of a later Kubernetes: nobody is said to be excluded by what is not understood.
