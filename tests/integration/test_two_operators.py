"""Two installations in one cluster: one operator writes, the other stands by and says why, and takes over if it may."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deploy.generate import CHART
from tools.authority import Authority
from tools.cluster.binaries import binary
from tools.cluster.control_plane import ControlPlane
from tools.cluster.ports import free_port
from tools.cluster.processes import Process, start
from tools.cluster.waiting import wait_until
from tools.installation import MANIFEST, NAMESPACE, NEEDS_NODES, REPOSITORY, Installation

pytestmark = pytest.mark.tools("control-plane", "helm")

SECOND = "second"
CA = [{"inline": Authority.create("a CA").pem.decode()}]
OPERATOR = "registry-trust-operator"


def of_the_second() -> Iterator[dict[str, Any]]:
    """Return a second installation that changes nothing of the first one, as with a suffix to its names."""
    for body in yaml.safe_load_all(MANIFEST.read_text()):
        if not body or body["kind"] in {*NEEDS_NODES, "Namespace", "CustomResourceDefinition"}:
            continue
        if body["metadata"].get("namespace") == NAMESPACE:
            body["metadata"]["namespace"] = SECOND
        else:
            body["metadata"]["name"] += f"-{SECOND}"
            if "roleRef" in body:
                body["roleRef"]["name"] += f"-{SECOND}"
        for subject in body.get("subjects", ()):
            subject["namespace"] = SECOND
        if not body["kind"].startswith("ValidatingAdmissionPolicy"):
            yield body


class SecondOperator:
    """The operator of the second installation, with rights of its own."""

    def __init__(self, installation: Installation) -> None:
        plane = installation.plane
        plane.kubectl("create", "namespace", SECOND)
        plane.kubectl.apply(*of_the_second())
        token = plane.service_account_token(SECOND, OPERATOR)
        self.port = free_port()
        command = [sys.executable, "-m", "registry_trust", "operator", f"--namespace={SECOND}", "--log-format=text"]
        command += [f"--kubeconfig={plane.kubeconfig(SECOND, token)}", f"--listen=127.0.0.1:{self.port}"]
        environment = {"PYTHONPATH": str(REPOSITORY / "operator")}
        self.process: Process = start(plane.run, "second-operator", command, environment=environment)

    def readiness(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as page:
                return str(page.read(), "utf-8")
        except urllib.error.HTTPError as error:
            return str(error.read(), "utf-8")
        except OSError:
            return ""


@pytest.fixture(scope="module")
def second(installation: Installation) -> Iterator[SecondOperator]:
    """Bring the second installation when the first one is at work."""
    installation.add_node("n1")
    installation.start_agent("n1")
    installation.trust("harbor", registries=["harbor.example"], caCertificates=CA)
    installation.wait_for("harbor", "Ready", within=60)
    made = SecondOperator(installation)
    yield made
    made.process.stop()


def bind(plane: ControlPlane, namespace: str) -> None:
    """Let the cluster belong to the installation of a namespace."""
    binding = plane.kubectl.get("clusterrolebinding", OPERATOR)
    metadata = {"name": OPERATOR, "labels": binding["metadata"]["labels"]}
    subjects = [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": namespace}]
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding"}
    plane.kubectl.apply({**kind, "metadata": metadata, "roleRef": binding["roleRef"], "subjects": subjects})


def bundle(installation: Installation, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = installation.plane.kubectl.get("secret", "registry-trust-bundle", "-n", namespace)
    return found


def test_the_second_operator_stands_by_says_why_once_and_writes_nothing_until_the_cluster_is_given_to_it(
    installation: Installation, second: SecondOperator
) -> None:
    wait_until(
        lambda: f"standing by: another installation of registry-trust, in namespace {NAMESPACE}," in second.readiness(),
        "/readyz says why",
        within=60,
        meanwhile=second.process.check,
    )
    version = installation.plane.kubectl.get("registrytrust", "harbor")["metadata"]["resourceVersion"]
    written = [installation.condition("harbor", "Ready")["status"]]

    # A change that both hear of; the first one's status of it is the proof that time enough has passed.
    installation.plane.kubectl("label", "node", "n1", "zone=b")
    installation.trust("harbor", registries=["harbor.example", "more.example"], caCertificates=CA)
    installation.wait_for("harbor", "Ready", within=60)

    assert written == ["True"]
    assert installation.plane.kubectl.get("registrytrust", "harbor")["metadata"]["resourceVersion"] != version
    assert "data" not in bundle(installation, SECOND)
    assert second.process.log.read_text().count("standing by: another installation") == 1

    plane = installation.plane
    # The first one keeps its rights, so that it can fight if it wants to.
    rights = {"roleRef": plane.kubectl.get("clusterrolebinding", OPERATOR)["roleRef"]}
    subjects = [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": NAMESPACE}]
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "first"}}
    plane.kubectl.apply({**kind, **rights, "subjects": subjects})

    bind(plane, SECOND)

    wait_until(lambda: "data" in bundle(installation, SECOND), "the second one serves", within=60)
    wait_until(
        lambda: f"in namespace {SECOND}, manages this cluster" in installation.readiness(),
        "the first one stands by",
        within=60,
    )
    # The agent is the first one's: the second one says so, and nobody says anything else.
    installation.wait_for("harbor", "Ready", "False", within=60)


@pytest.mark.parametrize(("release", "namespace"), [("another", NAMESPACE), ("registry-trust", "elsewhere")])
def test_the_chart_refuses_a_second_release_with_what_to_do(
    installation: Installation, release: str, namespace: str
) -> None:
    plane = installation.plane
    bind(plane, NAMESPACE)
    mark = "meta.helm.sh/release-name=registry-trust"
    plane.kubectl("annotate", "--overwrite", "clusterrolebinding", OPERATOR, mark)

    refused = helm(plane, "install", release, str(CHART), f"--namespace={namespace}", "--create-namespace")

    assert refused.returncode != 0
    assert f"this cluster already has registry-trust, in namespace {NAMESPACE}" in refused.stderr
    assert f"uninstall it first: helm uninstall registry-trust --namespace {NAMESPACE};" in refused.stderr
    rendered = helm(plane, "template", release, str(CHART), f"--namespace={namespace}")
    assert rendered.returncode == 0, rendered.stderr


def helm(plane: ControlPlane, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [binary("helm"), *arguments, f"--kubeconfig={plane.admin_kubeconfig}"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, "HELM_CACHE_HOME": str(plane.folder / "helm")},
    )
