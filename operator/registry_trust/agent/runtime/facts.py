"""Facts: what was found out about a node and its runtimes, and what these make of files that are in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from registry_trust.agent.runtime.candidates import Candidate
from registry_trust.agent.runtime.containerd.runtime import Containerd
from registry_trust.agent.runtime.crio.runtime import Crio
from registry_trust.agent.runtime.dockerd.runtime import Dockerd
from registry_trust.agent.runtime.node import NodeRuntime
from registry_trust.core.layout import Reader
from registry_trust.core.problem import Problem
from registry_trust.core.report import RegistryRow, TargetState


@dataclass(frozen=True, slots=True)
class Facts:
    """The node, and each runtime that may be on it."""

    node: NodeRuntime = field(default_factory=NodeRuntime)
    containerd: Containerd = field(default_factory=Containerd)
    dockerd: Dockerd = field(default_factory=Dockerd)
    crio: Crio = field(default_factory=Crio)

    def with_exceptions(self, rows: Sequence[RegistryRow], readers: frozenset[Reader]) -> tuple[RegistryRow, ...]:
        """Say it on the row of a registry if its files are in place, and a reader has another use for them, or none."""
        return self.crio.with_exceptions(self.dockerd.with_exceptions(rows, readers), readers)

    def notices(self, rows: Sequence[RegistryRow], readers: frozenset[Reader]) -> tuple[Problem, ...]:
        """Return what is so for some images alone, or can't be known from here."""
        return (*self.dockerd.notices(readers), *self.crio.notices(rows, readers))


def readers_of(candidates: Sequence[Candidate]) -> frozenset[Reader]:
    """Return who may read one of the roots that are written."""
    return frozenset(
        reader
        for candidate in candidates
        if candidate.target is not None and candidate.row.state is TargetState.READ
        for reader in candidate.target.possible_readers()
    )
