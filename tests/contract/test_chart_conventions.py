"""What admins expect of any chart: common labels, places and settings of pods, more objects, roles, and `helm test`."""

from __future__ import annotations

import pytest

from deploy.generate import NAMESPACE
from registry_trust.cli.main import check
from registry_trust.core.names import GROUP
from tests.contract.rendering import (
    BOTH,
    DEFAULTS,
    EVERYTHING,
    EXTRA_OBJECTS,
    OF_TEST,
    Body,
    found,
    pod,
    pods,
    refused,
    rendered,
)

pytestmark = pytest.mark.tools("helm")

OPERATOR, AGENT = ("Deployment", "registry-trust-operator"), ("DaemonSet", "registry-trust-agent")
TEST = (OF_TEST, *EVERYTHING)


def test_every_object_has_the_common_labels_and_annotations_and_every_pod_the_labels():
    for body in (*rendered(EVERYTHING), *rendered(TEST)):
        name, metadata = body["metadata"]["name"], body["metadata"]
        if name not in EXTRA_OBJECTS:
            assert metadata["labels"]["example.com/cost-center"] == "4711", name
            assert metadata["annotations"]["example.com/contact"] == "platform@corp.example", name
    for template in pods(EVERYTHING):
        assert template["metadata"]["labels"]["example.com/cost-center"] == "4711"
        assert template["metadata"]["labels"]["example.com/team"] == "platform"


