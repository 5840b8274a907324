"""Parts: whatever of deploy/ is deleted on a running system, object or rule, is named and heals when it is back."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import yaml

from registry_trust.controller.api_server import ApiServer
from registry_trust.controller.connection import Connector
from registry_trust.controller.leadership import LOST
from registry_trust.controller.parts import Parts, parts_of
from registry_trust.controller.rights import rights_of
from registry_trust.controller.settings import OperatorSettings
from tools.authority import Authority
from tools.cluster.waiting import wait_until
from tools.installation import EVERYBODY_READS_BUNDLES, MANIFEST, NAMESPACE, TRUST_NAMESPACE, Installation

NAMED_ELSEWHERE = {
    "Namespace registry-trust": "everything in it is gone, the operator, too",
    "Namespace registry-certificates": "its Role and RoleBinding are gone with it",
    "Deployment registry-trust/registry-trust-operator": "nothing runs that could tell",
    "PodDisruptionBudget registry-trust/registry-trust-operator": "no process needs it",
    "NetworkPolicy registry-trust/registry-trust": "no process needs it",
    "ClusterRole registry-trust-view": "it is for people; no process needs it",
}
"""What the operator doesn't ask for, and where its loss is seen."""

KINDS = ("registrytrusts.registrytrust.io", "nodetrusts.registrytrust.io")
SETTINGS = OperatorSettings(NAMESPACE, TRUST_NAMESPACE, "me")
ASKED_FOR = {str(part): part for part in parts_of(SETTINGS)}
DOCUMENTS: dict[str, dict[str, Any]] = {
    " ".join((d["kind"], "/".join(filter(None, (d["metadata"].get("namespace"), d["metadata"]["name"]))))): d
    for d in yaml.safe_load_all(MANIFEST.read_text())
    if d
}
OPERATORS = {
    f"{d['roleRef']['kind']} {'/'.join(filter(None, (d['metadata'].get('namespace'), d['roleRef']['name'])))}"
    for d in DOCUMENTS.values()
    if d["kind"].endswith("RoleBinding") and d["subjects"][0]["name"] == "registry-trust-operator"
}
"""The roles that are bound to the operator."""

CA = Authority.create("parts").pem


def delete(installation: Installation, document: dict[str, Any]) -> None:
    metadata = document["metadata"]
    where = ("-n", metadata["namespace"]) if "namespace" in metadata else ()
    installation.plane.kubectl("delete", document["kind"].lower(), metadata["name"], *where)


def says(installation: Installation, *words: str) -> None:
    """Wait until /readyz has every word; an operator without its Lease ends, and comes back as by a kubelet."""

    def lives() -> None:
        assert installation.operator is not None
        if installation.operator.child.poll() == LOST:
            installation.start_operator()
        installation.operator.check()

    def has() -> bool:
        page = installation.readiness()
        assert all(word in page for word in words), page
        return True

    wait_until(has, f"/readyz says {', '.join(words)}", within=60, meanwhile=lives)


def heals(installation: Installation) -> None:
    """Wait until this process, and no other, is ready."""
    process = installation.operator
    assert process is not None
    ready: Callable[[], bool] = lambda: installation.readiness().strip() == "ok"  # noqa: E731 - one expression
    wait_until(ready, f"it heals: {installation.readiness()}", within=60, meanwhile=process.check)


def leads(installation: Installation) -> None:
    """Wait until this process has the Lease; before that it is ready, too."""
    assert installation.operator is not None
    own = f"-{installation.operator.pid}"

    def holds() -> bool:
        lease = installation.plane.kubectl.get("lease", "registry-trust-operator", "-n", NAMESPACE)
        return str(lease["spec"].get("holderIdentity", "")).endswith(own)

    wait_until(holds, "it leads", within=60, meanwhile=installation.operator.check)


@pytest.fixture(scope="module")
def parts(installation: Installation) -> Parts:
    """Give what looks at the parts, with the operator's own rights."""
    kubeconfig = installation.plane.service_account_kubeconfig(NAMESPACE, "registry-trust-operator")
    return Parts(ApiServer(Connector(str(kubeconfig))), SETTINGS)


@pytest.fixture(autouse=True)
def an_operator_runs(installation: Installation) -> None:
    """Begin each test with an operator."""
    if installation.operator is None or installation.operator.child.poll() is not None:
        installation.start_operator()


