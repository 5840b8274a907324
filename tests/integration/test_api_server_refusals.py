"""The real API server takes both CRDs, explains them, and refuses bad trusts with words that an admin can use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from registry_trust.api.crd import KINDS, NODE_TRUST, build_crd
from registry_trust.api.parse import check_trust
from registry_trust.core.registry import MAXIMUM_LENGTH
from registry_trust.core.report_format import encode_report
from tests.contract.test_crds import FULL_REPORT
from tests.integration import client_certificate_lists
from tools.cluster.control_plane import ControlPlane
from tools.cluster.kubectl import Kubectl, KubectlError
from tools.cluster.waiting import wait_until

pytestmark = pytest.mark.tools("control-plane")

CA = {"configMapKeyRef": {"name": "corp-roots", "key": "ca.crt"}}
CLIENT = {"secretRef": {"name": "harbor-client"}}
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMIIcanaryMII\n-----END PRIVATE KEY-----\n"


@pytest.fixture(scope="module")
def kubectl() -> Iterator[Kubectl]:
    """An admin's kubectl at an API server that serves both kinds."""
    with ControlPlane() as plane:
        plane.kubectl.apply(*(build_crd(kind) for kind in KINDS))
        for kind in KINDS:
            plane.kubectl.wait_for_kinds(f"{kind.crd_name}")
        # The discovery and OpenAPI documents follow a moment after the CRD is established.
        wait_until(lambda: plane.kubectl("explain", "rt.spec", "--output=plaintext"), "kubectl explain rt", within=60)
        wait_until(lambda: plane.kubectl("explain", "nt.status"), "kubectl explain nt", within=60)
        yield plane.kubectl


def trust(name: str = "harbor", **spec: Any) -> dict[str, Any]:
    """A good object, with these fields of its spec replaced; a field that is `...` is left out."""
    fields = {"registries": ["harbor.example:5000"], "caCertificates": [CA], **spec}
    return {
        "apiVersion": "registrytrust.io/v1alpha1",
        "kind": "RegistryTrust",
        "metadata": {"name": name},
        "spec": {field: value for field, value in fields.items() if value is not ...},
    }


def offer(kubectl: Kubectl, obj: dict[str, Any]) -> str:
    """Offer an object to the server without keeping it."""
    return kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", input=json.dumps(obj))


