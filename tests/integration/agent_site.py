"""A place for agents under test: one bundle, Nodes, processes, and an account with the few rights of an agent."""

from __future__ import annotations

import base64
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry_trust.core.bundle import Bundle, IndexedTrust, TrustContent, TrustState, reference_of
from registry_trust.core.bundle_format import encode
from tools.authority import Authority
from tools.cluster.ports import free_port
from tools.cluster.processes import Process, start
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, NAMESPACE, REPOSITORY, Agent, Installation

REGISTRY = "harbor.example.test:5000"
AUTHORITY = Authority.create("registry CA")

RIGHTS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
    {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "registry-trust-agent", "namespace": NAMESPACE},
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "agent", "namespace": NAMESPACE},
        "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [BUNDLE], "verbs": ["get", "list", "watch"]}
        ],
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "agent"},
        "rules": [
            {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["registrytrust.io"], "resources": ["nodetrusts"], "verbs": ["get", "create", "patch"]},
        ],
    },
]
SUBJECT = {"kind": "ServiceAccount", "name": "registry-trust-agent", "namespace": NAMESPACE}
BINDINGS: list[dict[str, Any]] = [
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "agent", "namespace": NAMESPACE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "agent"},
        "subjects": [SUBJECT],
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "agent"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "agent"},
        "subjects": [SUBJECT],
    },
]


class Site:
    """One bundle, one Node and one agent; every test gets its own names."""

    def __init__(self, installation: Installation, node: str) -> None:
        self.installation = installation
        self.kubectl = installation.plane.kubectl
        self.node = node
        self.serial = 0
        self.port = free_port()

    def put(self, *trusts: IndexedTrust, blobs: tuple[bytes, ...] = (), serial: int | None = None) -> None:
        """Write a bundle as the operator would."""
        self.serial = self.serial + 1 if serial is None else serial
        bundle = Bundle(self.serial, trusts, {reference_of(pem): pem for pem in blobs}, fleet_size=1)
        self.put_data(encode(bundle))

    def put_data(self, data: Mapping[str, bytes]) -> None:
        """Replace the data of the bundle's Secret as a whole."""
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        patch = json.dumps([{"op": "add", "path": "/data", "value": encoded}])
        where = ("secret", BUNDLE, "-n", NAMESPACE)
        self.kubectl("patch", *where, "--type=json", "--patch-file=/dev/stdin", input=patch)

    def start(self, *options: str) -> Agent:
        """Start the agent with one docker root."""
        return self.installation.start_agent(self.node, ("docker",), "--drift-interval=1", *options)

    def start_python(self, root: Path, account: Path, *python: str) -> Process:
        """Start the agent with options of Python's own, and with the token and the CA in a folder of one's choice."""
        return start(
            self.installation.plane.run,
            f"agent-{self.node}-by-hand",
            [
                *(sys.executable, "-P", *python, "-m", "registry_trust.agent"),
                *(f"--node-name={self.node}", f"--namespace={NAMESPACE}"),
                f"--api-server={self.installation.plane.url}",
                *(f"--ca-file={account / 'ca.crt'}", f"--token-file={account / 'token'}"),
                f"--target=docker={root}",
                *(f"--listen=127.0.0.1:{self.port}", "--drift-interval=1", "--log-format=json"),
            ],
            environment={"PYTHONPATH": str(REPOSITORY / "operator")},
        )

    def report(self) -> dict[str, Any]:
        """Return the node's report; AssertionError while there is none."""
        body: dict[str, Any] = self.kubectl.get("nodetrust", self.node)
        return body

    def wait_for_serial(self, serial: int) -> dict[str, Any]:
        """Wait until the report speaks of this serial; return its status."""

        def reached() -> dict[str, Any] | None:
            status: dict[str, Any] = self.report()["status"]
            return status if status["bundle"]["serial"] == serial else None

        return wait_until(reached, f"the report of {self.node} has serial {serial}", within=30)


def trust(name: str = "harbor", **content: Any) -> IndexedTrust:
    """Return a trust for one registry with one CA."""
    given = {"registries": (REGISTRY,), "ca_certificates": (reference_of(AUTHORITY.pem),), **content}
    return IndexedTrust(name, f"uid-{name}", 1, TrustState.ACTIVE, TrustContent(**given))


def answer(agent: Agent, path: str) -> tuple[int, str]:
    """Return status and body of the agent's own page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{agent.port}{path}", timeout=5) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError as error:
        return 0, str(error)
