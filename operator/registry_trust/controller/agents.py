"""Agents: on which nodes one runs, by the DaemonSet's own counts and, where they fall short, its pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_trust.compiler.placement import Agents, placement_of
from registry_trust.controller.api_server import ApiFailure, ApiServer


def find_agents(server: ApiServer, namespace: str, name: str, nodes: frozenset[str]) -> Agents:
    """Return the nodes on which an agent is ready, and those where there may be one.

    Raises:
        ApiFailure: the API server did not say; what was known stays.
    """
    try:
        daemon_set = server.get(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}")
    except ApiFailure as error:
        if error.status == 404:
            return Agents(placement=None)
        raise
    placement = placement_of(daemon_set["spec"]["template"].get("spec") or {})
    ready = int((daemon_set.get("status") or {}).get("numberReady") or 0)
    if ready == 0:
        return Agents(frozenset(), placement)
    if ready >= len(nodes):
        return Agents(nodes, placement)
    labels = daemon_set["spec"]["selector"].get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    _, pods = server.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)
    live = frozenset(str(pod["spec"].get("nodeName", "")) for pod in pods if _ready(pod))
    return Agents(live & nodes, placement)


def _ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
