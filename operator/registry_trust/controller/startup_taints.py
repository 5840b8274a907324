"""Startup taints: removes the taint from each node that has what its trusts ask for, and reports long waits."""

from __future__ import annotations

import logging

from registry_trust.compiler.fleet import Fleet
from registry_trust.compiler.kinds import NODE
from registry_trust.compiler.node_standing import FleetNode
from registry_trust.compiler.startup_taint import REMOVED, find_wait, kept, removal
from registry_trust.controller import metrics
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.clock import Clock
from registry_trust.controller.cluster import ClusterMap
from registry_trust.controller.events import About, Events
from registry_trust.controller.transitions import NOTE_LIMIT, Event
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason

_log = logging.getLogger(__name__)

MOST = 50
"""Nodes that get rid of their taint in one round: when a whole fleet joins, statuses are not to wait for all of it."""

LONGEST_ROUND = 20.0
"""Seconds after which one round removes no more: of an API server that does not answer, each asks for a minute."""

PATIENCE = 120.0
"""Seconds for which a node may wait before an Event says for what."""

RETRY = 5.0
"""Seconds until a patch that failed is tried again, as after another process changed the taints at the same moment."""


class StartupTaints:
    """Never adds a taint: a node that once had all that it needs keeps its pods, whatever happens to its files."""

    def __init__(self, server: ApiServer, cluster: ClusterMap, events: Events, clock: Clock) -> None:
        self._server = server
        self._cluster = cluster
        self._events = events
        self._clock = clock
        self._since: dict[str, float] = {}
        """By the Node's UID: the steady time at which this process first saw the taint there."""
        self._next: dict[str, float] = {}
        """By the Node's UID: the steady time before which a patch that failed is not tried again."""
        self._told: dict[str, Reason] = {}
        self.pending = False
        """A node may be rid of its taint now."""

    def look(self, fleet: Fleet, serial: int) -> None:
        """Remove the taint where nothing is missing; `serial` is the bundle's, for the log."""
        now = self._clock.steady()
        nodes = fleet.tainted()
        self._forget_all_but(nodes)
        self.pending = False
        removed = 0
        for node in nodes:
            since = self._since.setdefault(node.uid, now)
            wait = find_wait(fleet.standings_of(node.name))
            if wait is not None:
                if now - since >= PATIENCE and self._told.get(node.uid) is not wait.problem.reason:
                    self._told[node.uid] = wait.problem.reason
                    self._tell(node, "Warning", kept(node, wait, NOTE_LIMIT), serial)
            elif removed == MOST or self._clock.steady() - now >= LONGEST_ROUND:
                self.pending = True
                break
            elif now >= self._next.get(node.uid, now):
                self._remove(node, fleet, serial, now)
                removed += 1
        waiting = fleet.tainted()
        metrics.STARTUP_TAINTS.set(len(waiting))
        metrics.STARTUP_TAINT_OLDEST.set(max((now - self._since.get(node.uid, now) for node in waiting), default=0))

    def _remove(self, node: FleetNode, fleet: Fleet, serial: int, now: float) -> None:
        try:
            body = self._server.patch(f"/api/v1/nodes/{node.name}", removal(node))
        except ApiFailure as error:
            self._next[node.uid] = now + RETRY
            _log.warning("startup taint not removed", extra={"node": node.name, "error": str(error)})
            return
        self._cluster.take(NODE, body)
        fleet.set_node(node.name, self._cluster.nodes.get(node.name))
        self._tell(node, "Normal", REMOVED, serial)

    def _tell(self, node: FleetNode, kind: str, problem: Problem, serial: int) -> None:
        self._events.tell(About("Node", node.name, node.uid, "v1"), Event(kind, problem, "Start"), serial)

    def _forget_all_but(self, nodes: list[FleetNode]) -> None:
        for uid in self._since.keys() - {node.uid for node in nodes}:
            del self._since[uid]
            self._told.pop(uid, None)
            self._next.pop(uid, None)
