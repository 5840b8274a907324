"""The scene: a control plane, a registry, three loaders, and registry-trust's own processes."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from registry_trust.core.layout import Layout
from tools.cluster.control_plane import ControlPlane
from tools.cluster.loaders import Loaders
from tools.cluster.registry import Registry
from tools.cluster.runs import Run
from tools.cluster.waiting import wait_until
from tools.demo.api import API
from tools.demo.pulls import Puller
from tools.installation import NAMESPACE, Installation

HOST = "registry.example.test"
"""Never localhost or 127.*: runtimes skip verification there, and every pull would succeed."""

LAYOUTS = {"node-1": Layout.DOCKER, "node-2": Layout.CONTAINERS, "node-3": Layout.CONTAINERD}

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/registry-trust-operator"
REPORTS = "/apis/registrytrust.io/v1alpha1/nodetrusts"


@dataclass(frozen=True)
class DemoNode:
    """A node without a kubelet: an object of the API, and the root that its runtime would read."""

    name: str
    layout: Layout
    root: Path

    def entry(self, registry: str) -> str:
        """Return the name of a registry's directory in this node's root."""
        host, _, port = registry.rpartition(":")
        return f"{host}_{port}_" if self.layout is Layout.CONTAINERD else registry


@dataclass(frozen=True)
class Scene:
    """Everything that runs. All of it ends with the run."""

    run: Run
    registry: Registry
    loaders: Loaders
    installation: Installation
    api: API

    @property
    def nodes(self) -> list[DemoNode]:
        """The nodes whose agents were started."""
        agents = self.installation.agents.values()
        return [DemoNode(agent.node, LAYOUTS[agent.node], agent.root()) for agent in agents]

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl as the administrator; return its output."""
        return self.installation.plane.kubectl(*arguments).rstrip()

    def pullers(self) -> list[Puller]:
        """Return the three nodes' loaders."""
        return [Puller(self.loaders, node.layout, node.root, self.registry.dial) for node in self.nodes]

    def check(self) -> None:
        """Raise ProcessEndedError if the operator or an agent has ended."""
        agents = [agent.process for agent in self.installation.agents.values()]
        for process in [self.installation.operator, *agents]:
            if process is not None:
                process.check()

    def wait_until_all_work(self) -> None:
        """Return when the operator leads and has looked at everything once, and every node has reported."""
        wait_until(
            lambda: self._leads() and self._is_ready(self.installation.operator_port),
            "the operator leads and is ready",
            within=40,
            meanwhile=self.check,
        )
        for name in LAYOUTS:
            reported = partial(self._has_status, f"{REPORTS}/{name}")
            wait_until(reported, f"{name} reports", within=30, meanwhile=self.check)

    def _leads(self) -> bool:
        return bool(self.api.get(LEASE).get("spec", {}).get("holderIdentity"))

    def _is_ready(self, port: int) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    def _has_status(self, path: str) -> bool:
        return bool(self.api.get(path).get("status"))


@contextmanager
def set_up(run: Run) -> Iterator[Scene]:
    """Start what is not ours: etcd, kube-apiserver, the registry and the loaders; add three Nodes.

    Nothing is told to end: nobody reads etcd's or the registry's data again, and `run.destroy()` ends them at once.
    """
    plane, registry = ControlPlane(run), Registry(run, HOST)
    plane.start()
    registry.start()
    installation = Installation(plane)
    for name in LAYOUTS:
        installation.add_node(name)
    with Loaders(run) as loaders:
        yield Scene(run, registry, loaders, installation, API(plane))
