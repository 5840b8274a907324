"""The operator against a real API server, with the rights that deploy/ gives it and no others."""

from __future__ import annotations

import base64
import urllib.request
from typing import Any

import pytest

from registry_trust.core.bundle import Bundle, TrustState, reference_of
from registry_trust.core.bundle_format import decode
from tools.authority import Authority
from tools.cluster import canaries
from tools.cluster.kubectl import KubectlError
from tools.cluster.waiting import wait_until
from tools.installation import (
    BUNDLE,
    NAMESPACE,
    TRUST_NAMESPACE,
    Installation,
    cluster_trust_bundle,
    config_map,
    eventually,
)

REGISTRY = Authority.create("registry CA")
NODES = Authority.create("client CA")


@pytest.fixture(autouse=True)
def _clean(installation: Installation) -> Any:
    """Leave no trust behind, and confirm the removals, so that tests do not wait for each other's graces."""
    yield
    kubectl = installation.plane.kubectl
    kubectl("delete", "registrytrusts", "--all", "--wait=true")

    def empty() -> bool:
        kubectl(
            "annotate", "secret", BUNDLE, "-n", NAMESPACE, "--overwrite", f"registrytrust.io/confirm-removal={10**9}"
        )
        return not bundle(installation).trusts

    wait_until(empty, "every removal was carried out", within=30)
    kubectl("annotate", "secret", BUNDLE, "-n", NAMESPACE, "registrytrust.io/confirm-removal-")


def bundle(installation: Installation) -> Bundle:
    """Return the bundle as the Secret holds it; an empty one before the first was written."""
    data = installation.plane.kubectl.get("secret", BUNDLE, "-n", NAMESPACE).get("data")
    return decode({key: base64.b64decode(value) for key, value in data.items()}) if data else Bundle()


def ca(name: str = "registry-ca") -> list[dict[str, Any]]:
    return [{"secretKeyRef": {"name": name, "key": "ca.crt"}}]


def served(installation: Installation, name: str, within: float = 20) -> Any:
    """Wait until a trust is served, and return it from the bundle."""

    def found() -> Any:
        trust = bundle(installation).trust(name)
        return trust if trust is not None and trust.state is TrustState.ACTIVE else None

    return wait_until(found, f"{name} is served", within=within)


def test_a_trust_from_secret_config_map_and_inline_is_served(installation: Installation) -> None:
    other, third = Authority.create("second CA"), Authority.create("third CA")
    pair = NODES.client("node")
    installation.secret("registry-ca", {"ca.crt": REGISTRY.pem})
    installation.plane.kubectl.apply(config_map("roots", {"bundle.crt": other.pem}))
    installation.secret("pair", {"tls.crt": pair.certificate, "tls.key": pair.key}, "kubernetes.io/tls")

    installation.trust(
        "three-sources",
        registries=["harbor.example:5000"],
        caCertificates=[
            *ca(),
            {"configMapKeyRef": {"name": "roots", "key": "bundle.crt"}},
            {"inline": third.pem.decode()},
        ],
        clientCertificates=[{"name": "node", "secretRef": {"name": "pair"}}],
    )

    accepted = installation.wait_for("three-sources", "Accepted")
    assert accepted["reason"] == "Valid", accepted
    content = served(installation, "three-sources").content
    assert len(content.ca_certificates) == 3
    assert [client.name for client in content.client_certificates] == ["node"]


def test_cluster_trust_bundles_are_followed_by_name_and_by_signer_and_labels(installation: Installation) -> None:
    kubectl, signer = installation.plane.kubectl, "corp.example/registries"
    first, second, third = (Authority.create(f"bundled {number}") for number in range(3))
    kubectl.apply(
        cluster_trust_bundle("corp-roots", first.pem),
        cluster_trust_bundle("corp.example:registries:a", first.pem + second.pem, signer, labels={"stage": "live"}),
        cluster_trust_bundle("corp.example:registries:b", third.pem, signer, labels={"stage": "test"}),
    )
    live = {"signerName": signer, "labelSelector": {"matchLabels": {"stage": "live"}}}

    def has(*authorities: Authority) -> None:
        wanted = sorted(reference_of(each.pem) for each in authorities)
        eventually(lambda: list(served(installation, "bundled").content.ca_certificates) == wanted, "it is so")

    def trust(*sources: Any) -> None:
        installation.trust(
            "bundled",
            registries=["bundled.example"],
            caRetention="0s",
            caCertificates=[{"clusterTrustBundle": source} for source in sources],
        )

    trust({"name": "corp-roots"})
    assert installation.wait_for("bundled", "Accepted")["reason"] == "Valid"
    has(first)
    trust({"name": "corp-roots"}, live)
    has(first, second)
    kubectl("label", "clustertrustbundle", "corp.example:registries:b", "stage=live", "--overwrite")
    has(first, second, third)
    kubectl.apply(cluster_trust_bundle("corp-roots", second.pem))
    kubectl("delete", "clustertrustbundle", "corp.example:registries:a")
    has(second, third)

    kubectl("delete", "clustertrustbundle", "corp.example:registries:b")
    refused = installation.wait_for("bundled", "Accepted", "False")
    assert refused["reason"] == "ClusterTrustBundleNotFound"
    assert "still serving revision" in refused["message"]
    has(second, third)
    kubectl("delete", "clustertrustbundle", "corp-roots")


