"""A scene for those who ask: an operator, agents that see a host's files, and a registry that wants to know clients."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools.authority import Authority
from tools.cluster.control_plane import ControlPlane
from tools.cluster.forwarding import forward_from
from tools.cluster.processes import Process
from tools.cluster.registry import Registry
from tools.cluster.waiting import wait_until
from tools.installation import Installation

PUBLIC, WRONG = (Authority.create(f"a {which} CA") for which in ("public", "wrong"))


@dataclass
class Scene:
    """An operator, five agents that see a host's files, and a registry that demands client certificates."""

    installation: Installation
    registry: Registry
    view: Path
    address: str
    front: Process | None = None

    def open(self) -> None:
        """Let the registry be reached by an address that is not loopback: an agent takes that for its pod's own."""
        listen = f"{self.address}:{self.registry.name.partition(':')[2]}"
        self.front = forward_from(self.installation.plane.run, "front", listen, self.registry.dial)

    def close(self) -> None:
        """Let connections be refused."""
        if self.front is not None:
            self.front.stop()

    def source(self, authority: Authority) -> None:
        """Make it the CA of the trust's source."""
        self.installation.secret("ca", {"ca.crt": authority.pem})

    def pair(self, authority: Authority) -> None:
        pair = authority.client("node")
        self.installation.secret("pair", {"tls.crt": pair.certificate, "tls.key": pair.key}, "kubernetes.io/tls")

    def trust(self, **more: Any) -> None:
        ca, pair = [{"secretKeyRef": {"name": "ca", "key": "ca.crt"}}], [{"secretRef": {"name": "pair"}}]
        spec = {"registries": [self.registry.name], "caCertificates": ca, "clientCertificates": pair}
        self.installation.trust("harbor", **spec, caRetention="0s", **more)

    def says(self, value: str, reason: str, *words: str) -> dict[str, Any]:
        """Wait until Verified is so."""

        def reached() -> dict[str, Any]:
            found = self.installation.condition("harbor", "Verified")
            assert (found.get("status"), found.get("reason")) == (value, reason), found
            assert all(word in found["message"] for word in words), found
            return found

        return wait_until(reached, f"Verified is {value}, {reason}", within=60)

    def verdicts(self) -> dict[str, str]:
        """Return the verdict of each node that has one."""
        reports = self.installation.plane.kubectl.get("nodetrusts")["items"]
        rows = {each["metadata"]["name"]: row for each in reports for row in each["status"].get("registries", ())}
        return {node: row["verification"]["state"] for node, row in rows.items() if "verification" in row}


def own_address() -> str:
    """Return this machine's address in its network; nothing is sent for that (RFC 5737: 192.0.2.0/24 is nobody's)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        try:
            asker.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but those of loopback")
        return str(asker.getsockname()[0])


@contextmanager
def asking(plane: ControlPlane, *nodes: str) -> Iterator[Scene]:
    """Run a scene with these nodes; its trust is there."""
    installed = Installation(plane)
    installed.install()
    installed.start_operator("--verify-registries")
    view = plane.run.subfolder("view")
    with Registry(plane.run) as registry:
        scene = Scene(installed, registry, view, own_address())
        scene.open()
        for name, text in (
            ("etc/hosts", f"127.0.0.1 localhost\n{scene.address}\t{registry.name.partition(':')[0]} # ours\n".encode()),
            ("etc/ssl/certs/ca-certificates.crt", PUBLIC.pem),
            ("etc/systemd/system/containerd.service.d/10-own.conf", b"[Service]\n# Environment=HTTPS_PROXY=none\n"),
        ):
            (view / name).parent.mkdir(parents=True, exist_ok=True)
            (view / name).write_bytes(text)
        scene.source(registry.authority)
        scene.pair(registry.client_authorities[0])
        try:
            for node in nodes:
                installed.add_node(node)
                installed.start_agent(node, ("docker",), f"--host-view={view}")
            scene.trust()
            yield scene
        finally:
            scene.close()
            installed.stop()
