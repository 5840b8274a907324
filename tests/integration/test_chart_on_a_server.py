"""The chart on a real API server: what Helm keeps, and what each service account may and may not do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from deploy.generate import CHART, MANIFEST
from tests.cluster.binaries import binary
from tests.cluster.control_plane import ControlPlane
from tests.cluster.kubectl import KubectlError
from tests.cluster.waiting import wait_until

pytestmark = pytest.mark.tools("control-plane", "helm")

NAMESPACE = "registry-trust"


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane() as plane:
        plane.kubectl("create", "namespace", NAMESPACE)
        yield plane


def helm(plane, *arguments):
    done = subprocess.run(
        [binary("helm"), *arguments, f"--namespace={NAMESPACE}", f"--kubeconfig={plane.admin_kubeconfig}"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, "HELM_CACHE_HOME": str(plane.folder / "helm")},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def bundle(plane):
    return plane.kubectl.get("secret", "registry-trust-bundle", "-n", NAMESPACE)


def write_bundle(plane, data):
    """As the operator does: server-side apply over the resourceVersion that was read."""
    found = bundle(plane)
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "registry-trust-bundle",
            "namespace": NAMESPACE,
            "resourceVersion": found["metadata"]["resourceVersion"],
        },
        "type": "registrytrust.io/bundle",
        "data": data,
    }
    plane.kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=registry-trust-operator",
        "-f",
        "-",
        input=json.dumps(body),
    )


def test_helm_keeps_the_bundle_through_upgrade_uninstallation_and_another_installation(plane):
    notes = helm(plane, "install", "registry-trust", str(CHART))
    assert "kubectl apply -f -" in notes
    write_bundle(plane, {"index.json": "e30="})
    uid = bundle(plane)["metadata"]["uid"]

    helm(plane, "upgrade", "registry-trust", str(CHART), "--set=operator.replicas=3")
    assert bundle(plane)["data"] == {"index.json": "e30="}

    helm(plane, "uninstall", "registry-trust")
    assert bundle(plane)["data"] == {"index.json": "e30="}
    assert plane.kubectl("get", "crd", "registrytrusts.registrytrust.io", "-o", "name")

    helm(plane, "install", "registry-trust", str(CHART))
    assert bundle(plane)["data"] == {"index.json": "e30="}
    assert bundle(plane)["metadata"]["uid"] == uid

    helm(plane, "upgrade", "registry-trust", str(CHART), "--server-side=false", "--set=operator.replicas=1")
    assert bundle(plane)["data"] == {"index.json": "e30="}


def test_kubectl_apply_keeps_the_bundle_both_ways(plane):
    for options in (["--server-side", "--force-conflicts"], []):
        plane.kubectl("apply", *options, "-f", str(MANIFEST))
        plane.kubectl("apply", *options, "-f", str(MANIFEST))
        assert bundle(plane)["data"] == {"index.json": "e30="}


def test_an_agent_writes_only_the_report_of_its_own_node(plane):
    for node in ("n1", "n2"):
        plane.kubectl.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
    agent = str(plane.service_account_kubeconfig(NAMESPACE, "registry-trust-agent", node="n1"))
    unbound = str(plane.service_account_kubeconfig(NAMESPACE, "registry-trust-agent"))

    def apply(kubeconfig, node):
        kind = {"apiVersion": "registrytrust.io/v1alpha1", "kind": "NodeTrust"}
        body = json.dumps({**kind, "metadata": {"name": node}, "status": {"agentVersion": "1"}})
        return plane.kubectl(
            "apply",
            "--server-side",
            f"--kubeconfig={kubeconfig}",
            "-f",
            "-",
            input=body,
        )

    wait_until(lambda: _refused(lambda: apply(agent, "n2"), "own node, n1"), "the policy is in force", within=20)
    assert "serverside-applied" in apply(agent, "n1")
    assert _refused(lambda: apply(agent, "n2"), "an agent may only write the report of its own node, n1")
    assert _refused(lambda: apply(unbound, "n1"), "the agent's token names no node")
    assert _refused(lambda: plane.kubectl("delete", "nodetrust", "n1", f"--kubeconfig={agent}"), "forbidden")
    plane.kubectl.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "too-much"},
            "rules": [
                {
                    "apiGroups": ["registrytrust.io"],
                    "resources": ["nodetrusts"],
                    "verbs": ["delete", "deletecollection", "update"],
                }
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "too-much"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "too-much"},
            "subjects": [{"kind": "ServiceAccount", "name": "registry-trust-agent", "namespace": NAMESPACE}],
        },
    )
    assert _refused(
        lambda: plane.kubectl("delete", "nodetrust", "n1", f"--kubeconfig={agent}"), "an agent may not delete reports"
    )


@pytest.mark.parametrize(
    ("account", "request_", "allowed"),
    [
        ("registry-trust-agent", "get secret/registry-trust-bundle -n registry-trust", True),
        ("registry-trust-agent", "watch secret/registry-trust-bundle -n registry-trust", True),
        ("registry-trust-agent", "list secrets -n registry-trust", False),
        ("registry-trust-agent", "get secrets -n default", False),
        ("registry-trust-agent", "patch secret/registry-trust-bundle -n registry-trust", False),
        ("registry-trust-agent", "list registrytrusts", False),
        ("registry-trust-operator", "list secrets -n registry-trust", False),
        ("registry-trust-operator", "list secrets -n registry-certificates", True),
        ("registry-trust-operator", "list secrets -n default", False),
        ("registry-trust-operator", "list secrets -A", False),
        ("registry-trust-operator", "create secrets -n registry-trust", False),
        ("registry-trust-operator", "patch secrets -n registry-trust", False),
        ("registry-trust-operator", "patch secret/registry-trust-bundle -n registry-trust", True),
        ("registry-trust-operator", "delete secret/registry-trust-bundle -n registry-trust", False),
        ("registry-trust-operator", "update registrytrusts", False),
        ("registry-trust-operator", "patch registrytrusts --subresource=status", True),
        ("registry-trust-operator", "create events -n default", True),
        ("registry-trust-operator", "create pods -n registry-trust", False),
    ],
)
def test_what_each_service_account_may_do(plane, account, request_, allowed):
    try:
        answer = plane.kubectl("auth", "can-i", *request_.split(), f"--as=system:serviceaccount:{NAMESPACE}:{account}")
    except KubectlError as error:
        answer = str(error)

    assert ("yes" in answer.split()) == allowed, answer


def _refused(call, words):
    with pytest.raises(KubectlError) as caught:
        call()
    return words in str(caught.value)
