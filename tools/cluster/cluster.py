"""Runs a whole cluster on one machine, as root: control plane, nodes, and registries in networks of their own."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.cluster import loaders
from tools.cluster.binaries import binary
from tools.cluster.control_plane import SERVICE_ADDRESS, ControlPlane, ListeningPlace
from tools.cluster.kubectl import Kubectl
from tools.cluster.network import Network, enter_network
from tools.cluster.node_files import PAUSE_IMAGE, NodeOptions
from tools.cluster.nodes import NEEDED_COMMANDS, Node
from tools.cluster.registry import Registry, RegistryPlace
from tools.cluster.runs import Run

MIXED = (NodeOptions(), NodeOptions(config_path=None), NodeOptions(config_path="/etc/elsewhere/certs.d", dockerd=True))
"""A node that reads one root, one as containerd is shipped, one that reads a folder nobody mounts and has dockerd."""


def what_is_missing() -> str:
    """Why no cluster of nodes can run here and how to cure it, in one line; empty when it can."""
    if os.uname().sysname != "Linux":
        return "real nodes need Linux"
    if os.geteuid() != 0:
        return "real nodes need root (network and mount namespaces, cgroups): run as root"
    packages = sorted({package for command, package in NEEDED_COMMANDS.items() if shutil.which(command) is None})
    if not Path("/usr/lib/cni/bridge").exists():
        packages.append("containernetworking-plugins")
    return f"real nodes need {', '.join(packages)}: apt-get install {' '.join(packages)}" if packages else ""


class Cluster:
    """Context manager. With `outlives`, it goes on after this process until somebody destroys its run."""

    def __init__(self, nodes: Sequence[NodeOptions], *, outlives: bool = False) -> None:
        self.run = Run.create(outlives_its_owner=outlives)
        self._outlives = outlives
        self.network = Network(self.run)
        place = ListeningPlace(enter_network(self.network.control_plane), SERVICE_ADDRESS, 443)
        self.plane = ControlPlane(self.run, place, controller_manager=True, scheduler=True, outlives=outlives)
        self.nodes = [
            Node(self.run, self.plane, self.network, number, options, outlives=outlives)
            for number, options in enumerate(nodes, start=1)
        ]
        self.registries: dict[str, Registry] = {}
        self._addresses: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.destroy()

    @property
    def kubectl(self) -> Kubectl:
        return self.plane.kubectl

    def start(self) -> None:
        """Returns when every node is Ready and has the pause image."""
        self.network.create()
        self.plane.start()
        pause = loaders.archive(
            self.run.folder / "pause.tar", PAUSE_IMAGE, add=[f"/pause={binary('pause')}"], entrypoint="/pause"
        )
        for node in self.nodes:
            node.create()
            node.start()
            node.import_image(pause)
        for node in self.nodes:
            node.wait_until_ready()

    def destroy(self) -> None:
        """Ends every process and removes every trace; may be repeated."""
        if self.run.folder.exists():
            self.run.destroy()
        self.plane.reap()
        for node in self.nodes:
            node.reap()
        for registry in self.registries.values():
            registry.reap()

    def add_registry(self, host: str = "harbor.corp.test", port: int = 5000) -> Registry:
        """A registry that demands client certificates, in a network of its own; every node finds it by name."""
        number = len(self.registries) + 1
        address = f"10.240.0.{100 + number}"
        namespace = self.network.add_member(f"r{number}", address)
        place = RegistryPlace(enter_network(namespace), address, port)
        registry = Registry(self.run, host, place, outlives=self._outlives)
        registry.start()
        self.registries[registry.name] = registry
        self._addresses[host] = address
        for node in self.nodes:
            node.set_hosts(self._addresses)
        return registry
