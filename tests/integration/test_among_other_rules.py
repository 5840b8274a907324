"""registry-trust among a cluster's own rules: admission policies, aggregated roles, what keeps pods from starting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deploy.generate import MANIFEST, NAMESPACE
from tools.cluster.control_plane import ControlPlane
from tools.cluster.folders import REPOSITORY
from tools.cluster.kubectl import Kubectl, KubectlError
from tools.cluster.waiting import wait_until
from tools.installation import trust

pytestmark = pytest.mark.tools("control-plane", "kube-controller-manager")

POLICY = REPOSITORY / "examples" / "admission" / "registries-by-group.yaml"
CA = [{"configMapKeyRef": {"name": "corp-roots", "key": "ca.crt"}}]
HARBOR, MINE, THEIRS = "harbor.corp.example:5000", "registry.team-a.example", "quay.team-b.example"


LIMITED_CLASSES = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "AdmissionConfiguration",
    "plugins": [
        {
            "name": "ResourceQuota",
            "configuration": {
                "apiVersion": "apiserver.config.k8s.io/v1",
                "kind": "ResourceQuotaConfiguration",
                "limitedResources": [
                    {
                        "resource": "pods",
                        "matchScopes": [
                            {
                                "scopeName": "PriorityClass",
                                "operator": "In",
                                "values": ["system-node-critical", "system-cluster-critical"],
                            }
                        ],
                    }
                ],
            },
        }
    ],
}
"""The system's priority classes only where a quota names them, as on GKE."""


@pytest.fixture(scope="module")
def kubectl() -> Iterator[Kubectl]:
    """The API server and the controllers, with one Node and everything of deploy/ but the pods."""
    plane = ControlPlane(controller_manager=True)
    configuration = plane.folder / "admission.json"
    configuration.write_text(json.dumps(LIMITED_CLASSES))
    plane.apiserver_options = (f"--admission-control-config-file={configuration}",)
    with plane:
        node = {"name": "n1", "labels": {"kubernetes.io/os": "linux"}}
        plane.kubectl.apply({"apiVersion": "v1", "kind": "Node", "metadata": node})
        bodies = [body for body in yaml.safe_load_all(MANIFEST.read_text()) if body]
        first = [body for body in bodies if body["kind"] in ("Namespace", "CustomResourceDefinition")]
        plane.kubectl.apply(*first)
        for kind in ("registrytrusts", "nodetrusts"):
            plane.kubectl.wait_for_kinds(f"{kind}.registrytrust.io")
        plane.kubectl.apply(*(body for body in bodies if body not in first and body["kind"] != "DaemonSet"))
        yield plane.kubectl


class Member:
    """A person of one group, with the rights that the example gives it."""

    def __init__(self, kubectl: Kubectl, group: str) -> None:
        self._kubectl = kubectl
        self._as = ("--as=ann", f"--as-group={group}", "--as-group=system:authenticated")

    def apply(self, name: str, *registries: str, **spec: Any) -> str:
        return self("apply", "-f", "-", input=json.dumps(trust(name, registries=registries, caCertificates=CA, **spec)))

    def offer(self, *registries: str) -> str:
        """Offer a trust that is not kept."""
        body = trust("offered", registries=registries, caCertificates=CA)
        return self("create", "--dry-run=server", "-f", "-", input=json.dumps(body))

    def __call__(self, *arguments: str, **options: Any) -> str:
        """Return what the server said, also where it refused."""
        try:
            return self._kubectl(*arguments, *self._as, **options)
        except KubectlError as error:
            return str(error)


@pytest.fixture(scope="module")
def limited(kubectl: Kubectl) -> Iterator[Kubectl]:
    """Limit who may name which registry, as the example does."""
    kubectl("apply", "-f", str(POLICY))
    ann = Member(kubectl, "team-a")
    wait_until(lambda: "may name docker.io" in ann.offer("docker.io"), "the policy is in force", within=30)
    yield kubectl
    kubectl("delete", "-f", str(POLICY))


def test_a_group_writes_trusts_for_its_own_registries_and_for_no_others(limited: Kubectl):
    ann = Member(limited, "team-a")

    assert "created" in ann.apply("ours", HARBOR, MINE)
    for foreign in ("docker.io", THEIRS, "team-a.example", f"{MINE}:5000", "deep.registry.team-a.example", "localhost"):
        refused = ann.apply("ours", HARBOR, foreign)
        assert f"no group of ann may name {foreign}; the ConfigMap registries-by-group" in refused, refused
    assert "configured" in ann.apply("ours", MINE, caRetention="1h")
    assert "deleted" in ann("delete", "registrytrust", "ours")


