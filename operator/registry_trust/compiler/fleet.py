"""The fleet: which node is how far with which trust, kept by differences so that one report costs one node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from registry_trust.compiler.placement import Agents
from registry_trust.core.bundle import TrustContent
from registry_trust.core.names import AGENT
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RowState, TargetState
from registry_trust.core.selection import labels_hash


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


@dataclass(frozen=True, slots=True)
class Served:
    """A trust as nodes are to have it."""

    name: str
    since: int
    content: TrustContent


@dataclass(frozen=True, slots=True)
class NodeStanding:
    """One node's state for one trust: why it is not current, and which registry that is about (may be empty)."""

    state: NodeState
    problem: Problem | None = None
    registry: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """All selected nodes of one trust: the counts, and those that are not current, sorted by urgency and name."""

    counts: Mapping[NodeState, int]
    not_current: tuple[tuple[str, NodeStanding], ...]
    agents: int
    """Live agents in the whole cluster."""
    daemon_set: bool = True
    """There is a DaemonSet that makes agents."""

    @property
    def selected(self) -> int:
        """Return the number of selected nodes."""
        return sum(self.counts.values())


_URGENCY = {
    NodeState.FAILED: 0,
    NodeState.WITHOUT_AGENT: 1,
    NodeState.UNREACHABLE: 2,
    NodeState.PENDING: 3,
    NodeState.CURRENT: 4,
}
_OS = "kubernetes.io/os"
"""Set by every kubelet to Go's runtime.GOOS (well-known labels)."""

_SHOWN = 5
"""Names of excluded nodes in one message."""

_WORST_FIRST = {RowState.FAILED: 0, RowState.PENDING: 1, RowState.HELD: 1, RowState.CURRENT: 2}
_BAD_TARGETS = frozenset({TargetState.NOT_READ, TargetState.UNKNOWN, TargetState.FAILED})


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
    if node.labels.get(_OS, "linux") != "linux" or not trust.content.selects(node.labels):
        return None
    applied = report is not None and report.bundle_uid == bundle_uid and report.serial >= trust.since
    if report is not None and applied and (newest is None or report.serial <= newest):
        seen = trust.content.selector is None or report.labels_hash == node.labels_hash
        if seen:
            failure = _failure(report, trust)
            if failure is None:
                return NodeStanding(NodeState.CURRENT)
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
    return NodeStanding(NodeState.PENDING, Problem(Reason.NODE_PENDING, "the agent has not reported this revision yet"))


def _failure(report: NodeReport, trust: Served) -> NodeStanding | None:
    for target in report.targets:
        if target.state in _BAD_TARGETS:
            reason = Reason.WRITE_FAILED if target.problem is None else target.problem.reason
            return NodeStanding(NodeState.FAILED, Problem(reason, f"{target.path}: {target.message}"))
    registries = trust.content.registries
    rows = [row for row in report.registries if row.registry in registries and row.trust in ("", trust.name)]
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


def count_missing(nodes: Iterable[FleetNode], agents: Agents) -> int:
    """Return on how many Ready nodes the DaemonSet is to have an agent, and none is ready."""
    return sum(
        node.ready and node.name not in agents.live and node.labels.get(_OS, "linux") == "linux"
        for node in nodes
        if agents.placement is None or agents.placement.admits(node.name, node.labels)
    )


def _excluded(names: list[str]) -> NodeStanding:
    """Say once of all nodes that can't have an agent that they can't."""
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    message = f"nodeSelector or node affinity of the DaemonSet {AGENT} excludes {shown}"
    return NodeStanding(NodeState.WITHOUT_AGENT, Problem(Reason.NODE_EXCLUDED, message))


