"""Kinds that are served late, in another version, or no longer: one operator follows all of it."""

from __future__ import annotations

import json
from functools import partial

import yaml

from tools.authority import Authority
from tools.cluster.control_plane import ControlPlane
from tools.cluster.waiting import wait_until
from tools.installation import EVERYBODY_READS_BUNDLES, MANIFEST, NEEDS_NODES, Installation, cluster_trust_bundle

OLD, NEW, NEWEST = (Authority.create(name) for name in ("old", "new", "newest"))
NO_BUNDLES = "--runtime-config=certificates.k8s.io/v1/clustertrustbundles=false"
BETA = f"{NO_BUNDLES},certificates.k8s.io/v1beta1/clustertrustbundles=true"
NEVER_SAID = ("Unresolved", "watches ended", "pass not finished")


def serve(plane: ControlPlane, *options: str) -> None:
    """Start the API server again, as an upgrade does."""
    plane.stop_apiserver()
    plane.apiserver_options = options
    plane.start_apiserver()


def test_one_operator_follows_kinds_that_are_served_late_in_a_beta_or_no_longer(plane: ControlPlane) -> None:
    serve(plane, NO_BUNDLES)
    installation = Installation(plane)
    documents = [d for d in yaml.safe_load_all(MANIFEST.read_text()) if d and d["kind"] not in NEEDS_NODES]
    plane.kubectl.apply(*(d for d in documents if d["kind"] != "CustomResourceDefinition"))
    # An API server that starts again can take longer than a leader lives without its Lease.
    operator = installation.start_operator("--no-leader-election")
    source = [{"clusterTrustBundle": {"name": "corp-roots"}}]

    def serving(name: str) -> bool:
        certificates = installation.status("bundled").get("certificates", [])
        return [each["subject"] for each in certificates] == [f"CN={name}"]

    def may_not_read() -> bool:
        said = installation.condition("bundled", "Accepted").get("message", "")
        return "the operator is not allowed to list ClusterTrustBundles" in said

    try:
        # The operator's own kinds come after it.
        wait_until(lambda: "CustomResourceDefinition" in installation.readiness(), "it says what is missing", within=30)
        installation.install()
        wait_until(lambda: installation.readiness().strip() == "ok", "it is ready", within=60)
        installation.trust("inline", registries=["inline.example"], caCertificates=[{"inline": OLD.pem.decode()}])
        installation.wait_for("inline", "Accepted")

        # ClusterTrustBundles are not served.
        since = len(operator.log.read_text())
        installation.trust("bundled", registries=["bundled.example"], caCertificates=source, caRetention="0s")
        assert installation.wait_for("bundled", "Accepted", "False")["reason"] == "ClusterTrustBundlesUnavailable"
        installation.trust("after", registries=["after.example"], caCertificates=[{"inline": OLD.pem.decode()}])
        installation.wait_for("after", "Accepted")
        said = operator.log.read_text()[since:]
        assert not [words for words in NEVER_SAID if words in said], said

        # They are served in a beta version, then in v1, and are watched there.
        for version, name, authority, options in (("v1beta1", "old", OLD, (BETA,)), ("v1", "new", NEW, ())):
            serve(plane, *options)
            plane.kubectl.apply(cluster_trust_bundle("corp-roots", authority.pem, version=version))
            wait_until(partial(serving, name), f"the {name} CA comes by {version}", within=90)
            installation.wait_for("bundled", "Accepted")
        plane.kubectl.apply(cluster_trust_bundle("corp-roots", NEWEST.pem))
        wait_until(partial(serving, "newest"), "a change is seen by the watch", within=20)

        # They are served no longer: what was trusted stays.
        serve(plane, NO_BUNDLES)
        refused = installation.wait_for("bundled", "Accepted", "False", within=90)
        assert refused["reason"] == "ClusterTrustBundlesUnavailable"
        assert "still serving revision" in refused["message"]
        assert serving("newest")

        # They are served, and the operator may not read them: nothing else waits for that.
        patch = {"metadata": {"annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}, "subjects": []}
        plane.kubectl("patch", "clusterrolebinding", EVERYBODY_READS_BUNDLES, "--type=merge", "-p", json.dumps(patch))
        roles = [d for d in documents if d["kind"] == "ClusterRole"]
        for rules in (role["rules"] for role in roles):
            rules[:] = [rule for rule in rules if rule["resources"] != ["clustertrustbundles"]]
        plane.kubectl.apply(*roles)
        serve(plane)
        wait_until(may_not_read, "it says that it may not read them", within=90)
        installation.trust("last", registries=["last.example"], caCertificates=[{"inline": OLD.pem.decode()}])
        installation.wait_for("last", "Accepted")
        assert serving("newest")
        operator.check()
    finally:
        installation.stop()