def test_a_group_neither_changes_nor_deletes_the_trust_of_another(limited: Kubectl):
    ann, bob = Member(limited, "team-a"), Member(limited, "oidc:team-b")
    assert "created" in bob.apply("theirs", THEIRS)

    assert f"may name {THEIRS}" in ann.apply("theirs", MINE)
    assert f"may name {THEIRS}" in ann.apply("theirs", THEIRS, suspend=True)
    assert f"may name {THEIRS}" in ann("delete", "registrytrust", "theirs")
    assert "labeled" in ann("label", "registrytrust", "theirs", "seen=yes")
    assert "deleted" in bob("delete", "registrytrust", "theirs")


def test_all_registries_are_open_to_the_administrator_and_none_without_the_list(limited: Kubectl):
    limited.apply(trust("everything", registries=["docker.io", THEIRS], caCertificates=CA))
    limited("delete", "registrytrust", "everything")
    lists = limited.get("configmap", "registries-by-group", "-n", NAMESPACE)
    limited("delete", "configmap", "registries-by-group", "-n", NAMESPACE)
    try:
        ann = Member(limited, "team-a")
        wait_until(lambda: "no params found" in ann.offer(MINE), "without its list the policy refuses all", within=30)
    finally:
        limited.apply({key: value for key, value in lists.items() if key != "metadata"} | metadata_of(lists))


def metadata_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the name and namespace of an object, for one that is made again."""
    return {"metadata": {key: body["metadata"][key] for key in ("name", "namespace")}}


# ---- roles of Kubernetes ---------------------------------------------------------------------------------------------


def test_with_the_role_view_both_kinds_can_be_read_and_nothing_else_of_ours(kubectl: Kubectl):
    kubectl("create", "clusterrolebinding", "viewer", "--clusterrole=view", "--user=vera")

    def may(*request: str) -> bool:
        try:
            return kubectl("auth", "can-i", *request, "--as=vera").strip() == "yes"
        except KubectlError:
            return False

    wait_until(lambda: may("list", "registrytrusts") and may("watch", "nodetrusts"), "view has the rights", within=30)
    assert not may("create", "registrytrusts")
    assert not may("patch", "registrytrusts", "--subresource=status")
    assert not may("delete", "nodetrusts")
    assert not may("get", "secrets", "-n", NAMESPACE)


# ---- what keeps pods from starting -----------------------------------------------------------------------------------

INSTALLATION_GUIDE = (REPOSITORY / "docs" / "install.md").read_text()


def why_no_pod(kubectl: Kubectl, namespace: str, **changes: Any) -> str:
    """Run the agent's DaemonSet in a namespace, with changes to its pods; return what its Event says."""
    bodies = [body for body in yaml.safe_load_all(MANIFEST.read_text()) if body]
    (agents,) = (body for body in bodies if body["kind"] == "DaemonSet")
    agents["metadata"]["namespace"] = namespace
    agents["spec"]["template"]["spec"] |= changes
    account = {"name": "registry-trust-agent", "namespace": namespace}
    kubectl.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}, agents)

    def refusals() -> list[str]:
        events = kubectl.get("events", "-n", namespace, "--field-selector=reason=FailedCreate")["items"]
        return [event["message"] for event in events if "error looking up service account" not in event["message"]]

    return wait_until(refusals, "the DaemonSet's controller says why there is no pod", within=30)[0]


def namespace_with(kubectl: Kubectl, name: str, level: str = "privileged", **hard: str) -> str:
    """Make a namespace of a level of Pod Security, with a quota if one is given."""
    labels = {"pod-security.kubernetes.io/enforce": level}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    if hard:
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team", "namespace": name}}
        kubectl.apply({**quota, "spec": {"hard": hard}})
        counted = lambda: kubectl.get("resourcequota", "team", "-n", name).get("status", {}).get("hard")  # noqa: E731
        wait_until(counted, "the quota is counted", within=30)
    return name


def test_pod_security_refuses_the_agent_in_the_words_of_the_guide(kubectl: Kubectl):
    said = why_no_pod(kubectl, namespace_with(kubectl, "walled", "baseline"))

    words = 'violates PodSecurity "baseline:latest": hostPath volumes'
    assert words in said
    assert words in INSTALLATION_GUIDE


def test_a_priority_class_without_a_quota_that_names_it_is_refused_in_the_words_of_the_guide(kubectl: Kubectl):
    said = why_no_pod(kubectl, namespace_with(kubectl, "classless"))

    words = (
        "insufficient quota to match these scopes: [{PriorityClass In [system-node-critical system-cluster-critical]}]"
    )
    assert words in said
    assert words in INSTALLATION_GUIDE


def test_a_quota_on_limits_that_a_pod_does_not_have_is_refused_in_the_words_of_the_guide(kubectl: Kubectl):
    namespace = namespace_with(kubectl, "counted", **{"limits.cpu": "1"})

    said = why_no_pod(kubectl, namespace, priorityClassName="")

    words = "failed quota: team: must specify limits.cpu for: agent"
    assert words in said
    assert words in INSTALLATION_GUIDE
