"""registry-trust as processes: its objects from deploy/, the operator, and agents with folders as roots."""

from __future__ import annotations

import base64
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tools.cluster import canaries
from tools.cluster.control_plane import ControlPlane
from tools.cluster.kubectl import Kubectl, KubectlError
from tools.cluster.ports import free_port
from tools.cluster.processes import Process, start
from tools.cluster.waiting import wait_until

NAMESPACE = "registry-trust"
TRUST_NAMESPACE = "registry-certificates"
BUNDLE = "registry-trust-bundle"
DAEMON_SET = "registry-trust-agent"
REPOSITORY = Path(__file__).resolve().parents[1]
MANIFEST = REPOSITORY / "deploy" / "registry-trust.yaml"
EVERYBODY_READS_BUNDLES = "system:cluster-trust-bundle-discovery"
"""Kubernetes' own ClusterRoleBinding, by which every service account reads ClusterTrustBundles."""
NEEDS_NODES = {"Deployment", "PodDisruptionBudget", "NetworkPolicy"}
"""Kinds that mean nothing without kubelets."""


@dataclass
class Agent:
    """A node agent as a process; `roots` are its folders by layout."""

    node: str
    roots: dict[str, Path]
    process: Process
    port: int

    def root(self) -> Path:
        """Return the only root."""
        (root,) = self.roots.values()
        return root


@dataclass
class Installation:
    """Everything but kubelets: real objects, real API server, the real operator and real agents."""

    plane: ControlPlane
    operator: Process | None = None
    operator_port: int = 0
    agents: dict[str, Agent] = field(default_factory=dict)

    def install(self) -> None:
        """Apply what deploy/ has for a cluster without kubelets, and wait until the kinds are served."""
        documents = [d for d in yaml.safe_load_all(MANIFEST.read_text()) if d and d["kind"] not in NEEDS_NODES]
        namespaces = [d for d in documents if d["kind"] == "Namespace"]
        self.plane.kubectl.apply(
            *(namespaces or [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])
        )
        self.plane.kubectl.apply(*(d for d in documents if d["kind"] == "CustomResourceDefinition"))
        for kind in ("registrytrusts", "nodetrusts"):
            self.plane.kubectl.wait_for_kinds(f"{kind}.registrytrust.io")
        self.plane.kubectl.apply(*(d for d in documents if d["kind"] not in ("Namespace", "CustomResourceDefinition")))

    def start_operator(self, *options: str, token: str = "") -> Process:
        """Start the operator with a token, by default a new one of its own service account."""
        token = token or self.plane.service_account_token(NAMESPACE, "registry-trust-operator")
        self.operator_port = free_port()
        self.operator = start(
            self.plane.run,
            "operator",
            [
                sys.executable,
                "-m",
                "registry_trust",
                "operator",
                f"--namespace={NAMESPACE}",
                f"--kubeconfig={self.plane.kubeconfig('operator', token)}",
                f"--listen=127.0.0.1:{self.operator_port}",
                "--log-format=text",
                *options,
            ],
            environment={"PYTHONPATH": str(REPOSITORY / "operator")},
        )
        return self.operator

    def readiness(self) -> str:
        """Return what the operator's /readyz says; empty while nothing answers there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.operator_port}/readyz", timeout=5) as page:
                return str(page.read(), "utf-8")
        except urllib.error.HTTPError as error:
            return str(error.read(), "utf-8")
        except OSError:
            return ""

    def add_node(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Create a Node object without a kubelet."""
        own = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
        metadata = {"name": name, "labels": {**own, **(labels or {})}}
        self.plane.kubectl.apply({"apiVersion": "v1", "kind": "Node", "metadata": metadata})

    def start_agent(self, node: str, layouts: Sequence[str] = ("docker",), *options: str, pod: str = "") -> Agent:
        """Start an agent with one folder for each layout, and a token bound to its Node, or to a Pod on it."""
        bound = {"pod": pod} if pod else {"node": node}
        account = self.plane.service_account_folder(NAMESPACE, "registry-trust-agent", **bound)
        known = self.agents.get(node)
        roots = known.roots if known else {each: self.plane.run.subfolder(f"{node}-{each}") for each in layouts}
        port = free_port()
        process = start(
            self.plane.run,
            f"agent-{node}",
            [
                sys.executable,
                "-I",
                "-m",
                "registry_trust.agent",
                f"--node-name={node}",
                f"--namespace={NAMESPACE}",
                f"--api-server={self.plane.url}",
                f"--ca-file={account / 'ca.crt'}",
                f"--token-file={account / 'token'}",
                f"--listen=127.0.0.1:{port}",
                "--log-format=text",
                *(f"--root={root}" for root in roots.values()),
                *(f"--target={layout}={root}" for layout, root in roots.items()),
                *options,
            ],
        )
        self.agents[node] = Agent(node, roots, process, port)
        self.tell_of_agent(node)
        return self.agents[node]

    def tell_of_agent(self, node: str) -> None:
        """Do what the DaemonSet's controller and a kubelet do: a Ready pod on that node, and the count of them."""
        try:
            daemon_set = self.plane.kubectl.get("daemonset", DAEMON_SET, "-n", NAMESPACE)
        except AssertionError:
            return  # Only the agent's own objects were applied.
        name = f"{DAEMON_SET}-{node}"
        labels = daemon_set["spec"]["selector"]["matchLabels"]
        account = {"serviceAccountName": "registry-trust-agent", "automountServiceAccountToken": False}
        spec = {"nodeName": node, **account, "containers": [{"name": "agent", "image": "none"}]}
        metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
        self.plane.kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        count = len(self.agents)
        counts = {"currentNumberScheduled": count, "desiredNumberScheduled": count, "numberMisscheduled": 0}
        for kind, which, status in (
            ("pod", name, {"conditions": [{"type": "Ready", "status": "True"}]}),
            ("daemonset", DAEMON_SET, {**counts, "numberReady": count}),
        ):
            patch = json.dumps({"status": status})
            where = ("-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", patch)
            self.plane.kubectl("patch", kind, which, *where)

    def stop(self) -> None:
        """End the operator and every agent, after a look for private keys in all that they show."""
        try:
            canaries.require_none(self.shown())
        finally:
            running = [each for each in (self.operator, *(agent.process for agent in self.agents.values())) if each]
            for process in running:
                process.ask_to_end()
            for process in running:
                process.stop()

    def shown(self) -> dict[str, bytes | str]:
        """Return all that is shown to others, by place: objects, pages, arguments and environments."""
        running = [(self.operator, self.operator_port), *((each.process, each.port) for each in self.agents.values())]
        shown: dict[str, bytes | str] = dict(shown_objects(self.plane.kubectl))
        for process, port in running:
            if process is None or process.child.poll() is not None:
                continue
            address = f"http://127.0.0.1:{port}/metrics"
            with suppress(OSError), urllib.request.urlopen(address, timeout=5) as page:
                shown[f"{process.name}: {address}"] = page.read()
            for file in ("cmdline", "environ"):
                with suppress(OSError):
                    shown[f"{process.name}: {file}"] = Path(f"/proc/{process.pid}/{file}").read_bytes()
        return shown

    def secret(self, name: str, data: Mapping[str, bytes], secret_type: str = "Opaque") -> None:
        """Write a Secret in the trust namespace."""
        self.plane.kubectl.apply(secret(name, data, secret_type))

    def trust(self, name: str, **spec: Any) -> None:
        """Apply a RegistryTrust."""
        self.plane.kubectl.apply(trust(name, **spec))

    def status(self, name: str) -> dict[str, Any]:
        """Return a trust's status."""
        status: dict[str, Any] = self.plane.kubectl.get("registrytrust", name).get("status", {})
        return status

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """Return one condition of a trust; empty where it is not there."""
        conditions = self.status(name).get("conditions", [])
        return next((each for each in conditions if each["type"] == kind), {})

    def wait_for(self, name: str, kind: str, value: str = "True", within: float = 60.0) -> dict[str, Any]:
        """Wait until a condition has a value and speaks of the newest generation; return it."""

        def reached() -> dict[str, Any] | None:
            body = self.plane.kubectl.get("registrytrust", name)
            conditions = body.get("status", {}).get("conditions", [])
            found: dict[str, Any] = next((c for c in conditions if c["type"] == kind), {})
            newest = found.get("observedGeneration") == body["metadata"]["generation"]
            return found if newest and found.get("status") == value else None

        return wait_until(reached, self._saying(f"{kind}={value} of {name}", name), within=within)

    def _saying(self, what: str, name: str) -> str:
        return f"{what} (status when the wait began: {self.status(name)})"


