"""clearing: a neighbour that empties the root at each start, every 20 seconds for an hour, under a loop of pulls."""

from __future__ import annotations

from pathlib import Path

from registry_trust.core.layout import Layout
from tools.cluster import loaders
from tools.cluster.control_plane import ControlPlane
from tools.cluster.registry import Registry
from tools.installation import Installation
from tools.torture.figures import Figures
from tools.trials.clearing import Neighbour, fight, is_whole

EVERY = 20.0
MIRRORS = '[host."https://mirror.corp.example:1"]\ncapabilities = ["pull", "resolve"]\n'
"""A mirror of which no CA is known: the registry is asked next."""


def clearing(_: Path, *, starts: int) -> Figures:
    """Start the neighbour so many times beside a real agent, and pull with a client certificate all the while."""
    figures = Figures("a neighbour that empties the root", "starts", 180)
    with ControlPlane() as plane, Registry(plane.run) as registry, loaders.Loaders(plane.run) as program:
        image = registry.push()
        installed = Installation(plane)
        installed.install()
        installed.add_node("cleared")
        installed.start_operator()
        pair = registry.client()
        installed.secret("ca", {"ca.crt": registry.authority.pem})
        installed.secret("client", {"tls.crt": pair.certificate, "tls.key": pair.key}, "kubernetes.io/tls")
        root = installed.start_agent("cleared", ("containerd",)).root()
        installed.trust(
            "harbor",
            registries=[registry.name],
            caCertificates=[{"secretKeyRef": {"name": "ca", "key": "ca.crt"}}],
            clientCertificates=[{"secretRef": {"name": "client"}}],
        )
        installed.wait_for("harbor", "Ready")
        host, port = registry.name.split(":")
        entry = root / f"{host}_{port}_"
        fought = fight(
            Neighbour(root, MIRRORS),
            lambda: is_whole(entry),
            lambda: program.pull(Layout.CONTAINERD, root, image, dial=registry.dial).error,
            starts=starts,
            every=EVERY,
        )
        installed.stop()
    figures.count = fought.starts
    figures.add("pulls", fought.pulls)
    figures.add("that failed before the entry was back", fought.failed_before_the_repair)
    for fault in fought.faults:
        figures.fail("pull", fault)
    return figures
