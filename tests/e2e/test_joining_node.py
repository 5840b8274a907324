"""A node that joins with the startup taint: a pod that waits for it never fails its first pull."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from registry_trust.core.names import OPERATOR, STARTUP_TAINT, STARTUP_TAINT_POLICY
from tests.contract.rendering import rendered
from tests.e2e.three_nodes import LITERAL, STOCK, ThreeNodes
from tools.cluster.waiting import wait_until
from tools.installation import NAMESPACE

pytestmark = pytest.mark.tools("cluster")

FIGURES = logging.getLogger("figures")
"""Shown with `--log-cli-level=INFO`."""


@pytest.fixture
def removing(clean: ThreeNodes) -> Iterator[ThreeNodes]:
    """Let the operator remove startup taints, as the chart does with the value set, for one test."""
    objects = rendered(("--set", "operator.removeStartupTaint=true"))
    policies = [body for body in objects if body["metadata"]["name"] == STARTUP_TAINT_POLICY]
    (role,) = (b for b in objects if (b["kind"], b["metadata"]["name"]) == ("ClusterRole", OPERATOR))
    before = clean.kubectl.get("clusterrole", OPERATOR)["rules"]
    clean.kubectl.apply(*policies)
    change_operator(clean, role["rules"], "--remove-startup-taint")
    try:
        yield clean
    finally:
        change_operator(clean, before)
        clean.kubectl("delete", "validatingadmissionpolicies,validatingadmissionpolicybindings", STARTUP_TAINT_POLICY)


def change_operator(nodes: ThreeNodes, rules: list[dict[str, Any]], *options: str) -> None:
    """Give the operator rights and further options, and wait until it runs with them."""
    nodes.kubectl("patch", "clusterrole", OPERATOR, "--type=merge", "-p", json.dumps({"rules": rules}))
    deployment = nodes.kubectl.get("deployment", OPERATOR, "-n", NAMESPACE)
    args = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    args = [each for each in args if each != "--remove-startup-taint"] + list(options)
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": args}]
    nodes.kubectl("-n", NAMESPACE, "patch", "deployment", OPERATOR, "--type=json", "-p", json.dumps(patch))
    nodes.kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{OPERATOR}", "--timeout=120s", timeout=130)


def pod(name: str, image: str, *tolerations: dict[str, str]) -> dict[str, Any]:
    """A pod that the scheduler puts on the joining node as soon as its taints let it."""
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": STOCK},
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "tolerations": list(tolerations),
        "containers": [{"name": "main", "image": image, "imagePullPolicy": "Always"}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def phase(nodes: ThreeNodes, name: str) -> str:
    return str(nodes.kubectl.get("pod", name, "-n", "default")["status"].get("phase"))


def failed_pulls(nodes: ThreeNodes, name: str) -> list[str]:
    found = nodes.kubectl.get("events", "-n", "default", f"--field-selector=involvedObject.name={name}")["items"]
    return [str(each["message"]) for each in found if each["reason"] == "Failed"]


def test_a_pod_on_a_joining_node_never_fails_its_first_pull(removing: ThreeNodes) -> None:
    nodes, kubectl = removing, removing.kubectl
    nodes.sources()
    nodes.trust(nodeSelector={"matchLabels": {"kubernetes.io/hostname": STOCK}})
    nodes.wait_for("harbor", "Ready")
    node = nodes.node(STOCK)
    node.stop(crash=True)
    kubectl("delete", "node", STOCK)
    for root in ("/etc/docker/certs.d", "/etc/containers/certs.d", "/etc/containerd/certs.d", LITERAL):
        shutil.rmtree(node.path(root), ignore_errors=True)
    # One that waits for the taint, and beside it one that does not.
    kubectl.apply(pod("patient", nodes.image()), pod("impatient", nodes.image(), {"operator": "Exists"}))

    options = node.options
    node.options = replace(options, taints=(f"{STARTUP_TAINT}=:NoSchedule",))
    try:
        node.start()
        wait_until(lambda: phase(nodes, "patient") != "Pending", "the patient pod has its image", within=150, every=0.5)
    finally:
        node.options = options

    FIGURES.info("failed pulls: patient 0, impatient %s", len(failed_pulls(nodes, "impatient")))
    assert failed_pulls(nodes, "patient") == []
    assert STARTUP_TAINT not in json.dumps(kubectl.get("node", STOCK)["spec"])
    wait_until(lambda: phase(nodes, "impatient") != "Pending", "and the other one has it, too", within=120, every=0.5)
    kubectl("delete", "pod", "patient", "impatient", "-n", "default", "--grace-period=0", "--force")
    node.wait_until_ready()
