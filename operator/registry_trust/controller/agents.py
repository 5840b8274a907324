"""Live agents: on which nodes one runs, by the DaemonSet's own counts and, where they fall short, its pods.

Where there is no such DaemonSet, a report is what tells a live agent, and a node that was seen only now gets the time
to report.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from registry_trust.compiler.fleet import Node
from registry_trust.controller.api_server import ApiFailure, ApiServer

PATIENCE = 60.0
"""Seconds after which a node that has reported nothing counts as one without an agent."""


class Newcomers:
    """The nodes that this process has not watched for long: that they have reported nothing says nothing yet.

    An operator and its agents that start together know of each other only when the first reports are written.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, str], float] = {}

    def among(self, nodes: Iterable[Node]) -> frozenset[str]:
        """Take the nodes that there are, and return the names of those that are new."""
        now = self._clock()
        known, self._seen = self._seen, {}
        for node in nodes:
            key = (node.name, node.uid)
            self._seen[key] = known.get(key, now)
        return frozenset(name for (name, _), seen in self._seen.items() if now - seen < PATIENCE)


def live_agents(server: ApiServer, namespace: str, name: str, nodes: frozenset[str]) -> frozenset[str] | None:
    """Return the nodes on which an agent is ready; None where there is no such DaemonSet.

    Raises:
        ApiFailure: the API server did not say; what was known stays.
    """
    try:
        daemon_set = server.get(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}")
    except ApiFailure as error:
        if error.status == 404:
            return None
        raise
    ready = int((daemon_set.get("status") or {}).get("numberReady") or 0)
    if ready == 0:
        return frozenset()
    if ready >= len(nodes):
        return nodes
    labels = daemon_set["spec"]["selector"].get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    _, pods = server.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)
    return frozenset(str(pod["spec"].get("nodeName", "")) for pod in pods if _ready(pod)) & nodes


def _ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
