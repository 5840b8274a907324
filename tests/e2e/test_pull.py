"""The main job: pulls that failed work once a RegistryTrust is applied, by every way that a runtime reads its files."""

from __future__ import annotations

from tests.e2e.three_nodes import ELSEWHERE, LITERAL, SINGLE, STOCK, ThreeNodes
from tools.authority import Authority
from tools.cluster.waiting import wait_until
from tools.installation import cluster_trust_bundle

UNKNOWN_CA = "x509: certificate signed by unknown authority"


def test_without_a_trust_every_pull_fails_in_the_runtimes_own_words(clean: ThreeNodes) -> None:
    image = clean.image()

    assert UNKNOWN_CA in clean.pull(SINGLE, image)
    assert UNKNOWN_CA in clean.pull(STOCK, image)
    assert UNKNOWN_CA in clean.pull(ELSEWHERE, image)
    assert UNKNOWN_CA in clean.node(ELSEWHERE).docker_pull(image)


def test_a_trust_makes_kubelets_and_dockerd_pull_and_says_which_runtime_does_not_read(clean: ThreeNodes) -> None:
    clean.sources()
    clean.trust()
    failing = clean.wait_for("harbor", "Ready", "False", reason="NodesFailing")

    image = clean.image()
    assert clean.pull(SINGLE, image) == "", clean.situation()
    assert clean.pull(STOCK, image) == "", clean.situation()
    assert clean.node(ELSEWHERE).docker_pull(image) == ""
    # containerd of the third node reads a folder that nobody mounts: it says so, with the lines to add.
    assert UNKNOWN_CA in clean.pull(ELSEWHERE, image)
    assert "RootNotRead" in failing["message"]
    assert ELSEWHERE in failing["message"]
    targets = {target["path"]: target for target in clean.report(ELSEWHERE)["targets"]}
    not_read = next(target for target in targets.values() if target["state"] == "NotRead")
    assert "config_path" in not_read["message"]
    assert "restart" in not_read["message"]
    assert targets["/etc/docker/certs.d"]["state"] == "Read"
    assert LITERAL in {target["path"] for target in clean.report(STOCK)["targets"] if target["state"] == "Read"}


def test_status_says_whether_a_pull_would_work_before_any_is_tried(clean: ThreeNodes) -> None:
    clean.sources()
    clean.trust()
    clean.wait_for("harbor", "Verified")
    assert clean.pull(SINGLE) == "", clean.situation()

    stranger = Authority.create("a CA that the registry does not know")
    clean.pair_secret("harbor-client", stranger.client("node"))
    refused = clean.wait_for("harbor", "Verified", "False", reason="VerificationFailed")
    assert "ClientCertificateRefused" in refused["message"]
    assert "tls" in clean.pull(SINGLE)


def test_a_ca_from_the_cluster_trust_bundles_of_a_signer_makes_a_kubelet_pull(clean: ThreeNodes) -> None:
    signer, name = "corp.example/registries", "corp.example:registries:harbor"
    clean.sources()
    clean.kubectl.apply(cluster_trust_bundle(name, clean.registry.authority.pem, signer))
    clean.trust(caCertificates=[{"clusterTrustBundle": {"signerName": signer, "labelSelector": {}}}])
    clean.wait_for("harbor", "Ready", "False", reason="NodesFailing")  # the third node, as ever

    assert clean.pull(SINGLE) == "", clean.situation()
    clean.kubectl("delete", "clustertrustbundle", name)


def test_a_runtime_that_is_cured_becomes_ready_and_pulls(clean: ThreeNodes) -> None:
    clean.sources()
    clean.trust()
    clean.wait_for("harbor", "Ready", "False", reason="NodesFailing")

    clean.node(ELSEWHERE).restart_containerd(config_path="/etc/containerd/certs.d")
    try:
        clean.wait_for("harbor", "Ready", within=90)
        assert clean.pull(ELSEWHERE) == ""
        assert "current" in str(clean.kubectl.get("registrytrust", "harbor")["status"]["nodes"])
    finally:
        clean.node(ELSEWHERE).restart_containerd(config_path="/etc/elsewhere/certs.d")
    wait_until(lambda: clean.report(ELSEWHERE).get("state") == "Failing", "the third node fails again", within=90)


def test_keys_on_a_node_are_root_s_alone(clean: ThreeNodes) -> None:
    clean.sources()
    clean.trust()
    clean.wait_for("harbor", "Accepted")
    wait_until(clean.entries, "there are entries", within=30)

    for entry in clean.entries():
        generation = entry.parent / entry.readlink()
        assert generation.stat().st_mode & 0o777 == 0o700
        assert generation.parent.stat().st_mode & 0o777 == 0o700
        for file in generation.iterdir():
            assert file.stat().st_mode & 0o777 == 0o600, file
            assert file.stat().st_uid == 0
