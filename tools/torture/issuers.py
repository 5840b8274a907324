"""issuers: a Certificate renewed every two minutes and a Bundle that changes with the registry's CA, under pulls."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509

from registry_trust import __version__
from tools.authority import Authority
from tools.cluster.binaries import binary
from tools.cluster.cluster import MIXED, Cluster
from tools.cluster.folders import REPOSITORY
from tools.cluster.images import build_product_image
from tools.cluster.kubectl import Kubectl
from tools.cluster.nodes import Node
from tools.cluster.pulling import kubelet_pull, pulling_by
from tools.cluster.registry import Registry
from tools.cluster.waiting import NotInTimeError, wait_until
from tools.installation import TRUST_NAMESPACE, install_on_nodes
from tools.torture.figures import Figures
from tools.trials.issuers import ca_issuer, source_of_bundles, start_issuers

PAGE = REPOSITORY / "docs" / "rotation.md"
EVERY_TWO_MINUTES = "duration: 1h\n  renewBefore: 58m"
"""An hour is the shortest that cert-manager's own admission accepts."""
_ROOTS = (
    "/etc/docker/certs.d",
    "/etc/containers/certs.d",
    "/etc/containerd/certs.d",
    "/etc/containerd/certs.d:/etc/docker/certs.d",
)
_PEM = 'go-template={{index .data "tls.crt" | base64decode}}'
_BOTH, _NEW = 1, 3
"""After so many renewals the Bundle has the registry's next CA as well, and that one alone."""


def objects_of_the_page(registry: str) -> list[dict[str, Any]]:
    """Return Certificate, Bundle and RegistryTrust as the page has them, for this registry and soon renewed."""
    (text,) = re.findall(
        r"^```yaml\n(apiVersion: cert-manager\.io.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    changed = text.replace("harbor.corp.example:5000", registry).replace("duration: 2160h", EVERY_TWO_MINUTES)
    assert registry in changed
    assert EVERY_TWO_MINUTES in changed
    return list(yaml.safe_load_all(changed))


def issuers(folder: Path, *, renewals: int) -> Figures:
    """Let the page's objects give three real nodes what they pull with, through so many renewals."""
    figures = Figures("cert-manager and trust-manager as sources", "renewals", 5)
    binary("issuers")  # Built before anything runs: that takes minutes the first time.
    with Cluster(MIXED) as cluster:
        image = build_product_image(folder / "product.tar", f"localhost/registry-trust:{__version__}")
        for node in cluster.nodes:
            node.import_image(image)
        registry, kubectl = cluster.add_registry("harbor.corp.test", 5000), cluster.kubectl
        install_on_nodes(kubectl)
        controllers = start_issuers(cluster.plane)
        kubectl.apply(*ca_issuer("corp-clients", registry.client_authorities[0]))
        kubectl.apply(source_of_bundles("corp-roots", registry.authority))
        kubectl.apply(*objects_of_the_page(registry.name))
        sight = _Sight(kubectl, cluster.nodes, registry)
        wait_until(lambda: sight.lacks() == "", "the first certificate is everywhere", within=180, every=0.2)
        _renew(figures, sight, cluster, renewals, controllers.check)
    return figures


class _Sight:
    """What the objects and the nodes' files say of the trust."""

    def __init__(self, kubectl: Kubectl, nodes: list[Node], registry: Registry) -> None:
        self._kubectl = kubectl
        self._entries = [node.path(root) for node in nodes for root in _ROOTS]
        self._names = (registry.name, registry.name.replace(":", "_") + "_")

    def serial(self) -> int:
        """Return the serial number of the certificate in the Secret; 0 while there is none."""
        found = self._kubectl("get", "secret", "harbor-client", "-n", TRUST_NAMESPACE, "--ignore-not-found", "-o", _PEM)
        return x509.load_pem_x509_certificate(found.encode()).serial_number if found else 0

    def wait_for_renewal(self, check: Callable[[], object]) -> None:
        """Wait until the Secret has another certificate.

        Raises NotInTimeError.
        """
        before = self.serial()
        wait_until(lambda: self.serial() != before, "a renewal", within=240, every=0.1, meanwhile=check)

    def lacks(self, authorities: tuple[Authority, ...] = ()) -> str:
        """Say what a node does not have yet: the Secret's certificate, or exactly these CA certificates."""
        status = self._kubectl.get("registrytrust", "harbor").get("status", {})
        nodes = status.get("nodes", {})
        if nodes.get("pending", 1) or nodes.get("current", 0) < 2:
            return f"nodes: {nodes}"
        wanted, roots = self.serial(), sorted(authority.certificate.serial_number for authority in authorities)
        found = [entry / name for entry in self._entries for name in self._names if (entry / name).is_symlink()]
        for entry in found:
            if not wanted or _serials(entry / "client.cert")[0] != wanted:
                return f"{entry} has another client certificate than the Secret"
            if roots and sorted(_serials(entry / "ca.crt")) != roots:
                return f"{entry} has other CA certificates than the Bundle"
        return "" if len(found) >= len(MIXED) else f"{len(found)} entries on all nodes"


def _serials(path: Path) -> list[int]:
    return [each.serial_number for each in x509.load_pem_x509_certificates(path.read_bytes())]


def _renew(figures: Figures, sight: _Sight, cluster: Cluster, renewals: int, check: Callable[[], object]) -> None:
    (registry,) = cluster.registries.values()
    old, new = registry.authority, Authority.create("harbor CA, the next")
    image = registry.push(add=[f"/pause={binary('pause')}"], entrypoint="/pause")
    first, second, third = cluster.nodes
    loops = {
        "kubelet of node1": partial(kubelet_pull, cluster.kubectl, first.name, image),
        "kubelet of node2": partial(kubelet_pull, cluster.kubectl, second.name, image),
        "dockerd of node3": partial(third.docker_pull, image),
    }
    with pulling_by(loops) as seen:
        wait_until(lambda: seen.done >= len(loops), "pulls go on", within=90)
        roots: tuple[Authority, ...] = (old,)
        try:
            for number in range(1, renewals + 1):
                sight.wait_for_renewal(check)
                _reached(figures, sight, roots)
                figures.count += 1
                if number in (_BOTH, _NEW):
                    roots = (old, new) if number == _BOTH else (new,)
                    cluster.kubectl.apply(source_of_bundles("corp-roots", *roots))
                    _reached(figures, sight, roots)
                    figures.add("changes of the Bundle")
                if number == _BOTH:
                    registry.rotate(authority=new)
        except NotInTimeError as error:
            figures.fail(f"after {figures.count} renewals", str(error))
    figures.add("pulls", seen.done)
    for failure in seen.failures:
        figures.fail("pull", failure)


def _reached(figures: Figures, sight: _Sight, roots: tuple[Authority, ...]) -> None:
    """Wait until every node has what the sources say, and note how long that took at most."""
    began = time.monotonic()
    wait_until(lambda: sight.lacks(roots) == "", "every node has it", within=90, every=0.1)
    name, took = "ms until every node had it, at most", round(1000 * (time.monotonic() - began))
    figures.numbers[name] = max(figures.numbers.get(name, 0), took)
