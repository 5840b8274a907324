"""Startup taints on a real API server: who loses the taint and when, and what else the operator may do to a Node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from registry_trust.compiler.fleet import Fleet
from registry_trust.compiler.node_standing import FleetNode, Served
from registry_trust.compiler.objects import read_node
from registry_trust.compiler.placement import Agents
from registry_trust.compiler.startup_taint import removal
from registry_trust.controller.api_server import ApiServer
from registry_trust.controller.clock import Clock
from registry_trust.controller.cluster import ClusterMap
from registry_trust.controller.connection import Connector
from registry_trust.controller.events import Events
from registry_trust.controller.parts import Parts
from registry_trust.controller.settings import OperatorSettings
from registry_trust.controller.startup_taints import PATIENCE, StartupTaints
from registry_trust.core.bundle import TrustContent
from registry_trust.core.names import OPERATOR, STARTUP_TAINT, STARTUP_TAINT_POLICY
from tests.contract.rendering import rendered
from tools.authority import Authority
from tools.cluster.control_plane import ControlPlane
from tools.cluster.kubectl import KubectlError
from tools.cluster.waiting import wait_until
from tools.installation import NAMESPACE, TRUST_NAMESPACE, Installation

pytestmark = pytest.mark.tools("control-plane", "helm")

CA = Authority.create("a CA").pem
OURS = {"key": STARTUP_TAINT, "effect": "NoSchedule"}
FIRST, LAST = ({"key": f"example.com/{name}", "effect": "NoSchedule"} for name in ("first", "last"))
WITH_TAINTS = ("--set", "operator.removeStartupTaint=true")
TRUST = {
    "registries": ["harbor.example"],
    "caCertificates": [{"inline": CA.decode()}],
    "nodeSelector": {"matchLabels": {"wants": "harbor"}},
}


@pytest.fixture(scope="module")
def installation(plane: ControlPlane) -> Iterator[Installation]:
    """Install registry-trust as the chart does with the value set, and start the operator."""
    installed = Installation(plane)
    installed.install()
    allowed = [b for b in rendered(WITH_TAINTS) if b["metadata"]["name"] in (STARTUP_TAINT_POLICY, OPERATOR)]
    plane.kubectl.apply(*(body for body in allowed if body["kind"] != "Deployment"))
    installed.start_operator("--remove-startup-taint")
    installed.trust("harbor", **TRUST)
    try:
        installed.wait_for("harbor", "Accepted")
        yield installed
    finally:
        installed.stop()


def join(installation: Installation, name: str, *taints: dict[str, str], **labels: str) -> None:
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **labels}
    metadata = {"name": name, "labels": labels}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"taints": list(taints)}}
    installation.plane.kubectl.apply(node)


def taints(installation: Installation, node: str) -> list[str]:
    found = installation.plane.kubectl.get("node", node)["spec"].get("taints") or ()
    return [taint["key"] for taint in found]


def free(installation: Installation, node: str) -> bool:
    return STARTUP_TAINT not in taints(installation, node)


def reasons(installation: Installation, node: str) -> dict[str, str]:
    found = installation.plane.kubectl.get("events", "-n", "default")["items"]
    return {each["reason"]: each["message"] for each in found if each["involvedObject"]["name"] == node}


def test_the_taint_stays_until_the_files_are_there_and_goes_alone(installation: Installation):
    join(installation, "joining", FIRST, OURS, LAST, wants="harbor")
    join(installation, "other", OURS, {**OURS, "effect": "PreferNoSchedule"})
    wait_until(lambda: free(installation, "other"), "a node that no trust selects is free", within=30)
    before = taints(installation, "joining")
    assert before[:3] == [FIRST["key"], STARTUP_TAINT, LAST["key"]]

    agent = installation.start_agent("joining")

    wait_until(lambda: free(installation, "joining"), "the node with the files is free", within=30)
    assert (agent.root() / "harbor.example" / "ca.crt").read_bytes() == CA
    assert taints(installation, "joining") == [key for key in before if key != STARTUP_TAINT]
    wait_until(lambda: "StartupTaintRemoved" in reasons(installation, "joining"), "an Event tells of it", within=20)


def test_a_taint_that_is_set_again_by_hand_goes_again_and_a_node_that_fails_later_gets_none(installation: Installation):
    kubectl = installation.plane.kubectl
    join(installation, "failing", OURS, wants="harbor")
    agent = installation.start_agent("failing")
    wait_until(lambda: free(installation, "failing"), "the node is free", within=30)
    kubectl("taint", "node", "failing", f"{STARTUP_TAINT}=:NoSchedule")
    wait_until(lambda: free(installation, "failing"), "the node is free again", within=30)

    (agent.root() / "foreign.example").mkdir()
    (agent.root() / "foreign.example" / "ca.crt").write_text("somebody's")
    selector = {"matchLabels": {"kubernetes.io/hostname": "failing"}}
    installation.trust("foreign", **{**TRUST, "registries": ["foreign.example"], "nodeSelector": selector})

    installation.wait_for("foreign", "Stalled")
    assert free(installation, "failing")


CHANGES = {
    "a label": [{"op": "add", "path": "/metadata/labels/a", "value": "b"}],
    "an annotation": [{"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}}],
    "a finalizer": [{"op": "add", "path": "/metadata/finalizers", "value": ["example.com/a"]}],
    "cordoned": [{"op": "add", "path": "/spec/unschedulable", "value": True}],
    "a provider": [{"op": "add", "path": "/spec/providerID", "value": "cloud://1"}],
    "another taint": [{"op": "add", "path": "/spec/taints/-", "value": LAST}],
    "a taint removed": [{"op": "remove", "path": "/spec/taints/0"}],
    "all taints removed": [{"op": "remove", "path": "/spec/taints"}],
    "another effect": [{"op": "replace", "path": "/spec/taints/1/effect", "value": "NoExecute"}],
    "with a label": [
        {"op": "remove", "path": "/spec/taints/1"},
        {"op": "add", "path": "/metadata/labels/a", "value": "b"},
    ],
}


@pytest.fixture
def account(installation: Installation) -> str:
    """Return a kubeconfig of the operator's account, once the API server enforces the policy."""
    token = installation.plane.service_account_token(NAMESPACE, OPERATOR)
    config = str(installation.plane.kubeconfig("operators-account", token))
    join(installation, "any")

    def enforced() -> bool:
        try:
            installation.plane.kubectl("label", "node", "any", "a=b", "--dry-run=server", f"--kubeconfig={config}")
        except KubectlError as error:
            return "the operator may not change" in str(error)
        return False

    wait_until(enforced, "the policy is enforced", within=30)
    return config


