"""The startup taint: what a node that joined with it still waits for, and the patch that takes it away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from registry_trust.compiler.node_standing import FleetNode, NodeStanding, NodeState, is_excluded
from registry_trust.core.names import STARTUP_TAINT
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import clip

REMOVED = Problem(
    Reason.STARTUP_TAINT_REMOVED, f"nothing is missing on this node, so its taint {STARTUP_TAINT} was removed"
)


@dataclass(frozen=True, slots=True)
class Wait:
    """A trust that a node does not have yet, and why; `registry` may be empty."""

    trust: str
    problem: Problem
    registry: str = ""


def find_wait(standings: Iterable[tuple[str, NodeStanding]]) -> Wait | None:
    """Return the first of what a node waits for; None where it has all that it will get.

    A node that no trust selects, or that the DaemonSet leaves out, waits for nothing. Neither does one whose trust was
    never usable, because no node can have it: its standings do not name such a trust. Nor one that only waits for the
    canaries of a trust that is new: it has all that it had without that trust.
    """
    for trust, standing in standings:
        later = standing.problem is not None and standing.problem.reason is Reason.ROLLING_OUT
        if standing.state is not NodeState.CURRENT and not is_excluded(standing) and not later:
            return Wait(trust, standing.problem or Problem(Reason.NODE_PENDING, "not reported yet"), standing.registry)
    return None


def removal(node: FleetNode) -> list[dict[str, Any]]:
    """Return the JSON patch (RFC 6902) that removes the taint from this very Node.

    It fails as a whole where the Node is another one by now, or where somebody moved its taints; nothing that another
    controller writes meanwhile is lost.
    """
    patch: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": node.uid}]
    for place in sorted(node.startup_taints, reverse=True):
        taint = f"/spec/taints/{place}"
        patch += [{"op": "test", "path": f"{taint}/key", "value": STARTUP_TAINT}, {"op": "remove", "path": taint}]
    return patch


def kept(node: FleetNode, wait: Wait, limit: int) -> Problem:
    """Return what is told of a Node that waits for long, in `limit` bytes, with the way out in any case."""
    registry = f" {wait.registry}:" if wait.registry else ""
    advice = f"; fix that, or remove the taint: kubectl taint node {node.name} {STARTUP_TAINT}-"
    message = (
        f"no new pod is scheduled here, because the taint {STARTUP_TAINT} stays until this node has "
        f"trust {wait.trust}: {wait.problem.reason}:{registry} {wait.problem.message}"
    )
    return Problem(Reason.STARTUP_TAINT_KEPT, clip(message, limit - len(advice)) + advice)