def test_a_secret_that_turns_bad_is_refused_and_the_last_good_content_stays(installation: Installation) -> None:
    installation.secret("registry-ca", {"ca.crt": REGISTRY.pem})
    installation.trust("turning", registries=["turning.example"], caCertificates=ca())
    before = served(installation, "turning")

    installation.secret(
        "registry-ca", {"ca.crt": b"-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n"}
    )

    refused = installation.wait_for("turning", "Accepted", "False")
    assert refused["reason"] == "InvalidPEM"
    assert "Secret registry-certificates/registry-ca key ca.crt" in refused["message"]
    assert "still serving revision" in refused["message"]
    assert served(installation, "turning") == before
    assert installation.condition("turning", "Stalled")["status"] == "True"

    installation.secret("registry-ca", {"ca.crt": REGISTRY.pem})
    installation.wait_for("turning", "Accepted")


def test_a_rename_has_no_moment_without_the_content(installation: Installation) -> None:
    installation.secret("registry-ca", {"ca.crt": REGISTRY.pem})
    installation.trust("before", registries=["renamed.example"], caCertificates=ca())
    content = served(installation, "before").content

    installation.trust("after", registries=["renamed.example"], caCertificates=ca())
    served(installation, "after")
    installation.plane.kubectl("delete", "registrytrust", "before")

    wait_until(lambda: bundle(installation).trust("before") is None, "the old name is forgotten at once", within=10)
    assert served(installation, "after").content == content


def test_a_trust_that_is_deleted_is_served_for_its_grace(installation: Installation) -> None:
    installation.secret("registry-ca", {"ca.crt": REGISTRY.pem})
    installation.trust("going", registries=["going.example"], caCertificates=ca())
    served(installation, "going")

    installation.plane.kubectl("delete", "registrytrust", "going")

    gone = wait_until(
        lambda: (t := bundle(installation).trust("going")) and t.state is TrustState.REMOVED and t,
        "the trust is marked as removed",
        within=10,
    )
    assert gone.content is not None


def test_most_trusts_gone_at_once_are_held_until_an_admin_confirms(installation: Installation) -> None:
    installation.secret("registry-ca", {"ca.crt": REGISTRY.pem})
    for number in range(3):
        installation.trust(f"mass-{number}", registries=[f"mass-{number}.example"], caCertificates=ca())
        served(installation, f"mass-{number}")

    installation.plane.kubectl("delete", "registrytrusts", "--all")

    def all_held() -> bool:
        text = urllib.request.urlopen(f"http://127.0.0.1:{installation.operator_port}/metrics", timeout=5).read()
        return b"registry_trust_removals_held 3.0" in text

    wait_until(all_held, "the guard holds three removals", within=15)
    assert len(bundle(installation).trusts) == 3


def test_a_bundle_that_was_emptied_by_hand_is_written_again_with_no_lower_serial(installation: Installation) -> None:
    installation.secret("registry-ca", {"ca.crt": REGISTRY.pem})
    installation.trust("stays", registries=["stays.example"], caCertificates=ca())
    served(installation, "stays")
    before = bundle(installation)

    installation.plane.kubectl(
        "patch", "secret", BUNDLE, "-n", NAMESPACE, "--type=json", "-p", '[{"op":"remove","path":"/data"}]'
    )

    after = wait_until(
        lambda: (b := _bundle_or_none(installation)) and b.serial >= before.serial and b,
        "it is written again",
        within=20,
    )
    assert after.trusts == before.trusts


def _bundle_or_none(installation: Installation) -> Bundle | None:
    secret = installation.plane.kubectl.get("secret", BUNDLE, "-n", NAMESPACE)
    return bundle(installation) if secret.get("data") else None


