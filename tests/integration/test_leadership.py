"""Leadership: one writer at a time, and a standby that takes over when the leader is gone."""

from __future__ import annotations

from tests.cluster.pki import Authority
from tests.cluster.waiting import wait_until
from tests.installation import NAMESPACE, Installation


def holder(installation: Installation) -> str:
    lease = installation.plane.kubectl.get("lease", "registry-trust-operator", "-n", NAMESPACE)
    return str((lease.get("spec") or {}).get("holderIdentity", ""))


def test_a_standby_takes_over_when_the_leader_is_killed_and_goes_on_from_its_bundle(installation: Installation) -> None:
    installation.secret("ca", {"ca.crt": Authority.create("CA").pem})
    installation.trust(
        "led", registries=["led.example"], caCertificates=[{"secretKeyRef": {"name": "ca", "key": "ca.crt"}}]
    )
    installation.wait_for("led", "Accepted")
    leader, first = installation.operator, holder(installation)
    assert leader is not None
    installation.start_operator()

    leader.kill()

    wait_until(lambda: holder(installation) not in ("", first), "the standby holds the Lease", within=40)
    installation.secret("ca", {"ca.crt": b"junk"})
    refused = installation.wait_for("led", "Accepted", "False")
    assert "still serving revision" in refused["message"]


def test_a_leader_that_is_asked_to_end_gives_the_lease_back(installation: Installation) -> None:
    assert installation.operator is not None
    wait_until(lambda: holder(installation), "somebody leads", within=40)

    installation.operator.stop()

    assert holder(installation) == ""
