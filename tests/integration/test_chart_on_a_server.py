"""The chart on a real API server: what Helm keeps, and what each service account may and may not do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from deploy.generate import CHART, MANIFEST
from registry_trust.agent.delivery.reporter import node_trust
from registry_trust.core.report import NodeReport
from tools.cluster.binaries import binary
from tools.cluster.control_plane import ControlPlane
from tools.cluster.kubectl import KubectlError
from tools.cluster.waiting import wait_until

pytestmark = pytest.mark.tools("control-plane", "helm")

NAMESPACE = "registry-trust"
NODE_REPORT = NodeReport("1", "containerd://2.4.2", "", 0, "", (), (), 0, 0)


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane() as plane:
        plane.kubectl("create", "namespace", NAMESPACE)
        for node in ("n1", "n2"):
            plane.kubectl.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
        helm(plane, "install", "registry-trust", str(CHART))
        wait_for_policies(plane)
        write_bundle(plane, {"index.json": "e30="})
        yield plane


def wait_for_policies(plane):
    """Wait until the API server has begun to ask the policies that were written."""
    agent = str(plane.service_account_kubeconfig(NAMESPACE, "registry-trust-agent", node="n1"))

    def in_force():
        try:
            apply_report(plane, agent, "n2")
        except KubectlError as error:
            return "own node, n1" in str(error)
        return False

    wait_until(in_force, "the policy is in force", within=20)


def apply_report(plane, kubeconfig, node):
    kind = {"apiVersion": "registrytrust.io/v1alpha1", "kind": "NodeTrust"}
    body = json.dumps({**kind, "metadata": {"name": node}, "status": {"agentVersion": "1"}})
    return plane.kubectl("apply", "--server-side", f"--kubeconfig={kubeconfig}", "-f", "-", input=body)


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


def test_the_bundle_outlives_every_installation_by_helm_and_then_by_kubectl(plane):
    assert "kubectl apply -f -" in helm(plane, "get", "notes", "registry-trust")
    uid = bundle(plane)["metadata"]["uid"]

    helm(plane, "upgrade", "registry-trust", str(CHART), "--set=operator.replicas=3")
    assert bundle(plane)["data"] == {"index.json": "e30="}

    helm(plane, "uninstall", "registry-trust")
    assert bundle(plane)["data"] == {"index.json": "e30="}
    assert plane.kubectl("get", "crd", "registrytrusts.registrytrust.io", "-o", "name")

    helm(plane, "install", "registry-trust", str(CHART))
    wait_for_policies(plane)
    assert bundle(plane)["data"] == {"index.json": "e30="}
    assert bundle(plane)["metadata"]["uid"] == uid

    helm(plane, "upgrade", "registry-trust", str(CHART), "--server-side=false", "--set=operator.replicas=1")
    assert bundle(plane)["data"] == {"index.json": "e30="}

    for options in (["--server-side", "--force-conflicts"], []):
        plane.kubectl("apply", *options, "-f", str(MANIFEST))
        plane.kubectl("apply", *options, "-f", str(MANIFEST))
        assert bundle(plane)["data"] == {"index.json": "e30="}


def test_an_agent_writes_only_the_report_of_its_own_node(plane):
    agent = str(plane.service_account_kubeconfig(NAMESPACE, "registry-trust-agent", node="n1"))
    unbound = str(plane.service_account_kubeconfig(NAMESPACE, "registry-trust-agent"))

    assert "serverside-applied" in apply_report(plane, agent, "n1")
    assert _refused(lambda: apply_report(plane, agent, "n2"), "an agent may only write the report of its own node, n1")
    assert _refused(lambda: apply_report(plane, unbound, "n1"), "the agent's token names no node")
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


METADATA_OF_NOBODY = {
    "a finalizer": ({"finalizers": ["example.com/for-ever"]}, "may not change the finalizers"),
    "an annotation": ({"annotations": {"example.com/much": "x" * 250_000}}, "may not change the annotations"),
    "a label of others": ({"labels": {"argocd.argoproj.io/instance": "mine"}}, "may only set the app.kubernetes.io"),
    "another owner": (
        {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "n1", "uid": "1"}]},
        "the only owner of a report is its Node",
    ),
    "another node as owner": (
        {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n2", "uid": "1"}]},
        "the only owner of a report is its Node",
    ),
    "an owner whose deletion it blocks": (
        {
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "1", "blockOwnerDeletion": True}
            ]
        },
        "the only owner of a report is its Node",
    ),
}


@pytest.mark.parametrize(("metadata", "words"), METADATA_OF_NOBODY.values(), ids=METADATA_OF_NOBODY)
@pytest.mark.parametrize("exists", [False, True], ids=["new", "exists"])
def test_an_agent_sets_nothing_on_its_report_but_what_it_needs(plane, exists, metadata, words):
    report = ReportOfN1(plane)
    if exists:
        report.apply({})

    assert _refused(lambda: report.apply(metadata), words)


def test_what_an_admin_sets_on_a_report_does_not_keep_the_agent_from_writing_it(plane):
    report = ReportOfN1(plane)
    report.apply({})
    plane.kubectl("annotate", "nodetrust", "n1", "example.com/note=seen")
    plane.kubectl("label", "nodetrust", "n1", "example.com/team=a")

    report.apply(node_trust("n1", "0", NODE_REPORT)["metadata"])

    assert plane.kubectl.get("nodetrust", "n1")["metadata"]["annotations"] == {"example.com/note": "seen"}


class ReportOfN1:
    """The report of node n1, as its agent writes it; it is not there at first."""

    def __init__(self, plane):
        self.plane = plane
        plane.kubectl("delete", "nodetrust", "n1", "--ignore-not-found")
        self.kubeconfig = str(plane.service_account_kubeconfig(NAMESPACE, "registry-trust-agent", node="n1"))

    def apply(self, metadata):
        kind = {"apiVersion": "registrytrust.io/v1alpha1", "kind": "NodeTrust"}
        body = json.dumps({**kind, "metadata": {"name": "n1", **metadata}, "status": {"agentVersion": "1"}})
        options = ["--server-side", "--field-manager=registry-trust-agent", f"--kubeconfig={self.kubeconfig}"]
        return self.plane.kubectl("apply", *options, "-f", "-", input=body)


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
        ("registry-trust-operator", "patch events -n default", True),
        ("registry-trust-operator", "get events -n default", False),
        ("registry-trust-operator", "patch events -n registry-trust", False),
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
