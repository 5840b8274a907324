"""The fleet: which node is how far with which trust, kept by differences so that one report costs one node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from registry_trust.core.bundle import TrustContent
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
class Node:
    """What the operator knows of one Node object."""

    name: str
    uid: str
    labels: Mapping[str, str]
    ready: bool

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
    """One node's state for one trust; reason, registry and message are empty where it is current."""

    state: NodeState
    reason: str = ""
    registry: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """All selected nodes of one trust: the counts, and those that are not current, sorted by urgency and name."""

    counts: Mapping[NodeState, int]
    not_current: tuple[tuple[str, NodeStanding], ...]
    agents: int
    """Live agents in the whole cluster."""

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
_BAD_TARGETS = frozenset({TargetState.NOT_READ, TargetState.UNKNOWN, TargetState.FAILED})


def judge(
    node: Node, report: NodeReport | None, trust: Served, bundle_uid: str, *, live: bool, newest: int | None = None
) -> NodeStanding | None:
    """Return one node's standing for one trust; None where the trust does not select it.

    A node is current when it has applied a bundle that has this content (its serial is at least the trust's `since`),
    has selected by the labels that it has now, and names neither a registry of the trust nor a target as failing. A
    serial above the `newest` that there is comes from a history that is lost (etcd was restored from a backup): what
    stood under it nobody knows.
    """
    if not trust.content.selects(node.labels):
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
    if not node.ready:
        return NodeStanding(
            NodeState.UNREACHABLE,
            Reason.NODE_UNREACHABLE,
            message="the Node is not Ready; it gets this revision when it is back",
        )
    if not live:
        return NodeStanding(
            NodeState.WITHOUT_AGENT,
            Reason.AGENT_SILENT,
            message="no agent runs on this node; see the DaemonSet registry-trust-agent and its tolerations",
        )
    return NodeStanding(NodeState.PENDING, Reason.NODE_PENDING, message="the agent has not reported this revision yet")


def _failure(report: NodeReport, trust: Served) -> NodeStanding | None:
    for target in report.targets:
        if target.state in _BAD_TARGETS:
            return NodeStanding(NodeState.FAILED, target.reason, message=f"{target.path}: {target.message}")
    registries = trust.content.registries
    for row in report.registries:
        if row.registry in registries and row.trust in ("", trust.name):
            if row.state is RowState.FAILED:
                return NodeStanding(NodeState.FAILED, row.reason, row.registry, row.message)
            if row.state is not RowState.CURRENT:
                return NodeStanding(NodeState.PENDING, row.reason, row.registry, row.message)
    if report.is_truncated():
        return NodeStanding(
            NodeState.FAILED,
            Reason.NODES_FAILING,
            message=f"{report.failing} registries fail on this node, more than its report can name",
        )
    return None


class Fleet:
    """Nodes, reports and live agents against the served trusts.

    `live_agents` None means that there is no DaemonSet to ask: then a node that reports has a live agent, and a
    newcomer that has not reported yet may have one, so that it is waited for.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._reports: dict[str, NodeReport] = {}
        self._trusts: dict[str, Served] = {}
        self._live: frozenset[str] | None = None
        self._newcomers: frozenset[str] = frozenset()
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
        if self._live is not None:
            return node in self._live
        return node in self._reports or node in self._newcomers

    @property
    def live_agents(self) -> frozenset[str] | None:
        """Return the nodes with a live agent as they were last told; None without a DaemonSet."""
        return self._live

    def rebuild(
        self,
        nodes: Iterable[Node],
        reports: Mapping[str, NodeReport],
        trusts: Iterable[Served],
        live_agents: frozenset[str] | None,
        bundle_uid: str,
    ) -> None:
        """Take everything anew, as after a complete LIST."""
        self._nodes = {node.name: node for node in nodes}
        self._reports = dict(reports)
        self._live = live_agents
        self._bundle_uid = bundle_uid
        self._trusts, self._standings, self._counts = {}, {}, {}
        self.set_trusts(trusts)

    def set_trusts(self, trusts: Iterable[Served]) -> set[str]:
        """Take the trusts as they are served now; return the names of those whose standing was counted anew."""
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

    def set_node(self, name: str, node: Node | None) -> set[str]:
        """Take a Node as it is now (None: it is gone); return the trusts whose standing changed."""
        before = self._has_agents()
        if node is None:
            self._nodes.pop(name, None)
        else:
            self._nodes[name] = node
        return self._changed(before, (name,))

    def set_report(self, name: str, report: NodeReport | None) -> set[str]:
        """Take a node's report (None: it is gone); return the trusts whose standing changed."""
        before = self._has_agents()
        if report is None:
            self._reports.pop(name, None)
        else:
            self._reports[name] = report
        return self._changed(before, (name,))

    def set_live_agents(self, live_agents: frozenset[str] | None) -> set[str]:
        """Take the set of nodes with a live agent; return the trusts whose standing changed."""
        had, before, self._live = self._has_agents(), self._live, live_agents
        if before is None or live_agents is None:
            return self._changed(had, list(self._nodes) if before is not live_agents else ())
        return self._changed(had, before ^ live_agents)

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

    def set_newcomers(self, newcomers: frozenset[str]) -> set[str]:
        """Take the nodes that had no time to report yet; return the trusts whose standing changed."""
        had, before, self._newcomers = self._has_agents(), self._newcomers, newcomers
        return self._changed(had, before ^ newcomers if self._live is None else ())

    def _has_agents(self) -> bool:
        return any(map(self.live, self._nodes)) if self._live is None else bool(self._live)

    def _changed(self, had_agents: bool, nodes: Iterable[str]) -> set[str]:  # noqa: FBT001 - private, and read at a glance
        """Count some nodes anew; the last agent that goes and the first that comes concern every trust."""
        touched = {trust for name in nodes for trust in self._recount_node(name)}
        return touched if self._has_agents() is had_agents else set(self._trusts)

    def serial_lag(self, serial: int) -> int:
        """Return by how many writes the slowest Ready node with a live agent is behind a bundle's serial."""
        reported = [
            report.serial
            for name, report in self._reports.items()
            if report.bundle_uid == self._bundle_uid and name in self._nodes
            if self._nodes[name].ready and self.live(name)
        ]
        return max(0, serial - min(reported, default=serial))

    def standing(self, trust: str, most: int) -> Standing:
        """Return the counts of one trust, and at most `most` of its nodes that are not current."""
        nodes = self._standings.get(trust, {})
        counts = self._counts.get(trust, Counter())
        behind: list[tuple[str, NodeStanding]] = []
        if counts[NodeState.CURRENT] != sum(counts.values()):
            behind = [(name, standing) for name, standing in nodes.items() if standing.state is not NodeState.CURRENT]
            behind.sort(key=lambda item: (_URGENCY[item[1].state], item[0]))
        agents = sum(map(self.live, self._nodes)) if self._live is None else len(self._live)
        return Standing({state: counts[state] for state in NodeState}, tuple(behind[:most]), agents)

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