def bring_token(installation: Installation) -> None:
    """Give a token of the ServiceAccount as it is now to the operator, and to what looks at the parts."""
    kubeconfig = installation.plane.service_account_kubeconfig(NAMESPACE, "registry-trust-operator")
    replacement = kubeconfig.with_suffix(".copy")
    replacement.write_bytes(kubeconfig.read_bytes())
    replacement.rename(installation.plane.folder / "operator.kubeconfig")


def looked(parts: Parts) -> str:
    parts.look()
    return parts.problem


def says_all(parts: Parts, words: list[str]) -> bool:
    said = looked(parts)
    assert all(each in said for each in words), said
    return True


# ---- what is asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_object_of_the_installation_has_a_place_where_its_loss_is_named(name: str) -> None:
    assert (name in ASKED_FOR) != (name in NAMED_ELSEWHERE)


def test_the_operator_asks_for_nothing_that_is_not_installed() -> None:
    assert set(DOCUMENTS) >= set(ASKED_FOR)


def test_every_rule_of_the_operators_roles_is_asked_for() -> None:
    given = {
        (role, verb, group, resource, name)
        for role in OPERATORS
        for rule in DOCUMENTS[role]["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }
    read = {part.path.split("/")[-2:][0] for part in ASKED_FOR.values()} - {"secrets", "daemonsets"}
    named = {(r.role, r.verb, r.group, r.resource, r.name) for r in rights_of(SETTINGS)}

    assert named == {each for each in given if each[3] not in read}
    assert {verb for _, verb, _, resource, _ in given if resource in read} == {"get"}


# ---- each of them lost -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in ASKED_FOR if "CustomResourceDefinition" not in n])
def test_each_lost_object_is_named_and_forgotten_when_it_is_back(
    installation: Installation, parts: Parts, name: str
) -> None:
    delete(installation, DOCUMENTS[name])
    kind, _, rest = name.partition(" ")
    words = {
        # Without these it may not look, or is nobody: what it lacks is said.
        "ClusterRole registry-trust-operator": "ClusterRole registry-trust-operator or its binding does not let",
        "ClusterRoleBinding registry-trust-operator": "ClusterRole registry-trust-operator or its binding does not let",
        f"ServiceAccount {NAMESPACE}/registry-trust-operator": "rejects the operator's token (HTTP 401)",
    }.get(name, f"missing: {kind} {rest}")
    try:
        wait_until(lambda: words in looked(parts), f"it says {words}", within=30)
    finally:
        installation.plane.kubectl.apply(DOCUMENTS[name])
    if kind == "ServiceAccount":  # One of the same name is another account: the kubelet brings its token.
        bring_token(installation)
    wait_until(lambda: not looked(parts), "it is forgotten", within=30)


@pytest.mark.parametrize("role", sorted(OPERATORS))
def test_each_lost_rule_is_named_by_its_verb_and_resource(installation: Installation, parts: Parts, role: str) -> None:
    document = DOCUMENTS[role]
    # Kubernetes lets every service account read ClusterTrustBundles, whatever our role says.
    installation.plane.kubectl("delete", "clusterrolebinding", EVERYBODY_READS_BUNDLES, "--ignore-not-found")
    for index, rule in enumerate(document["rules"]):
        less = copy.deepcopy(document)
        del less["rules"][index]
        lost = [
            right
            for right in rights_of(SETTINGS)
            if (right.role, right.group) == (role, rule["apiGroups"][0])
            and right.resource in rule["resources"]
            and right.verb in rule["verbs"]
            and right.name == rule.get("resourceNames", [""])[0]
        ]
        said = [f"{role} or its binding does not let", *map(str, lost)] if lost else ["cannot read"]
        installation.plane.kubectl.apply(less)
        try:
            wait_until(partial(says_all, parts, said), f"it says {said}", within=30)
        finally:
            installation.plane.kubectl.apply(document)
        wait_until(lambda: not looked(parts), "it is forgotten", within=30)


# ---- on a running operator -------------------------------------------------------------------------------------------


def test_every_lost_object_is_named_on_the_page_and_in_the_log_and_heals_without_a_restart(
    installation: Installation,
) -> None:
    leads(installation)
    heals(installation)
    ends_the_leader = (f"{NAMESPACE}/registry-trust-operator", "CustomResourceDefinition")
    cluster_wide = ("ClusterRole registry-trust-operator", "ClusterRoleBinding registry-trust-operator")
    lost = {n: DOCUMENTS[n] for n in ASKED_FOR if not any(e in n for e in ends_the_leader) and n not in cluster_wide}
    for document in lost.values():
        delete(installation, document)

    says(installation, *lost)
    process = installation.operator
    assert process is not None
    assert all(name in process.log.read_text() for name in lost)
    installation.plane.kubectl.apply(*lost.values())

    heals(installation)


@pytest.mark.parametrize("kind", ["Role", "RoleBinding"])
def test_without_its_own_role_the_leader_ends_and_the_next_one_says_so_until_it_is_back(
    installation: Installation, kind: str
) -> None:
    leads(installation)
    heals(installation)
    document = DOCUMENTS[f"{kind} {NAMESPACE}/registry-trust-operator"]
    delete(installation, document)

    says(installation, "cannot lead", "Role and RoleBinding registry-trust-operator")
    installation.plane.kubectl.apply(document)

    heals(installation)


def test_without_its_service_account_the_operator_says_so_and_heals_with_a_token_of_the_new_one(
    installation: Installation,
) -> None:
    leads(installation)
    heals(installation)
    document = DOCUMENTS[f"ServiceAccount {NAMESPACE}/registry-trust-operator"]
    delete(installation, document)
    wait_until(lambda: installation.operator.child.poll() == LOST, "the leader ends", within=60)
    old = json.loads((installation.plane.folder / "operator.kubeconfig").read_text())["users"][0]["user"]["token"]
    installation.start_operator(token=old)

    says(installation, "cannot lead", "ServiceAccount")
    installation.plane.kubectl.apply(document)
    bring_token(installation)

    heals(installation)


@pytest.mark.parametrize("lost", [KINDS[:1], KINDS[1:], KINDS], ids=["trusts", "reports", "both"])
def test_lost_kinds_are_named_the_operator_lives_and_works_when_they_are_back(
    installation: Installation, lost: tuple[str, ...]
) -> None:
    leads(installation)
    heals(installation)
    installation.secret("lost-kind", {"ca.crt": CA})
    source = [{"secretKeyRef": {"name": "lost-kind", "key": "ca.crt"}}]
    installation.trust("before", registries=["before.example"], caCertificates=source)
    installation.wait_for("before", "Accepted")
    process = installation.operator
    documents = [DOCUMENTS[f"CustomResourceDefinition {name}"] for name in lost]
    installation.plane.kubectl("delete", "crd", *lost)

    says(installation, *(f"CustomResourceDefinition {name}" for name in lost))
    assert installation.operator is process, "it went on"
    installation.plane.kubectl.apply(*documents)
    for name in lost:
        installation.plane.kubectl.wait_for_kinds(name)

    heals(installation)
    installation.trust("after", registries=["after.example"], caCertificates=source)
    installation.wait_for("after", "Accepted", within=60)
    assert installation.operator is process


def test_a_lost_trust_namespace_is_named_by_what_was_in_it_and_content_stays(installation: Installation) -> None:
    leads(installation)
    heals(installation)
    installation.secret("in-namespace", {"ca.crt": CA})
    source = [{"secretKeyRef": {"name": "in-namespace", "key": "ca.crt"}}]
    installation.trust("sourced", registries=["sourced.example"], caCertificates=source)
    revision = installation.wait_for("sourced", "Accepted") and installation.status("sourced")["revision"]
    kubectl = installation.plane.kubectl
    inside = [d for d in DOCUMENTS.values() if d["metadata"].get("namespace") == TRUST_NAMESPACE]
    # What the namespace controller does when a namespace is deleted; it does not run here.
    for kind in ("rolebinding", "role", "secret", "configmap"):
        kubectl("delete", kind, "--all", "-n", TRUST_NAMESPACE)
    kubectl("delete", "namespace", TRUST_NAMESPACE, "--wait=false")
    body = kubectl.get("namespace", TRUST_NAMESPACE)
    body["spec"]["finalizers"] = []
    kubectl("replace", "--raw", f"/api/v1/namespaces/{TRUST_NAMESPACE}/finalize", "-f", "-", input=json.dumps(body))

    says(installation, *(f"{d['kind']} {TRUST_NAMESPACE}/{d['metadata']['name']}" for d in inside))
    assert installation.status("sourced")["revision"] == revision
    kubectl.apply(DOCUMENTS[f"Namespace {TRUST_NAMESPACE}"])
    kubectl.apply(*inside)
    heals(installation)

    refused = installation.wait_for("sourced", "Accepted", "False", within=60)
    assert "still serving revision" in refused["message"]
    installation.secret("in-namespace", {"ca.crt": CA})
    installation.wait_for("sourced", "Accepted", within=30)
