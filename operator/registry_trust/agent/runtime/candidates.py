"""Candidates: roots that a runtime reads or would read, each with the row that says how it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from registry_trust.agent.runtime.node import NodeRuntime
from registry_trust.agent.runtime.restarts import IN_FORCE, InForce
from registry_trust.core.layout import Layout
from registry_trust.core.observed import Target
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import TargetRow, TargetState

CONTAINERD_ROOT = "/etc/containerd/certs.d"
DOCKER_ROOT = "/etc/docker/certs.d"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A root's row, and the target that is written there; None where nothing is to be written, or can be."""

    row: TargetRow
    target: Target | None = None

    @property
    def path(self) -> str:
        """The root's path on the host."""
        return self.row.path


def read(target: Target, *remarks: str, in_force: InForce = IN_FORCE) -> Candidate:
    """Return a target that is read by the configuration; whether the runtime works with that already is another matter.

    Args:
        target: what is written.
        remarks: what is so beside that, in words; empty ones are left out.
        in_force: whether the runtime has read its configuration since that was changed.
    """
    message = "; ".join(text for text in (in_force.remark, *remarks) if text)
    row = TargetRow(target.path, target.layout.value, TargetState.READ, remark=message)
    if in_force.problem:
        row = replace(row, state=TargetState.UNKNOWN, problem=Problem(Reason.RUNTIME_NOT_RESTARTED, in_force.problem))
    return Candidate(row, target)


def standby(target: Target, message: str) -> Candidate:
    """Return a target that nothing reads now."""
    target = replace(target, standby=True)
    return Candidate(TargetRow(target.path, target.layout.value, TargetState.STANDBY, remark=message), target)


def not_read(path: str, layout: Layout, message: str) -> Candidate:
    """Return a root that is not read, or can't be written."""
    return Candidate(TargetRow(path, layout.value, TargetState.NOT_READ, Problem(Reason.ROOT_NOT_READ, message)))


def not_mounted(path: str, layout: Layout, gist: str, cure: str = "") -> Candidate:
    """Return a root that is read and can't be written from here."""
    message = f"{gist}, which is not mounted into the agent; mount it (chart value agent.extraRoots, option --root)"
    return not_read(path, layout, f"{message}{cure}")


def unknown(message: str) -> Candidate:
    """Say that it is not known what the runtime reads."""
    return Candidate(
        TargetRow(
            CONTAINERD_ROOT, Layout.CONTAINERD.value, TargetState.UNKNOWN, Problem(Reason.RUNTIME_UNKNOWN, message)
        )
    )


def first_mounted(node: NodeRuntime, name: str, paths: Sequence[str], target: Target, problem: str = "") -> Candidate:
    """Return the first of the roots that is mounted, as a target like this one; the first of all if none is."""
    path = next((path for path in paths if node.mounted(path)), None)
    if path is None:
        return not_mounted(paths[0], target.layout, f"{name} reads {paths[0]}")
    return read(replace(target, path=path), problem, node.unseen_before(path, target.chain))


def usual_layout(path: str) -> Layout:
    """Return the layout in which a root is written that nothing says more of: by its name."""
    if path.startswith("/etc/docker"):
        # Also where containerd reads it: dockerd shares it, and containerd finds the same files under `host:port`.
        return Layout.DOCKER
    return Layout.CONTAINERS if "/containers/" in path else Layout.CONTAINERD
