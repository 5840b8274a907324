"""etcd restored from a backup: nodes have seen a later bundle than there is, and status believes none of them."""

from __future__ import annotations

import json
from typing import Any

from tools.authority import Authority
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, NAMESPACE, Installation

OLD, NEW = Authority.create("the old CA"), Authority.create("the new CA")
SOURCE = [{"secretKeyRef": {"name": "ca", "key": "ca.crt"}}]


def bundle(installation: Installation) -> dict[str, Any]:
    return installation.plane.kubectl.get("secret", BUNDLE, "-n", NAMESPACE)


def test_after_a_restoration_nodes_have_what_was_restored_and_ready_waits_for_it(installation: Installation) -> None:
    installation.secret("ca", {"ca.crt": OLD.pem})
    installation.trust("restored", registries=["restored.example"], caCertificates=SOURCE, caRetention="0s")
    installation.add_node("survivor")
    agent = installation.start_agent("survivor")
    installation.wait_for("restored", "Ready")
    backup, revision = bundle(installation)["data"], installation.status("restored")["revision"]
    installation.secret("ca", {"ca.crt": NEW.pem})
    wait_until(lambda: installation.status("restored")["revision"] != revision, "the operator saw it")
    installation.wait_for("restored", "Ready")
    lost = installation.plane.kubectl.get("nodetrust", "survivor")["status"]["bundle"]["serial"]
    file = agent.root() / "restored.example" / "ca.crt"
    assert file.read_bytes() == NEW.pem

    assert installation.operator is not None
    installation.operator.stop()
    restored = json.dumps([{"op": "replace", "path": "/data", "value": backup}])
    installation.plane.kubectl("patch", "secret", BUNDLE, "-n", NAMESPACE, "--type=json", "-p", restored)
    installation.secret("ca", {"ca.crt": OLD.pem})
    installation.start_operator()

    wait_until(
        lambda: (s := installation.status("restored")).get("revision") == revision and s["conditions"],
        "the operator compiled what was restored",
        within=60,
    )
    installation.plane.kubectl("wait", "--for=condition=Ready", "rt/restored", "--timeout=60s", timeout=70)
    assert file.read_bytes() == OLD.pem, "Ready before the node had it"
    reported = installation.plane.kubectl.get("nodetrust", "survivor")["status"]
    assert reported["bundle"]["serial"] > lost
    assert not reported.get("notices"), "it was taken as newer, and not after ten minutes of refusing it"