REFUSED = {
    "no certificate at all": (
        trust(caCertificates=...),
        (
            "spec: Required value: names no certificates; add caCertificates (to trust the registry), "
            "clientCertificates, or both"
        ),
    ),
    "empty lists of certificates": (
        trust(caCertificates=[], clientCertificates=[]),
        "spec: Required value: names no certificates",
    ),
    "a registry that is too long to be taken back": (
        trust(registries=[".".join(["a" * 45] * 5)[: MAXIMUM_LENGTH - 2] + ".bc"]),
        f"spec.registries[0]: Too long: may not be more than {MAXIMUM_LENGTH} bytes",
    ),
    "Docker Hub in upper case": (trust(registries=["Docker.IO"]), "write docker.io"),
    "a port out of range": (trust(registries=["a.example:70000"]), "is not a registry; write host[:port] exactly as"),
    "a line break": (trust(registries=["a.example\n"]), "is not a registry; write host[:port] exactly as"),
    "a duplicate": (
        trust(registries=["a.example", "b.example", "a.example"]),
        'spec.registries[2]: Duplicate value: "a.example"',
    ),
    "no registries": (trust(registries=...), "spec.registries: Required value"),
    "an empty list of registries": (trust(registries=[]), "spec.registries in body should have at least 1 items"),
    "too many registries": (
        trust(registries=[f"a{n}.example" for n in range(65)]),
        "spec.registries: Too many: 65: must have at most 64 items",
    ),
    "an empty nodeSelector": (
        trust(nodeSelector={}),
        (
            "spec.nodeSelector: Required value: is empty; leave nodeSelector out to select every node, or name "
            "labels in matchLabels or matchExpressions"
        ),
    ),
    "a nodeSelector of empty parts": (
        trust(nodeSelector={"matchLabels": {}, "matchExpressions": []}),
        "spec.nodeSelector: Required value: is empty; leave nodeSelector out to select every node",
    ),
    "a label key that no Node has": (
        trust(nodeSelector={"matchLabels": {"a b": "c"}}),
        "spec.nodeSelector.matchLabels: Invalid value: has a key that is not the key of a label",
    ),
    "an operator of pods": (
        trust(nodeSelector={"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}),
        'Unsupported value: "Gt": supported values: "In", "NotIn", "Exists", "DoesNotExist"',
    ),
    "In without values": (
        trust(nodeSelector={"matchExpressions": [{"key": "a", "operator": "In"}]}),
        "spec.nodeSelector.matchExpressions[0]: Required value: needs values with the operators In and NotIn",
    ),
    "Exists with values": (
        trust(nodeSelector={"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}),
        "spec.nodeSelector.matchExpressions[0]: Forbidden: takes no values with the operators Exists and DoesNotExist",
    ),
    "an unknown field": (trust(caCertificate=[CA]), 'strict decoding error: unknown field "spec.caCertificate"'),
    "a namespace": (
        trust(caCertificates=[{"secretKeyRef": {"name": "a", "key": "b", "namespace": "c"}}]),
        'strict decoding error: unknown field "spec.caCertificates[0].secretKeyRef.namespace"',
    ),
    "a policy that there is not": (
        trust(existingFilesPolicy="Delete"),
        'spec.existingFilesPolicy: Unsupported value: "Delete": supported values: "Refuse", "Replace"',
    ),
    "a source that is none": (
        trust(caCertificates=[{}]),
        "spec.caCertificates[0]: Invalid value: must have exactly one of secretKeyRef, configMapKeyRef, clusterTrust",
    ),
    "ClusterTrustBundles of a signer without labelSelector": (
        trust(caCertificates=[{"clusterTrustBundle": {"signerName": "corp.example/roots"}}]),
        "must have labelSelector with signerName, and not with name",
    ),
    "ClusterTrustBundles by nothing": (
        trust(caCertificates=[{"clusterTrustBundle": {}}]),
        "must have either name or signerName",
    ),
    "a source that is two": (trust(caCertificates=[{**CA, "inline": "PEM"}]), "must have exactly one of secretKeyRef"),
    "a private key inline": (
        trust(caCertificates=[{"inline": PRIVATE_KEY}]),
        "spec.caCertificates[0]: Forbidden: contains a private key inline, where everyone who can read this object",
    ),
    "a Secret's name that can't be one": (
        trust(caCertificates=[{"secretKeyRef": {"name": "Harbor_CA", "key": "ca.crt"}}]),
        'spec.caCertificates[0].secretKeyRef.name: Invalid value: "Harbor_CA": is not a valid Kubernetes name',
    ),
    "a key that is a path": (
        trust(caCertificates=[{"secretKeyRef": {"name": "a", "key": "../b"}}]),
        'spec.caCertificates[0].secretKeyRef.key: Invalid value: "../b": is not a key of a Secret or ConfigMap',
    ),
    "two client certificates of one name": (
        trust(clientCertificates=[CLIENT, {"name": "client", **CLIENT}]),
        "spec.clientCertificates[1]: Duplicate value",
    ),
    "a client certificate's name that leaves its directory": (
        trust(clientCertificates=[{"name": "../x", **CLIENT}]),
        'spec.clientCertificates[0].name: Invalid value: "../x": is not a safe file name',
    ),
    "a client certificate's name with an ending": (
        trust(clientCertificates=[{"name": "node.crt", **CLIENT}]),
        'spec.clientCertificates[0].name: Invalid value: "node.crt": must not end in .crt, .cert or .key',
    ),
}


@pytest.mark.parametrize(("obj", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_the_server_refuses_with_a_message(kubectl: Kubectl, obj: dict[str, Any], words: str):
    with pytest.raises(KubectlError) as refused:
        offer(kubectl, obj)

    assert words in str(refused.value)
    assert "MIIcanaryMII" not in str(refused.value)


@pytest.mark.parametrize("obj", [obj for obj, _ in REFUSED.values()], ids=REFUSED.keys())
def test_what_the_server_refuses_the_operator_refuses_too(obj: dict[str, Any]):
    assert check_trust(obj)


@pytest.mark.parametrize(
    "registry",
    [
        "",
        "me@harbor.example",
        "https://me:word@harbor.example/team",
        "https://harbor.example",
        "https://harbor.example:5000/team",
        "oci://*.example/team",
        "harbor.example/team",
        "../../etc/cron.d",
        "*.example/team",
        "*.example",
        "harbor",
        "index.docker.io",
    ],
)
def test_the_server_and_the_operator_use_the_same_words_for_the_same_fault(kubectl: Kubectl, registry: str):
    with pytest.raises(KubectlError) as refused:
        offer(kubectl, trust(registries=[registry]))

    (own,) = check_trust(trust(registries=[registry]))
    words = own.problem.message.removeprefix(f'"{registry}" ')
    assert f'spec.registries[0]: Invalid value: "{registry}": {words}' in str(refused.value)


TAKEN = {
    "Docker Hub, and hosts in upper case": trust(
        registries=["docker.io", "Harbor.Example:5000", "REGISTRY", "[2001:DB8::1]:5000", "harbor.example:5000"]
    ),
    "the longest registry": trust(registries=[".".join(["a" * 44] * 5) + ":5000"]),
    "a CA from a Secret": trust(caCertificates=[{"secretKeyRef": {"name": "a", "key": "ca.crt"}}]),
    "a CA inline": trust(caCertificates=[{"inline": "-----BEGIN CERTIFICATE-----"}]),
    "a client certificate alone": trust(caCertificates=..., clientCertificates=[CLIENT]),
    "keys in the words of Docker's page": trust(
        clientCertificates=[
            {"secretRef": {"name": "a", "certificateKey": "client.cert", "privateKeyKey": "client.key"}},
            {"name": "second.one", "secretRef": {"name": "b"}},
        ]
    ),
    "every form of a registry": trust(
        registries=["localhost", "localhost:5000", "harbor:5000", "my-https.registry.example.com", "[2001:db8::1]:5000",
                    "10.0.0.1", "xn--bcher-kva.example:443", "a.example:65535"]
    ),
    "every kind of selection": trust(
        nodeSelector={
            "matchLabels": {"node-role.kubernetes.io/worker": "", "pool": "build"},
            "matchExpressions": [
                {"key": "a", "operator": "In", "values": ["b", ""]},
                {"key": "a", "operator": "NotIn", "values": ["c"]},
                {"key": "a", "operator": "Exists"},
                {"key": "a", "operator": "DoesNotExist", "values": []},
            ],
        }
    ),
    "as much as fits": trust(
        registries=[f"{'a' * 60}.{'b' * 60}.{'c' * 60}.{n}.example:5000" for n in range(64)],
        caCertificates=[CA] * 32,
        clientCertificates=[{"name": f"{'n' * 60}{n}", **CLIENT} for n in range(8)],
        nodeSelector={
            "matchLabels": {f"{'p' * 60}.example/{n}": "v" * 63 for n in range(32)},
            "matchExpressions": [
                {"key": "a", "operator": "In", "values": [f"{'v' * 60}{n}" for n in range(64)]} for _ in range(32)
            ],
        },
        suspend=True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("obj", TAKEN.values(), ids=TAKEN.keys())
def test_the_server_takes_what_the_operator_takes(kubectl: Kubectl, obj: dict[str, Any]):
    assert "created (server dry run)" in offer(kubectl, obj)
    assert check_trust(obj) == ()


def test_the_server_ignores_a_namespace_that_kustomize_sets_on_a_trust(kubectl: Kubectl):
    body = trust("built", registries=["harbor.example:5000"])
    body["metadata"]["namespace"] = "registry-certificates"

    kubectl("apply", "-f", "-", input=json.dumps(body))

    assert "namespace" not in kubectl.get("rt", "built")["metadata"]
    kubectl("delete", "rt", "built")


def test_trusts_that_were_stored_without_names_of_their_pairs_stay_readable_and_writable(kubectl: Kubectl):
    client_certificate_lists.check_a_trust_that_was_stored_without_names(kubectl)


def test_client_certificates_keep_the_order_of_their_owner_beside_those_of_others(kubectl: Kubectl):
    client_certificate_lists.check_the_order_of_pairs_and_their_owners(kubectl)


@pytest.fixture
def kept(kubectl: Kubectl) -> Iterator[dict[str, Any]]:
    """A trust that stays on the server for one test."""
    kubectl("create", "-f", "-", input=json.dumps(trust("kept", registries=["harbor.example:5000", "b.example"])))
    yield kubectl.get("rt", "kept")
    kubectl("delete", "rt", "kept")


def test_a_new_trust_is_not_taken_for_done_and_nothing_is_added_to_its_spec(kept: dict[str, Any]):
    assert kept["status"] == {"observedGeneration": -1}
    assert kept["spec"] == trust(registries=["harbor.example:5000", "b.example"])["spec"]


@pytest.mark.usefixtures("kept")
def test_get_shows_the_columns(kubectl: Kubectl):
    status = {
        "observedGeneration": 1,
        "registriesSummary": "harbor.example:5000, b.example",
        "nodesSummary": "3/3",
        "nextExpiry": "2031-03-01T00:00:00Z",
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-03-01T00:00:00Z",
                "reason": "Ready",
                "message": "3 of 3 nodes",
            }
        ],
    }
    kubectl("patch", "rt", "kept", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))

    header, row = kubectl("get", "rt").splitlines()

    assert header.split() == ["NAME", "REGISTRIES", "READY", "REASON", "NODES", "EXPIRES", "AGE"]
    assert row.split()[:-1] == [
        "kept", "harbor.example:5000,", "b.example", "True", "Ready", "3/3", "2031-03-01T00:00:00Z"
    ]  # fmt: skip
    assert kubectl("get", "rt", "-o", "wide").splitlines()[0].split()[-1:] == ["MESSAGE"]


def test_a_node_report_is_written_with_its_status_in_one_apply(kubectl: Kubectl):
    report = encode_report(FULL_REPORT)
    kubectl.apply(
        {
            "apiVersion": "registrytrust.io/v1alpha1",
            "kind": NODE_TRUST.kind,
            "metadata": {"name": "n1"},
            "status": report,
        }
    )

    assert kubectl.get("nt", "n1")["status"] == report
    assert kubectl("get", "nt").splitlines()[0].split() == [
        "NAME", "RUNTIME", "TARGETS", "REGISTRIES", "READY", "STATE", "SERIAL", "AGE"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("rt", "makes the container runtimes of the selected nodes trust private registries"),
        ("rt.spec", "-required-"),
        ("rt.spec.nodeSelector", "This is placement, not secrecy: every node agent can read the whole bundle"),
        ("rt.spec.clientCertificates.secretRef", "Default tls.crt; Docker's page calls it client.cert"),
        ("rt.status.conditions", "Accepted: the spec and its sources can be used"),
        ("nt.status.targets", "NotRead: the runtime's configuration leaves it out"),
    ],
)
def test_explain_reads_like_documentation(kubectl: Kubectl, field: str, words: str):
    assert words in " ".join(kubectl("explain", field).split())
