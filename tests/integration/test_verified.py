"""Verified: status says whether a pull would work, as a few nodes find out with their own files at a real registry."""

from __future__ import annotations

import socket
from collections.abc import Iterator
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

pytestmark = pytest.mark.tools("registry", "loaders")

NODES = ("one", "two", "three", "four", "five")
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


@pytest.fixture(scope="module")
def scene(plane: ControlPlane) -> Iterator[Scene]:
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
            for node in NODES:
                installed.add_node(node)
                installed.start_agent(node, ("docker",), f"--host-view={view}")
            scene.trust()
            yield scene
        finally:
            scene.close()
            installed.stop()


def test_three_nodes_of_five_ask_the_registry_and_a_pull_would_work(scene: Scene) -> None:
    scene.trust()

    wait_until(lambda: list(scene.verdicts().values()) == ["Verified"] * 3, "three nodes have asked", within=60)
    scene.says("True", "Verified", "3 nodes asked, and a pull would work")


def test_a_wrong_ca_is_told_within_seconds_and_what_the_registry_showed_with_it(scene: Scene) -> None:
    scene.trust()
    scene.source(WRONG)
    try:
        scene.says("False", "VerificationFailed", "UnknownAuthority", scene.registry.name)
        assert scene.installation.condition("harbor", "Ready")["status"] == "True"

        scene.trust(verification="Require")
        refused = scene.installation.wait_for("harbor", "Ready", "False")
        assert refused["reason"] == "VerificationFailed"
        assert scene.installation.condition("harbor", "Stalled")["status"] == "True"
    finally:
        scene.source(scene.registry.authority)
    scene.says("True", "Verified")
    scene.installation.wait_for("harbor", "Ready")


def test_a_client_certificate_that_the_registry_refuses_is_told(scene: Scene) -> None:
    scene.trust()
    scene.pair(WRONG)
    try:
        scene.says("False", "VerificationFailed", "ClientCertificateRefused")
    finally:
        scene.pair(scene.registry.client_authorities[0])
    scene.says("True", "Verified")


def test_a_registry_that_is_away_or_behind_a_proxy_of_the_host_is_unknown_and_never_false(scene: Scene) -> None:
    scene.trust(verification="Off")
    wait_until(lambda: scene.verdicts() == {}, "nobody asks", within=30)
    assert scene.installation.condition("harbor", "Verified") == {}
    drop_in = scene.view / "etc/systemd/system/containerd.service.d/20-proxy.conf"
    drop_in.write_text("[Service]\nEnvironment=HTTPS_PROXY=http://user:password@127.0.0.1:1\n")
    try:
        scene.trust()
        told = scene.says("Unknown", "NotProbed", "HTTPS_PROXY")
        assert "password" not in told["message"]
    finally:
        drop_in.unlink()
    scene.trust(verification="Off")
    wait_until(lambda: scene.verdicts() == {}, "nobody asks", within=30)
    scene.close()
    try:
        scene.trust()
        scene.says("Unknown", "RegistryUnreachable")
        assert scene.installation.condition("harbor", "Ready")["status"] == "True"
    finally:
        scene.open()
        scene.trust(verification="Off")
    wait_until(lambda: scene.verdicts() == {}, "nobody waits for the next time to ask", within=30)
