"""The oldest supported Kubernetes: what deploy/ has is taken whole by its API server, and does its work there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.integration import client_certificate_lists
from tools.authority import Authority
from tools.cluster.binaries import OLDEST_KUBERNETES
from tools.cluster.control_plane import ControlPlane
from tools.cluster.kubectl import KubectlError
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, NAMESPACE, Installation

pytestmark = pytest.mark.tools("etcd", "kubectl", f"kube-apiserver-{OLDEST_KUBERNETES}")

OLD, NEW = Authority.create("the old CA"), Authority.create("the new CA")
REGISTRY = "harbor.corp.example:5000"
CA = [{"secretKeyRef": {"name": "harbor-ca", "key": "ca.crt"}}]


@pytest.fixture(scope="module")
def oldest() -> Iterator[Installation]:
    """An API server of that version with registry-trust, its operator, and two Nodes with an agent each."""
    with ControlPlane(apiserver=f"kube-apiserver-{OLDEST_KUBERNETES}") as plane:
        installed = Installation(plane)
        installed.install()
        installed.start_operator()
        try:
            for node in ("n1", "n2"):
                installed.add_node(node)
                # Tokens can't be bound to a Node there; a pod's own is bound to the pod, and names its node.
                plane.kubectl.apply(pod_on(node))
                installed.start_agent(node, pod=f"agent-{node}")
            yield installed
        finally:
            installed.stop()


def pod_on(node):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"agent-{node}", "namespace": NAMESPACE},
        "spec": {
            "nodeName": node,
            "serviceAccountName": "registry-trust-agent",
            "containers": [{"name": "agent", "image": "localhost/registry-trust"}],
        },
    }


def test_it_is_that_version(oldest: Installation):
    version = json.loads(oldest.plane.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]

    assert version == f"v{OLDEST_KUBERNETES}"


def test_its_rules_refuse_what_ours_refuse(oldest: Installation):
    with pytest.raises(AssertionError, match="has a scheme"):
        oldest.trust("refused", registries=["https://harbor.corp.example"], caCertificates=CA)
    with pytest.raises(AssertionError, match="names no certificates"):
        oldest.trust("refused", registries=[REGISTRY])


def test_fields_to_select_by_are_left_out_of_the_kind_and_disturb_nothing(oldest: Installation):
    crd = oldest.plane.kubectl.get("crd", "nodetrusts.registrytrust.io")
    ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"

    wait_until(lambda: oldest.plane.kubectl("get", "nt", "n1", "-o", ready) == "True", "n1 is Ready", within=30)
    assert "selectableFields" not in crd["spec"]["versions"][0]
    with pytest.raises(KubectlError, match="field label not supported"):
        oldest.plane.kubectl("get", "nt", "--field-selector=status.state=Failing")


def test_a_trust_reaches_its_nodes_follows_its_source_and_goes(oldest: Installation):
    roots = [agent.root() for agent in oldest.agents.values()]

    def everywhere(content):
        return all((root / REGISTRY / "ca.crt").read_bytes() == content for root in roots)

    oldest.secret("harbor-ca", {"ca.crt": OLD.pem})
    oldest.trust("harbor", registries=[REGISTRY], caCertificates=CA, caRetention="0s")
    oldest.wait_for("harbor", "Ready")
    assert everywhere(OLD.pem)

    oldest.secret("harbor-ca", {"ca.crt": NEW.pem})
    wait_until(lambda: everywhere(NEW.pem), "both nodes have the new CA", within=20)

    oldest.plane.kubectl("delete", "registrytrust", "harbor")
    oldest.plane.kubectl("annotate", "secret", BUNDLE, "-n", NAMESPACE, f"registrytrust.io/confirm-removal={10**9}")
    wait_until(lambda: not any((root / REGISTRY).exists() for root in roots), "the files are gone", within=120)


def test_a_trust_that_names_cluster_trust_bundles_says_that_they_are_not_served_and_disturbs_nothing(
    oldest: Installation,
):
    assert oldest.operator is not None
    bundles = {"signerName": "corp.example/registries", "labelSelector": {}}
    oldest.secret("harbor-ca", {"ca.crt": OLD.pem})

    oldest.trust("bundled", registries=["bundled.example"], caCertificates=[{"clusterTrustBundle": bundles}])
    oldest.trust("other", registries=["other.example"], caCertificates=CA)

    refused = oldest.wait_for("bundled", "Accepted", "False")
    assert refused["reason"] == "ClusterTrustBundlesUnavailable"
    assert "this API server does not serve ClusterTrustBundles" in refused["message"]
    oldest.wait_for("other", "Accepted")
    said = oldest.operator.log.read_text()
    assert not [words for words in ("Unresolved", "pass not finished") if words in said], said
    # The API server ends the watches of a kind once when its CRD changes, as other tests have it do.
    assert said.count("watches ended") <= 1, said
    oldest.plane.kubectl("delete", "registrytrusts", "bundled", "other")


def test_trusts_that_were_stored_without_names_of_their_pairs_stay_readable_and_writable(oldest: Installation):
    client_certificate_lists.check_a_trust_that_was_stored_without_names(oldest.plane.kubectl)


def test_client_certificates_keep_the_order_of_their_owner_beside_those_of_others(oldest: Installation):
    client_certificate_lists.check_the_order_of_pairs_and_their_owners(oldest.plane.kubectl)


def test_an_agent_writes_the_report_of_its_own_node_alone(oldest: Installation):
    agent = oldest.plane.service_account_kubeconfig(NAMESPACE, "registry-trust-agent", pod="agent-n1")
    body = {
        "apiVersion": "registrytrust.io/v1alpha1",
        "kind": "NodeTrust",
        "metadata": {"name": "n2"},
        "status": {"agentVersion": "1"},
    }

    with pytest.raises(KubectlError, match="an agent may only write the report of its own node, n1"):
        oldest.plane.kubectl(
            "apply", "--server-side", "--force-conflicts", f"--kubeconfig={agent}", "-f", "-", input=json.dumps(body)
        )
