"""Bundle writes of a large fleet are paced; what status says of a changed source is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from registry_trust.controller import history
from registry_trust.controller.api_server import ApiServer
from registry_trust.controller.clock import Clock
from registry_trust.controller.cluster import ClusterMap
from registry_trust.controller.connection import Connector
from registry_trust.controller.reconcile import Reconciler
from registry_trust.controller.settings import OperatorSettings
from tools.authority import Authority
from tools.cluster.control_plane import ControlPlane
from tools.installation import BUNDLE, NAMESPACE, TRUST_NAMESPACE, Installation

OLD, NEW = Authority.create("the old CA"), Authority.create("the new CA")
SOURCE = [{"secretKeyRef": {"name": "ca", "key": "ca.crt"}}]


@pytest.fixture
def installed(plane: ControlPlane) -> Iterator[Installation]:
    """Install everything but the operator, whose passes the test makes itself."""
    made = Installation(plane)
    made.install()
    yield made
    made.stop()


def test_a_trust_is_not_ready_any_more_while_its_new_content_waits_to_be_written(
    installed: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BYTES_PER_SECOND", 1)  # as if the fleet were huge
    monkeypatch.setattr(history, "LONGEST_PAUSE", 600.0)  # longer than this test on any machine
    token = installed.plane.service_account_token(NAMESPACE, "registry-trust-operator")
    server = ApiServer(Connector(str(installed.plane.kubeconfig("operator", token))))
    operator = Reconciler(
        server, OperatorSettings(NAMESPACE, TRUST_NAMESPACE, "test"), ClusterMap(TRUST_NAMESPACE), Clock()
    )

    def look_and_compile() -> float | None:
        operator.relist()
        operator.poll()
        due = operator.compile()
        operator.write_statuses()
        return due

    installed.secret("ca", {"ca.crt": OLD.pem})
    installed.trust("paced", registries=["paced.example"], caCertificates=SOURCE, caRetention="0s")
    installed.add_node("patient")
    look_and_compile()
    agent = installed.start_agent("patient")
    installed.plane.kubectl("wait", "--for=create", "nodetrust/patient", "--timeout=20s")
    look_and_compile()
    revision = installed.status("paced")["revision"]
    assert installed.condition("paced", "Ready")["status"] == "True"
    version = installed.plane.kubectl.get("secret", BUNDLE, "-n", NAMESPACE)["metadata"]["resourceVersion"]

    installed.secret("ca", {"ca.crt": NEW.pem})
    due = look_and_compile()

    assert due is not None
    written = installed.plane.kubectl.get("secret", BUNDLE, "-n", NAMESPACE)["metadata"]["resourceVersion"]
    assert written == version, "the write did not wait, so that nothing is shown"
    assert installed.status("paced")["revision"] != revision
    assert installed.condition("paced", "Ready")["reason"] == "NodesPending"
    assert (agent.root() / "paced.example" / "ca.crt").read_bytes() == OLD.pem
