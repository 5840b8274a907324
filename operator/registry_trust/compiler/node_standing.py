"""One node and one trust: how far the node is with it, judged by its report and by what is known of the node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from registry_trust.core.bundle import HIGHEST_SERIAL, CanaryContent, TrustContent
from registry_trust.core.names import AGENT
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RowState, TargetState
from registry_trust.core.selection import labels_hash
from registry_trust.core.verdict.verdict import State as VerdictState
from registry_trust.core.verdict.verdict import Verdict

_OS = "kubernetes.io/os"
"""Set by every kubelet to Go's runtime.GOOS (well-known labels)."""

_WORST_FIRST = {RowState.FAILED: 0, RowState.PENDING: 1, RowState.HELD: 1, RowState.CURRENT: 2}
BAD_TARGETS = frozenset({TargetState.NOT_READ, TargetState.UNKNOWN, TargetState.FAILED})


VERDICTS_WORST_FIRST = (VerdictState.FAILED, VerdictState.UNKNOWN, VerdictState.VERIFIED)


class NodeState(StrEnum):
    """How far one selected node is with one trust; the words of `status.nodes`."""

    CURRENT = "current"
    PENDING = "pending"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    WITHOUT_AGENT = "withoutAgent"


@dataclass(frozen=True, slots=True)
class FleetNode:
    """What the operator knows of one Node object."""

    name: str
    uid: str
    labels: Mapping[str, str]
    ready: bool
    startup_taints: tuple[int, ...] = ()
    """Places in `spec.taints` of those with the key `names.STARTUP_TAINT`."""

    @property
    def labels_hash(self) -> str:
        """Return the hash that an agent reports when it has seen these labels."""
        return labels_hash(self.labels)

    @property
    def runs_linux(self) -> bool:
        """Say whether an agent can run there; a node that does not say what it runs counts as Linux."""
        return self.labels.get(_OS, "linux") == "linux"


@dataclass(frozen=True, slots=True)
class Served:
    """A trust as nodes are to have it; without content, only its canaries have anything of it so far."""

    name: str
    since: int
    content: TrustContent | None
    verifiers: frozenset[str] = frozenset()
    """Names of the nodes that ask its registries; what others say of them does not count."""
    candidate: CanaryContent | None = None
    """What its canaries are to have instead."""

    def on(self, node: str) -> tuple[TrustContent | None, int]:
        """Return what a node is to have, and since which serial; none that there is where it only waits for that."""
        if self.candidate is not None and node in self.candidate.canaries:
            return self.candidate.content, self.candidate.since
        if self.content is None and self.candidate is not None:
            return self.candidate.content, HIGHEST_SERIAL + 1
        return self.content, self.since


@dataclass(frozen=True, slots=True)
class NodeStanding:
    """One node's state for one trust: why it is not current, and which registry that is about (may be empty).

    A verifier that is current has the worst of the verdicts that it came to, and `registry` is that one's; or, as its
    problem, the version of an agent that does not ask.
    """

    state: NodeState
    problem: Problem | None = None
    registry: str = ""
    verdict: Verdict | None = None


def judge(  # noqa: PLR0911 - one return for each state
    node: FleetNode,
    report: NodeReport | None,
    trust: Served,
    bundle_uid: str,
    *,
    live: bool,
    newest: int | None = None,
    admitted: bool = True,
) -> NodeStanding | None:
    """Return one node's standing for one trust; None where the trust does not select it, or it is not a Linux node.

    A node is current when it has applied a bundle that has this content (its serial is at least the trust's `since`),
    has selected by the labels that it has now, and names neither a registry of the trust nor a target as failing. A
    serial above the `newest` that there is comes from a history that is lost (etcd was restored from a backup): what
    stood under it nobody knows.
    """
    content, since = trust.on(node.name)
    if content is None or not node.runs_linux or not content.selects(node.labels):
        return None
    applied = report is not None and report.bundle_uid == bundle_uid and report.serial >= since
    if report is not None and applied and (newest is None or report.serial <= newest):
        seen = content.selector is None or report.labels_hash == node.labels_hash
        if seen:
            failure = _failure(report, trust.name, content)
            if failure is None:
                return _verified(report, content, newest) if node.name in trust.verifiers else _CURRENT
            # What a node said before it went away must not block a trust for ever.
            if live and node.ready:
                return failure
    if not live and not admitted:
        return NodeStanding(NodeState.WITHOUT_AGENT, Problem(Reason.NODE_EXCLUDED, ""))
    if not node.ready:
        return NodeStanding(
            NodeState.UNREACHABLE,
            Problem(Reason.NODE_UNREACHABLE, "the Node is not Ready; it gets this revision when it is back"),
        )
    if not live:
        return NodeStanding(
            NodeState.WITHOUT_AGENT,
            Problem(
                Reason.AGENT_SILENT, f"no agent is running on this node; see the DaemonSet {AGENT} and its tolerations"
            ),
        )
    if since > HIGHEST_SERIAL:
        return NodeStanding(NodeState.PENDING, Problem(Reason.ROLLING_OUT, "it gets this trust after the canaries"))
    return NodeStanding(NodeState.PENDING, Problem(Reason.NODE_PENDING, "the agent has not reported this revision yet"))


_CURRENT = NodeStanding(NodeState.CURRENT)


def _verified(report: NodeReport, content: TrustContent, newest: int | None) -> NodeStanding:
    """Return the standing of a verifier that is current.

    An agent that knows how to ask says so with its first report of the newest bundle, which names the verifiers.
    """
    rows = [row for row in report.registries if row.registry in content.registries and row.verdict is not None]
    asked = [(row.registry, row.finding) for row in rows if row.finding is not None]
    if not rows and newest is not None and report.serial >= newest:
        version = f"version {report.agent_version}" if report.agent_version else "no version"
        return NodeStanding(NodeState.CURRENT, Problem(Reason.AGENT_DOES_NOT_VERIFY, version))
    if not asked:
        return _CURRENT
    registry, verdict = min(asked, key=lambda each: (VERDICTS_WORST_FIRST.index(each[1].state), each[0]))
    return NodeStanding(NodeState.CURRENT, registry=registry, verdict=verdict)


def _failure(report: NodeReport, trust: str, content: TrustContent) -> NodeStanding | None:
    for target in report.targets:
        if target.state in BAD_TARGETS:
            reason = Reason.WRITE_FAILED if target.problem is None else target.problem.reason
            return NodeStanding(NodeState.FAILED, Problem(reason, f"{target.path}: {target.message}"))
    registries = content.registries
    rows = [row for row in report.registries if row.registry in registries and row.trust in ("", trust)]
    # Whoever wrote the report need not have put its failures first.
    row = min(rows, key=lambda row: _WORST_FIRST[row.state], default=None)
    if row is not None and row.state is not RowState.CURRENT:
        state = NodeState.FAILED if row.state is RowState.FAILED else NodeState.PENDING
        return NodeStanding(state, row.problem, row.registry)
    if report.is_truncated():
        return NodeStanding(
            NodeState.FAILED,
            Problem(
                Reason.NODES_FAILING,
                f"{report.failing} registries are failing on this node, more than its report can list",
            ),
        )
    return None


def is_excluded(standing: NodeStanding) -> bool:
    """Say whether the DaemonSet leaves the node out, so no agent will ever be there."""
    return standing.problem is not None and standing.problem.reason is Reason.NODE_EXCLUDED