class Fleet:
    """Nodes, reports and agents against the served trusts."""

    def __init__(self) -> None:
        self._nodes: dict[str, FleetNode] = {}
        self._reports: dict[str, NodeReport] = {}
        self._trusts: dict[str, Served] = {}
        self._agents = Agents()
        self._bundle_uid = ""
        self._newest: int | None = None
        self._standings: dict[str, dict[str, NodeStanding]] = {}
        self._counts: dict[str, Counter[NodeState]] = {}

    @property
    def size(self) -> int:
        """Return the number of Nodes."""
        return len(self._nodes)

    def live(self, node: str) -> bool:
        """Say whether an agent runs on a node."""
        return node in self._agents.live

    @property
    def agents(self) -> Agents:
        """Return the agents as they were last told."""
        return self._agents

    def rebuild(
        self,
        nodes: Iterable[FleetNode],
        reports: Mapping[str, NodeReport],
        trusts: Iterable[Served],
        agents: Agents,
        bundle_uid: str,
    ) -> None:
        """Take everything again, as after a complete LIST."""
        self._nodes = {node.name: node for node in nodes}
        self._reports = dict(reports)
        self._agents = agents
        self._bundle_uid = bundle_uid
        self._trusts, self._standings, self._counts = {}, {}, {}
        self.set_trusts(trusts)

    def set_trusts(self, trusts: Iterable[Served]) -> set[str]:
        """Take the trusts as they are served now; return the names of those whose standing was counted again."""
        fresh = {trust.name: trust for trust in trusts}
        for name in self._trusts.keys() - fresh.keys():
            del self._trusts[name], self._standings[name], self._counts[name]
        touched = {name for name, trust in fresh.items() if self._trusts.get(name) != trust}
        for name in touched:
            self._trusts[name] = fresh[name]
            self._standings[name] = {}
            self._counts[name] = Counter()
            for node in self._nodes:
                self._recount(node, name)
        return touched

    def set_node(self, name: str, node: FleetNode | None) -> set[str]:
        """Take a Node as it is now (None: it is gone); return the trusts whose standing changed."""
        if node is None:
            self._nodes.pop(name, None)
        else:
            self._nodes[name] = node
        return self._recount_node(name)

    def set_report(self, name: str, report: NodeReport | None) -> set[str]:
        """Take a node's report (None: it is gone); return the trusts whose standing changed."""
        if report is None:
            self._reports.pop(name, None)
        else:
            self._reports[name] = report
        return self._recount_node(name)

    def set_agents(self, agents: Agents) -> set[str]:
        """Take the nodes with a live agent, and where there may be one; return the trusts whose standing changed."""
        before, self._agents = self._agents, agents
        nodes = before.live ^ agents.live if before.placement == agents.placement else list(self._nodes)
        touched = {trust for name in nodes for trust in self._recount_node(name)}
        # The last agent that goes, the first that comes, and the DaemonSet itself concern every trust.
        same = bool(before.live) is bool(agents.live) and (before.placement is None) is (agents.placement is None)
        return touched if same else set(self._trusts)

    def set_newest(self, serial: int) -> set[str]:
        """Take the serial of the bundle that there is now; return the trusts whose standing changed."""
        before, self._newest = self._newest, serial
        if before == serial:
            return set()
        beyond = [
            name
            for name, report in self._reports.items()
            if (report.serial > serial) is not (before is not None and report.serial > before)
        ]
        return {trust for name in beyond for trust in self._recount_node(name)}

    def serial_lag(self, serial: int) -> int:
        """Return by how many writes the slowest Ready node with a live agent is behind a bundle's serial."""
        reported = [
            report.serial
            for name, report in self._reports.items()
            if report.bundle_uid == self._bundle_uid and name in self._nodes
            if self._nodes[name].ready and self.live(name)
        ]
        return max(0, serial - min(reported, default=serial))

    def tainted(self) -> list[FleetNode]:
        """Return the Nodes that have the startup taint."""
        return [node for node in self._nodes.values() if node.startup_taints]

    def standings_of(self, node: str) -> Iterator[tuple[str, NodeStanding]]:
        """Yield each trust that selects a node, and how far the node is with it."""
        for trust, nodes in self._standings.items():
            if (standing := nodes.get(node)) is not None:
                yield trust, standing

    def standing(self, trust: str, most: int) -> Standing:
        """Return the counts of one trust, and at most `most` of its nodes that are not current."""
        nodes = self._standings.get(trust, {})
        counts = self._counts.get(trust, Counter())
        behind: list[tuple[str, NodeStanding]] = []
        if counts[NodeState.CURRENT] != sum(counts.values()):
            others = [(name, standing) for name, standing in nodes.items() if standing.state is not NodeState.CURRENT]
            excluded = sorted(name for name, standing in others if is_excluded(standing))
            behind = [item for item in others if not is_excluded(item[1])]
            behind.sort(key=lambda item: (_URGENCY[item[1].state], item[0]))
            if excluded:
                behind.append((excluded[0], _excluded(excluded)))
        return Standing(
            {state: counts[state] for state in NodeState},
            tuple(behind[:most]),
            len(self._agents.live),
            self._agents.placement is not None,
        )

    def _recount_node(self, node: str) -> set[str]:
        return {trust for trust in self._trusts if self._recount(node, trust)}

    def _recount(self, node_name: str, trust_name: str) -> bool:
        node = self._nodes.get(node_name)
        report = self._reports.get(node_name)
        after = (
            None
            if node is None
            else judge(
                node,
                report,
                self._trusts[trust_name],
                self._bundle_uid,
                live=self.live(node_name),
                newest=self._newest,
                admitted=self._agents.placement is None or self._agents.placement.admits(node_name, node.labels),
            )
        )
        standings = self._standings[trust_name]
        before = standings.get(node_name)
        if before == after:
            return False
        if before is not None:
            self._counts[trust_name][before.state] -= 1
            del standings[node_name]
        if after is not None:
            self._counts[trust_name][after.state] += 1
            standings[node_name] = after
        return True
