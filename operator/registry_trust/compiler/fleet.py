"""The fleet: which node is how far with which trust, kept by differences so that one report costs one node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from registry_trust.compiler.node_standing import FleetNode, NodeStanding, NodeState, Served, is_excluded, judge
from registry_trust.compiler.placement import Agents
from registry_trust.core.names import AGENT
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport


@dataclass(frozen=True, slots=True)
class Standing:
    """All selected nodes of one trust: the counts, and those that are not current, sorted by urgency and name."""

    counts: Mapping[NodeState, int]
    not_current: tuple[tuple[str, NodeStanding], ...]
    agents: int
    """Live agents in the whole cluster."""
    daemon_set: bool = True
    """There is a DaemonSet that makes agents."""
    asked: tuple[tuple[str, NodeStanding], ...] = ()
    """The trust's verifiers that are current, by name."""

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

_SHOWN = 5
"""Names of excluded nodes in one message."""


def count_missing(nodes: Iterable[FleetNode], agents: Agents) -> int:
    """Return on how many Ready nodes the DaemonSet is to have an agent, and none is ready."""
    return sum(
        node.ready and node.name not in agents.live and node.runs_linux
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

    def able(self) -> list[FleetNode]:
        """Return the nodes that can do something now: Ready, with a live agent."""
        return [node for name, node in self._nodes.items() if node.ready and self.live(name)]

    @property
    def reports(self) -> Mapping[str, NodeReport]:
        """Return what nodes say of themselves, by name."""
        return self._reports

    def tainted(self) -> list[FleetNode]:
        """Return the Nodes that have the startup taint."""
        return [node for node in self._nodes.values() if node.startup_taints]

    def standings_of(self, node: str) -> Iterator[tuple[str, NodeStanding]]:
        """Yield each trust that selects a node, and how far the node is with it."""
        for trust, nodes in self._standings.items():
            if (standing := nodes.get(node)) is not None:
                yield trust, standing

    def is_settled(self, trust: str) -> bool:
        """Say whether no node is still to take the trust's content: each has it, failed, or has no agent to do it.

        While canaries try other content, the last word on it is still to come.
        """
        served = self._trusts.get(trust)
        tried = served is not None and served.candidate is not None
        return not tried and not self._counts.get(trust, Counter())[NodeState.PENDING]

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
        served = self._trusts.get(trust)
        verifiers = sorted(served.verifiers) if served is not None else ()
        asked = [(name, nodes[name]) for name in verifiers if name in nodes and nodes[name].state is NodeState.CURRENT]
        return Standing(
            {state: counts[state] for state in NodeState},
            tuple(behind[:most]),
            len(self._agents.live),
            self._agents.placement is not None,
            tuple(asked),
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