@pytest.mark.parametrize("change", CHANGES)
def test_the_operators_account_can_change_nothing_else_of_a_node(change: str, installation: Installation, account: str):
    kubectl = installation.plane.kubectl
    join(installation, "guarded", FIRST, OURS, wants="harbor")
    with pytest.raises(KubectlError, match="the operator may"):
        kubectl("patch", "node", "guarded", "--type=json", "-p", json.dumps(CHANGES[change]), f"--kubeconfig={account}")


@pytest.mark.parametrize("what", ["delete", "status"])
def test_the_operators_account_can_neither_delete_a_node_nor_write_its_status(
    what: str, installation: Installation, account: str
):
    join(installation, "whole", wants="harbor")
    patch = ("patch", "node", "whole", "--subresource=status", "-p", '{"status": {"phase": "Running"}}')
    with pytest.raises(KubectlError, match="Forbidden"):
        installation.plane.kubectl(
            *({"delete": ("delete", "node", "whole"), "status": patch}[what]), f"--kubeconfig={account}"
        )


def test_a_patch_for_taints_that_moved_meanwhile_changes_nothing(installation: Installation, account: str):
    kubectl = installation.plane.kubectl
    join(installation, "moved", OURS, FIRST, wants="harbor")
    patch = json.dumps(removal(read_node(kubectl.get("node", "moved"))))
    kubectl("patch", "node", "moved", "--type=merge", "-p", json.dumps({"spec": {"taints": [FIRST, OURS]}}))

    with pytest.raises(KubectlError):
        kubectl("patch", "node", "moved", "--type=json", "-p", patch, f"--kubeconfig={account}")

    assert not free(installation, "moved")


def test_a_node_that_waits_for_long_is_told_with_the_trust_and_the_way_out(installation: Installation, account: str):
    join(installation, "waiting", OURS, wants="harbor")
    uid = installation.plane.kubectl.get("node", "waiting")["metadata"]["uid"]
    moment = [0.0]
    server = ApiServer(Connector(account))
    clock = Clock(steady=lambda: moment[0])
    waiting = StartupTaints(server, ClusterMap(NAMESPACE), Events(server, clock), clock)
    fleet = Fleet()
    node = FleetNode("waiting", uid, {"wants": "harbor"}, ready=True, startup_taints=(0,))
    fleet.rebuild([node], {}, [Served("harbor", 1, TrustContent(("harbor.example",)))], Agents(), "uid")

    waiting.look(fleet, 1)
    assert "StartupTaintKept" not in reasons(installation, "waiting")
    moment[0] = PATIENCE
    waiting.look(fleet, 1)

    note = reasons(installation, "waiting")["StartupTaintKept"]
    assert "until this node has trust harbor: AgentSilent" in note
    assert note.endswith(f"kubectl taint node waiting {STARTUP_TAINT}-")
    installation.plane.kubectl(*note.rpartition(": kubectl ")[2].split())
    assert free(installation, "waiting")


def test_what_the_operator_lacks_for_it_is_named(installation: Installation, account: str):
    kubectl = installation.plane.kubectl
    parts = Parts(ApiServer(Connector(account)), OperatorSettings(NAMESPACE, TRUST_NAMESPACE, "me", startup_taint=True))
    parts.look()
    assert not parts.problem
    policy: dict[str, Any] = kubectl.get("validatingadmissionpolicy", STARTUP_TAINT_POLICY)
    kubectl("delete", "validatingadmissionpolicy", STARTUP_TAINT_POLICY)
    try:
        parts.look()
        assert f"missing: ValidatingAdmissionPolicy {STARTUP_TAINT_POLICY}" in parts.problem
    finally:
        kept = {key: policy[key] for key in ("apiVersion", "kind", "spec")}
        kubectl.apply({**kept, "metadata": {"name": STARTUP_TAINT_POLICY}})