def test_a_bundle_that_was_deleted_is_filled_again_once_somebody_creates_it(installation: Installation) -> None:
    installation.secret("registry-ca", {"ca.crt": REGISTRY.pem})
    installation.trust("again", registries=["again.example"], caCertificates=ca())
    served(installation, "again")
    secret = installation.plane.kubectl.get("secret", BUNDLE, "-n", NAMESPACE)

    installation.plane.kubectl("delete", "secret", BUNDLE, "-n", NAMESPACE)
    kept = {key: secret["metadata"].get(key, {}) for key in ("name", "namespace", "labels", "annotations")}
    installation.plane.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": kept, "type": secret["type"]})

    wait_until(lambda: _bundle_or_none(installation), "the new Secret is filled", within=20)
    assert bundle(installation).trust("again") is not None


def test_no_object_gets_an_annotation_or_a_finalizer(installation: Installation) -> None:
    installation.secret("registry-ca", {"ca.crt": REGISTRY.pem})
    installation.trust("clean", registries=["clean.example"], caCertificates=ca())
    served(installation, "clean")
    kubectl = installation.plane.kubectl

    for body in (
        kubectl.get("secret", "registry-ca", "-n", TRUST_NAMESPACE),
        kubectl.get("registrytrust", "clean"),
    ):
        assert not body["metadata"].get("finalizers"), body["metadata"]
        assert not body["metadata"].get("annotations"), body["metadata"]


def test_a_private_key_is_found_nowhere_but_in_its_secret_and_the_bundle(installation: Installation) -> None:
    canary = NODES.client("canary")
    installation.secret("canary", {"tls.crt": canary.certificate, "tls.key": canary.key})
    installation.trust("canary", registries=["canary.example"], clientCertificates=[{"secretRef": {"name": "canary"}}])
    served(installation, "canary")
    # And once as somebody's mistake: the key of another certificate, and a key where a CA should be.
    installation.secret("canary", {"tls.crt": NODES.client("other").certificate, "tls.key": canary.key})
    installation.secret("registry-ca", {"ca.crt": canary.key})
    installation.trust("canary-ca", registries=["canary.example"], caCertificates=ca())
    assert installation.wait_for("canary", "Accepted", "False")["reason"] == "KeyMismatch"
    assert installation.wait_for("canary-ca", "Accepted", "False")["reason"] == "PrivateKeyInCA"

    assert installation.operator is not None
    canaries.require_none({**installation.shown(), "log": installation.operator.log.read_bytes()})


def test_the_operator_may_read_no_secret_outside_the_trust_namespace(installation: Installation) -> None:
    user = f"--as=system:serviceaccount:{NAMESPACE}:registry-trust-operator"

    def may(*question: str) -> bool:
        try:
            return installation.plane.kubectl("auth", "can-i", user, *question).strip() == "yes"
        except KubectlError:
            return False  # can-i says no with its exit code too

    assert may("list", "secrets", "-n", TRUST_NAMESPACE)
    assert not may("list", "secrets", "-n", "kube-system")
    assert not may("get", "secrets", "-A")
    assert not may("list", "secrets", "-n", NAMESPACE)
    assert not may("create", "secrets", "-n", TRUST_NAMESPACE)
    assert not may("patch", "registrytrusts")


def test_deleting_the_crd_removes_nothing_from_the_bundle(installation: Installation) -> None:
    installation.secret("registry-ca", {"ca.crt": REGISTRY.pem})
    installation.trust("orphan", registries=["orphan.example"], caCertificates=ca())
    served(installation, "orphan")
    crd = installation.plane.kubectl.get("crd", "registrytrusts.registrytrust.io")

    installation.plane.kubectl("delete", "crd", "registrytrusts.registrytrust.io", "--wait=true")
    installation.plane.kubectl.apply(_clean_crd(crd))
    installation.plane.kubectl.wait_for_kinds("registrytrusts.registrytrust.io")
    installation.trust("orphan", registries=["orphan.example"], caCertificates=ca())

    installation.wait_for("orphan", "Accepted", within=60)
    assert served(installation, "orphan").content is not None
    assert installation.operator is not None
    installation.operator.check()


def _clean_crd(crd: dict[str, Any]) -> dict[str, Any]:
    kept = {"apiVersion": crd["apiVersion"], "kind": crd["kind"], "spec": crd["spec"]}
    return {**kept, "metadata": {"name": crd["metadata"]["name"]}}
