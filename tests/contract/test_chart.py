"""The chart's objects: rights by name, labels, what outlives what, and that everything generated is in sync."""

from __future__ import annotations

import pytest
import yaml

import registry_trust
from deploy.generate import CHART, MANIFEST, NAMESPACE, TRUST_NAMESPACE, expected_files
from registry_trust.compiler.kinds import KINDS
from registry_trust.core import names
from registry_trust.core.names import BUNDLE_TYPE
from tests.contract.rendering import BOTH, DEFAULTS, EVERYTHING, EXTRA_OBJECTS, Body, found, pod, pods, rendered

pytestmark = pytest.mark.tools("helm")

# ---- generated -------------------------------------------------------------------------------------------------------


def test_generated_files_are_up_to_date():
    stale = [str(path) for path, text in expected_files().items() if not path.is_file() or path.read_text() != text]

    assert not stale, f"run `make generate` and commit: {stale}"


def test_deploy_has_what_the_chart_has_in_a_namespace_that_lets_the_agent_in():
    bodies = [body for body in yaml.safe_load_all(MANIFEST.read_text()) if body]
    namespaces = {body["metadata"]["name"]: body for body in bodies if body["kind"] == "Namespace"}

    assert bodies[:2] == list(namespaces.values()), "kubectl applies in the order of the file"
    levels = {
        name: body["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] for name, body in namespaces.items()
    }
    assert levels == {NAMESPACE: "privileged", TRUST_NAMESPACE: "restricted"}
    names = {(body["kind"], body["metadata"]["name"]) for body in bodies}
    assert names - {("Namespace", NAMESPACE)} == {(b["kind"], b["metadata"]["name"]) for b in rendered()}
    assert "Helm" not in {body["metadata"]["labels"].get("app.kubernetes.io/managed-by") for body in bodies}


def test_the_charts_versions_are_the_packages():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["appVersion"] == chart["version"] == registry_trust.__version__


def test_the_chart_makes_every_object_by_the_name_that_the_processes_use():
    made = {(body["kind"], body["metadata"]["name"]) for body in rendered()}

    assert made >= {
        ("Deployment", names.OPERATOR),
        ("DaemonSet", names.AGENT),
        ("Secret", names.BUNDLE),
        ("Role", names.SOURCES_ROLE),
        ("Role", names.EVENTS_ROLE),
        ("ValidatingAdmissionPolicy", names.OWN_NODE_POLICY),
        ("CustomResourceDefinition", names.TRUSTS_CRD),
        ("CustomResourceDefinition", names.REPORTS_CRD),
    }


def test_the_version_of_the_api_is_written_in_one_module():
    package = CHART.parents[1] / "operator"
    naming = [path.name for path in package.rglob("*.py") if names.VERSION in path.read_text()]

    assert naming == ["names.py"]


# ---- rights ----------------------------------------------------------------------------------------------------------

RIGHTS = {
    ("ClusterRole", None, "registry-trust-operator"): [
        "registrytrust.io registrytrusts,nodetrusts: get,list,watch",
        "registrytrust.io registrytrusts/status: patch",
        "core nodes: get,list,watch",
        "certificates.k8s.io clustertrustbundles: get,list,watch",
        (
            "apiextensions.k8s.io customresourcedefinitions "
            "[registrytrusts.registrytrust.io,nodetrusts.registrytrust.io]: get"
        ),
        "core serviceaccounts [registry-trust-operator,registry-trust-agent]: get",
        (
            "rbac.authorization.k8s.io clusterroles,clusterrolebindings,roles,rolebindings "
            "[registry-trust-operator,registry-trust-agent,registry-trust-sources,registry-trust-events]: get"
        ),
        (
            "admissionregistration.k8s.io validatingadmissionpolicies,validatingadmissionpolicybindings "
            "[registry-trust-agent-own-node]: get"
        ),
    ],
    ("Role", NAMESPACE, "registry-trust-operator"): [
        "core secrets [registry-trust-bundle]: get,patch",
        "coordination.k8s.io leases: create",
        "coordination.k8s.io leases [registry-trust-operator]: get,update",
        "apps daemonsets [registry-trust-agent]: get",
        "core pods: list",
    ],
    ("Role", TRUST_NAMESPACE, "registry-trust-sources"): ["core secrets,configmaps: get,list,watch"],
    ("Role", "default", "registry-trust-events"): ["core events: create,patch"],
    ("ClusterRole", None, "registry-trust-agent"): [
        "registrytrust.io nodetrusts: get,create,patch",
        "core nodes: get,list,watch",
    ],
    ("ClusterRole", None, "registry-trust-view"): ["registrytrust.io registrytrusts,nodetrusts: get,list,watch"],
    ("Role", NAMESPACE, "registry-trust-agent"): ["core secrets [registry-trust-bundle]: get,list,watch"],
}
"""Everything that either process may do: group, resources, names, verbs."""

HOLDERS = {
    "registry-trust-operator": {"registry-trust-operator", "registry-trust-sources", "registry-trust-events"},
    "registry-trust-agent": {"registry-trust-agent"},
}


def in_words(rule: Body) -> str:
    (group,) = rule["apiGroups"]
    names = f" [{','.join(rule['resourceNames'])}]" if "resourceNames" in rule else ""
    return f"{group or 'core'} {','.join(rule['resources'])}{names}: {','.join(rule['verbs'])}"


def test_the_rights_are_exactly_these():
    roles = {
        (body["kind"], body["metadata"].get("namespace"), body["metadata"]["name"]): [
            in_words(r) for r in body["rules"]
        ]
        for body in rendered()
        if body["kind"] in ("Role", "ClusterRole")
    }

    assert roles == RIGHTS


def test_the_operator_may_watch_exactly_the_kinds_that_it_watches():
    watched = {
        (role["metadata"].get("namespace"), group, resource)
        for role in rendered()
        if role["kind"] in ("Role", "ClusterRole") and role["metadata"]["name"] in HOLDERS["registry-trust-operator"]
        for rule in role["rules"]
        if rule["verbs"] == ["get", "list", "watch"] and "resourceNames" not in rule
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }

    assert watched == {(TRUST_NAMESPACE if k.of_trust_namespace else None, k.group, k.resource) for k in KINDS}


def test_each_role_is_bound_to_its_one_service_account():
    holders: dict[str, set[str]] = {}
    for body in rendered():
        if body["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            (subject,) = body["subjects"]
            assert (subject["kind"], subject["namespace"]) == ("ServiceAccount", NAMESPACE)
            assert body["roleRef"]["kind"] == body["kind"].removesuffix("Binding")
            assert body["roleRef"]["name"] == body["metadata"]["name"]
            holders.setdefault(subject["name"], set()).add(body["roleRef"]["name"])

    assert holders == HOLDERS


@BOTH
def test_no_secret_is_readable_in_the_whole_cluster(arguments):
    rules = [rule for body in rendered(arguments) if body["kind"] == "ClusterRole" for rule in body["rules"]]

    assert rules
    for rule in rules:
        assert not {"secrets", "configmaps", "*"} & set(rule["resources"])
        assert "*" not in rule["verbs"] + rule["apiGroups"]


def test_another_trust_namespace_moves_the_right_to_read_sources_there():
    role = found("Role", "registry-trust-sources", EVERYTHING)
    (operator,) = pod("Deployment", "registry-trust-operator", EVERYTHING)["containers"]

    assert role["metadata"]["namespace"] == "pki-sources"
    assert "--trust-namespace=pki-sources" in operator["args"]
    assert "--namespace=$(NAMESPACE)" in operator["args"]


def test_the_sources_have_a_namespace_of_their_own_that_nothing_removes():
    metadata = found("Namespace", TRUST_NAMESPACE)["metadata"]

    assert metadata["annotations"] == {
        "helm.sh/resource-policy": "keep",
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
    }
    assert {metadata["labels"][f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {
        "restricted"
    }


@pytest.mark.parametrize("values", [["trustNamespace.create=false"], [f"trustNamespace.name={NAMESPACE}"]])
def test_the_chart_writes_no_namespace_for_sources_that_exists_already(values):
    assert [body for body in rendered(tuple(f"--set={value}" for value in values)) if body["kind"] == "Namespace"] == []


def test_an_admission_policy_binds_an_agent_to_its_own_node():
    policy = found("ValidatingAdmissionPolicy", "registry-trust-agent-own-node")["spec"]
    binding = found("ValidatingAdmissionPolicyBinding", "registry-trust-agent-own-node")["spec"]

    assert policy["failurePolicy"] == "Fail"
    assert policy["matchConstraints"]["resourceRules"][0]["operations"] == ["CREATE", "UPDATE", "DELETE"]
    assert f"system:serviceaccount:{NAMESPACE}:registry-trust-agent" in policy["matchConditions"][0]["expression"]
    assert "authentication.kubernetes.io/node-name" in policy["variables"][0]["expression"]
    assert binding == {"policyName": "registry-trust-agent-own-node", "validationActions": ["Deny"]}


# ---- objects ---------------------------------------------------------------------------------------------------------


def test_the_bundle_is_created_without_data_and_no_tool_prunes_it():
    secret = found("Secret", "registry-trust-bundle")

    assert secret["type"] == BUNDLE_TYPE
    assert not {"data", "stringData", "immutable"} & secret.keys()
    annotations = secret["metadata"]["annotations"]
    assert annotations["helm.sh/resource-policy"] == "keep"
    assert "Prune=false" in annotations["argocd.argoproj.io/sync-options"]
    assert annotations["kustomize.toolkit.fluxcd.io/prune"] == "disabled"


def test_cleaning_up_withdraws_the_bundle_first_and_then_lets_helm_delete_it():
    job = found("Job", "registry-trust-cleanup", EVERYTHING)
    secret = found("Secret", "registry-trust-bundle", EVERYTHING)

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == [
        "withdraw",
        "--namespace=$(NAMESPACE)",
        "--wait=600",
    ]
    assert "helm.sh/resource-policy" not in secret["metadata"]["annotations"], "else it would stay withdrawn for ever"
    assert not [body for body in rendered() if body["kind"] == "Job"]


def test_the_crds_outlive_the_chart_and_can_be_left_out():
    crds = [body for body in rendered() if body["kind"] == "CustomResourceDefinition"]

    assert len(crds) == 2
    assert all(crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for crd in crds)
    assert not [body for body in rendered(EVERYTHING) if body["kind"] == "CustomResourceDefinition"]


@BOTH
def test_every_object_has_the_recommended_labels(arguments):
    wanted = {f"app.kubernetes.io/{label}" for label in ("name", "instance", "version", "part-of", "managed-by")}
    for body in rendered(arguments):
        if body["metadata"]["name"] not in EXTRA_OBJECTS:
            assert wanted <= body["metadata"]["labels"].keys(), body["metadata"]["name"]


@BOTH
def test_selectors_find_their_own_pods_and_no_others(arguments):
    labels = [template["metadata"]["labels"] for template in pods(arguments)]
    for body in rendered(arguments):
        selector = body.get("spec", {}).get("selector", {}).get("matchLabels")
        if selector and body["kind"] != "PodMonitor":  # of both processes: test_alerts.py
            chosen = {each["app.kubernetes.io/component"] for each in labels if selector.items() <= each.items()}
            assert chosen == {body["metadata"]["labels"]["app.kubernetes.io/component"]}


# ---- network ---------------------------------------------------------------------------------------------------------


def test_by_default_the_network_policy_closes_no_port_that_is_used_and_every_other_one():
    spec = found("NetworkPolicy", "registry-trust")["spec"]
    used = {
        (port.get("protocol", "TCP"), port["containerPort"])
        for template in pods(DEFAULTS)
        for container in template["spec"]["containers"]
        for port in container.get("ports", [])
    }

    assert spec["policyTypes"] == ["Ingress"], "where the pods connect to is not limited"
    assert spec["ingress"] == [{"ports": [{"protocol": p, "port": n} for p, n in used]}], "from anywhere"
    labels = spec["podSelector"]["matchLabels"].items()
    assert all(labels <= template["metadata"]["labels"].items() for template in pods(DEFAULTS))


def test_a_network_policy_can_name_who_reads_metrics_and_the_ports_of_the_api_server():
    spec = found("NetworkPolicy", "registry-trust", (*EVERYTHING, "--set", "networkPolicy.enabled=true"))["spec"]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert spec["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8080}], "from": [monitoring]}]
    assert spec["egress"] == [{"ports": [{"protocol": "TCP", "port": 443}]}]


def test_the_network_policy_can_be_left_out():
    assert "NetworkPolicy" not in {body["kind"] for body in rendered(EVERYTHING)}