def install_on_nodes(kubectl: Kubectl) -> None:
    """Apply deploy/ as a user would, with explicit targets for dockerd and for Podman, and wait for the pods."""
    documents = [body for body in yaml.safe_load_all(MANIFEST.read_text()) if body]
    for body in documents:
        if body["kind"] == "DaemonSet":
            args = body["spec"]["template"]["spec"]["containers"][0]["args"]
            args += ["--target=docker=/etc/docker/certs.d", "--target=containers=/etc/containers/certs.d"]
    first = [body for body in documents if body["kind"] in ("Namespace", "CustomResourceDefinition")]
    kubectl.apply(*first)
    for kind in ("registrytrusts", "nodetrusts"):
        kubectl.wait_for_kinds(f"{kind}.registrytrust.io")
    kubectl.apply(*(body for body in documents if body not in first))
    for workload in (f"daemonset/{DAEMON_SET}", "deployment/registry-trust-operator"):
        kubectl("-n", NAMESPACE, "rollout", "status", workload, "--timeout=120s", timeout=130)


def shown_objects(kubectl: Kubectl) -> dict[str, str]:
    """Return every object in which registry-trust says something: statuses, reports, Events and the like."""
    kinds = "registrytrusts,nodetrusts,events,nodes,leases"
    with suppress(KubectlError):  # no API server, or no such kind any more
        return {kinds: kubectl("get", kinds, "-A", "-o", "json")}
    return {}


def secret(name: str, data: Mapping[str, bytes], secret_type: str = "Opaque") -> dict[str, Any]:
    """Return a Secret in the trust namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": TRUST_NAMESPACE},
        "type": secret_type,
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def config_map(name: str, data: Mapping[str, bytes]) -> dict[str, Any]:
    """Return a ConfigMap in the trust namespace."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": TRUST_NAMESPACE},
        "data": {key: value.decode() for key, value in data.items()},
    }


def cluster_trust_bundle(
    name: str, pem: bytes, signer: str = "", *, labels: Mapping[str, str] | None = None, version: str = "v1"
) -> dict[str, Any]:
    """Return a ClusterTrustBundle."""
    return {
        "apiVersion": f"certificates.k8s.io/{version}",
        "kind": "ClusterTrustBundle",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {"trustBundle": pem.decode(), **({"signerName": signer} if signer else {})},
    }


def trust(name: str, **spec: Any) -> dict[str, Any]:
    """Return a RegistryTrust."""
    return {
        "apiVersion": "registrytrust.io/v1alpha1",
        "kind": "RegistryTrust",
        "metadata": {"name": name},
        "spec": spec,
    }


def eventually(check: Callable[[], object], what: str, within: float = 20.0) -> None:
    """Wait until `check` is true."""
    wait_until(check, what, within=within)