def test_labels_of_others_replace_none_of_the_charts_own():
    own = "app\\.kubernetes\\.io/component=mine"
    settings = tuple(f"--set={value}.{own}" for value in ("commonLabels", "operator.podLabels", "agent.podLabels"))
    keep = ("--set=commonAnnotations.helm\\.sh/resource-policy=delete",)

    for kind, name in (OPERATOR, AGENT):
        spec = found(kind, name, settings)["spec"]
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        assert spec["template"]["metadata"]["labels"]["app.kubernetes.io/component"] == name.rpartition("-")[2]
    assert (
        found("Secret", "registry-trust-bundle", keep)["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    )


def test_common_labels_leave_the_selectors_as_they_are():
    for kind, name in (OPERATOR, AGENT):
        assert found(kind, name, EVERYTHING)["spec"]["selector"] == found(kind, name)["spec"]["selector"]


def test_more_objects_are_made_from_mappings_and_texts_with_templates_in_them():
    for name in EXTRA_OBJECTS:
        assert found("ConfigMap", name, EVERYTHING)["metadata"]["namespace"] == NAMESPACE


def test_service_accounts_have_their_annotations():
    for name in ("operator", "agent"):
        annotations = found("ServiceAccount", f"registry-trust-{name}", EVERYTHING)["metadata"]["annotations"]
        assert annotations["example.com/role"] == f"pull-{name}"


def test_updates_follow_the_strategy():
    assert "strategy" not in found(*OPERATOR)["spec"], "Kubernetes' default"
    surge = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert found(*OPERATOR, EVERYTHING)["spec"]["strategy"] == surge
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}}
    assert found(*AGENT)["spec"]["updateStrategy"] == rolling
    assert found(*AGENT, EVERYTHING)["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert "maxSurge" in refused("--set=agent.updateStrategy.rollingUpdate.maxSurge=1"), "two agents would share a node"


@BOTH
def test_operators_are_spread_and_count_their_own_pods(arguments):
    (spread,) = pod(*OPERATOR, arguments)["topologySpreadConstraints"]

    assert spread["labelSelector"] == found(*OPERATOR, arguments)["spec"]["selector"]
    expected = "kubernetes.io/hostname" if arguments == DEFAULTS else "topology.kubernetes.io/zone"
    assert (spread["topologyKey"], spread["maxSkew"]) == (expected, 1)


def test_the_agent_alone_stays_in_the_nodes_user_namespace():
    has = {
        template["metadata"]["labels"]["app.kubernetes.io/component"]: template["spec"] for template in pods(EVERYTHING)
    }

    assert {name: spec.get("hostUsers", True) for name, spec in has.items()} == {
        "operator": False,
        "cleanup": False,
        "agent": True,
    }
    assert not [spec for spec in pods(DEFAULTS) if "hostUsers" in spec["spec"]]
    assert "hostUsers" in refused("--set=agent.hostUsers=false")


def test_dns_settings_are_those_of_every_pod():
    for template in (*pods(EVERYTHING), {"spec": found("Pod", "registry-trust-test", TEST)["spec"]}):
        assert template["spec"]["dnsConfig"] == {"options": [{"name": "ndots", "value": "1"}]}


def test_the_kinds_are_readable_with_the_role_view_unless_that_is_switched_off():
    role = found("ClusterRole", "registry-trust-view")

    assert role["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert [rule["apiGroups"] for rule in role["rules"]] == [[GROUP]]
    assert "registry-trust-view" not in {body["metadata"]["name"] for body in rendered(EVERYTHING)}


def test_openshifts_constraints_are_bound_on_request():
    def bound(name: str) -> tuple[str, list[str]]:
        binding = found("RoleBinding", name, EVERYTHING)
        assert all(each["namespace"] == binding["metadata"]["namespace"] == NAMESPACE for each in binding["subjects"])
        return binding["roleRef"]["name"], [each["name"] for each in binding["subjects"]]

    assert bound("registry-trust-agent-scc") == ("system:openshift:scc:privileged", ["registry-trust-agent"])
    fixed_user = ["registry-trust-operator", "registry-trust-test"]
    assert bound("registry-trust-operator-scc") == ("system:openshift:scc:nonroot-v2", fixed_user)
    assert not [body for body in rendered() if body["metadata"]["name"].endswith("-scc")]


# ---- helm test -------------------------------------------------------------------------------------------------------


def of_test(kind: str) -> Body:
    return found(kind, "registry-trust-test", (OF_TEST,))


def test_helm_test_runs_the_image_with_an_argument_that_it_understands():
    (container,) = of_test("Pod")["spec"]["containers"]
    (operator,) = pod(*OPERATOR)["containers"]
    name, *given = container["args"]

    assert container["image"] == operator["image"]
    assert name == check.name
    with check.make_context(name, list(given)) as context:
        assert context.params["namespace"] == "$(NAMESPACE)"


def test_the_pod_of_helm_test_is_confined_as_the_operator_is():
    mine, operators = of_test("Pod")["spec"], pod(*OPERATOR)

    assert mine["securityContext"] == operators["securityContext"]
    assert mine["containers"][0]["securityContext"] == operators["containers"][0]["securityContext"]
    assert mine["serviceAccountName"] == "registry-trust-test"
    assert mine["automountServiceAccountToken"] is False


def test_the_rights_of_helm_test_read_what_it_asks_for_and_go_with_it():
    for body in rendered((OF_TEST,)):
        annotations = body["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "test"
        assert "hook-succeeded" in annotations["helm.sh/hook-delete-policy"]
        assert ("hook-failed" in annotations["helm.sh/hook-delete-policy"]) == (body["kind"] != "Pod"), "its log stays"
    rules = [rule for kind in ("Role", "ClusterRole") for rule in of_test(kind)["rules"]]
    given = {(each, *rule.get("resourceNames", ()), *rule["verbs"]) for rule in rules for each in rule["resources"]}
    assert given == {
        ("deployments", "registry-trust-operator", "get"),
        ("daemonsets", "registry-trust-agent", "get"),
        ("pods", "list"),
        ("nodetrusts", "list"),
    }


@BOTH
def test_the_pod_of_helm_test_is_none_of_the_operators_and_agents(arguments):
    labels = found("Pod", "registry-trust-test", (OF_TEST, *arguments))["metadata"]["labels"]

    assert labels["app.kubernetes.io/component"] == "test"
