"""Three real nodes with registry-trust installed from deploy/, and what the tests do with them."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.authority import Authority, Pair
from tools.cluster.binaries import binary
from tools.cluster.cluster import Cluster
from tools.cluster.kubectl import Kubectl, KubectlError
from tools.cluster.nodes import Node
from tools.cluster.pulling import kubelet_pull
from tools.cluster.registry import Registry
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, NAMESPACE, install_on_nodes, secret, shown_objects, trust

SINGLE, STOCK, ELSEWHERE = "node1", "node2", "node3"
"""One root that containerd reads; containerd as shipped (literal colon); a folder nobody mounts and dockerd beside."""

LITERAL = "/etc/containerd/certs.d:/etc/docker/certs.d"


@dataclass
class ThreeNodes:
    """The cluster, one registry that demands client certificates, and registry-trust on it."""

    cluster: Cluster
    registry: Registry

    def node(self, name: str) -> Node:
        """Return a node by name."""
        return next(node for node in self.cluster.nodes if node.name == name)

    def install(self) -> None:
        """Apply deploy/ as a user would, with explicit targets for dockerd and for Podman, and wait for the pods."""
        install_on_nodes(self.kubectl)

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as the administrator."""
        return self.cluster.kubectl

    def secret(self, name: str, data: dict[str, bytes]) -> None:
        """Write a Secret in the trust namespace."""
        self.kubectl.apply(secret(name, data))

    def pair_secret(self, name: str, pair: Pair) -> None:
        """Write a client pair."""
        self.secret(name, {"tls.crt": pair.certificate, "tls.key": pair.key})

    def trust(self, name: str = "harbor", **changes: Any) -> None:
        """Apply a trust for the registry, with its CA and a client pair from Secrets named after the trust."""
        spec = {
            "registries": [self.registry.name],
            "caCertificates": [{"secretKeyRef": {"name": f"{name}-ca", "key": "ca.crt"}}],
            "clientCertificates": [{"secretRef": {"name": f"{name}-client"}}],
            **changes,
        }
        self.kubectl.apply(trust(name, **spec))

    def sources(self, name: str = "harbor", authority: Authority | None = None) -> None:
        """Write the Secrets that `trust` names."""
        self.secret(f"{name}-ca", {"ca.crt": (authority or self.registry.authority).pem})
        self.pair_secret(f"{name}-client", self.registry.client())

    def remove_trusts(self) -> None:
        """Delete every trust, confirm it (no grace, no guard), and wait until no node has anything of ours."""
        self.kubectl("delete", "registrytrusts", "--all")
        confirmation = f"registrytrust.io/confirm-removal={10**9}"
        self.kubectl("annotate", "secret", BUNDLE, "-n", NAMESPACE, "--overwrite", confirmation)
        wait_until(lambda: not self.entries(), "every entry is gone", within=90)
        self.kubectl("annotate", "secret", BUNDLE, "-n", NAMESPACE, "registrytrust.io/confirm-removal-")

    def entries(self) -> list[Path]:
        """Return every entry of ours on every node."""
        roots = ("/etc/docker/certs.d", "/etc/containers/certs.d", "/etc/containerd/certs.d", LITERAL)
        found = [path for node in self.cluster.nodes for root in roots if (path := node.path(root)).exists()]
        return [entry for root in found for entry in root.iterdir() if entry.is_symlink()]

    def pull(self, node: str, image: str | None = None, within: float = 60) -> str:
        """Let the kubelet pull on a node; return the runtime's own words where it fails, else nothing."""
        return kubelet_pull(self.kubectl, node, image or self.image(), within)

    def image(self, label: str = "") -> str:
        """Push an image that no node has yet."""
        unique = label or uuid.uuid4().hex[:10]
        return self.registry.push(add=[f"/pause={binary('pause')}"], entrypoint="/pause", tag=unique, label=unique)

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """Return one condition of a trust; empty where it is not there."""
        conditions = self.kubectl.get("registrytrust", name).get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == kind), {})

    def wait_for(
        self, name: str, kind: str, value: str = "True", within: float = 60, reason: str = ""
    ) -> dict[str, Any]:
        """Wait until a condition has a value (and a reason); on failure say what the objects said."""

        def reached() -> dict[str, Any] | None:
            body = self.kubectl.get("registrytrust", name)
            conditions = body.get("status", {}).get("conditions", [])
            found: dict[str, Any] = next((c for c in conditions if c["type"] == kind), {})
            newest = found.get("observedGeneration") == body["metadata"]["generation"]
            as_asked = found.get("status") == value and reason in ("", found.get("reason"))
            return found if newest and as_asked else None

        try:
            return wait_until(reached, f"{kind}={value} {reason} of {name}", within=within)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.situation()}") from None

    def report(self, node: str) -> dict[str, Any]:
        """Return what a node reports."""
        try:
            status: dict[str, Any] = self.kubectl.get("nodetrust", node).get("status", {})
        except KubectlError:
            return {}
        return status

    def shown(self) -> dict[str, str]:
        """Return all that registry-trust shows: objects, and the output of its pods, by name."""
        texts = shown_objects(self.kubectl)
        texts["pods"] = self.kubectl("get", "pods,daemonsets,deployments,configmaps", "-A", "-o", "json")
        for component in ("operator", "agent"):
            selector = f"app.kubernetes.io/component={component}"
            for body in self.kubectl.get("pods", "-n", NAMESPACE, "-l", selector)["items"]:
                name = body["metadata"]["name"]
                with suppress(KubectlError):  # a pod that has not started yet
                    texts[f"log of {name}"] = self.kubectl("-n", NAMESPACE, "logs", name, "--all-containers")
        return texts

    def situation(self) -> str:
        """Return what the cluster's objects and logs say, for a failure's message."""
        parts = [self.kubectl("get", "rt,nt,pods", "-A", "-o", "wide")]
        parts.append(json.dumps(self.kubectl.get("registrytrusts"), indent=1)[-6000:])
        parts += [
            self.kubectl(
                "-n", NAMESPACE, "logs", "-l", f"app.kubernetes.io/component={component}", "--tail=30", "--prefix"
            )
            for component in ("operator", "agent")
        ]
        return "\n".join(parts)
