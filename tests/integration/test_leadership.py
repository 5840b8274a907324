"""Leadership: one writer at a time, and a standby that takes over when the leader is gone."""

from __future__ import annotations

import pytest

from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.clock import Clock
from registry_trust.controller.connection import Connector
from registry_trust.controller.leadership import Leadership
from tests.integration.fixed_answers import answering
from tools.authority import Authority
from tools.cluster.waiting import wait_until
from tools.installation import NAMESPACE, Installation
from tools.trials.leaders import Interruption, duels


def holder(installation: Installation) -> str:
    lease = installation.plane.kubectl.get("lease", "registry-trust-operator", "-n", NAMESPACE)
    return str((lease.get("spec") or {}).get("holderIdentity", ""))


@pytest.fixture
def led(installation: Installation) -> Installation:
    """Give an installation whose operator runs, whatever became of the last one, and leads."""
    if installation.operator is None or installation.operator.child.poll() is not None:
        installation.start_operator()
    wait_until(lambda: holder(installation), "somebody leads", within=40)
    return installation


def test_a_standby_takes_over_when_the_leader_is_killed_and_goes_on_from_its_bundle(led: Installation) -> None:
    led.secret("ca", {"ca.crt": Authority.create("CA").pem})
    led.trust("led", registries=["led.example"], caCertificates=[{"secretKeyRef": {"name": "ca", "key": "ca.crt"}}])
    led.wait_for("led", "Accepted")
    leader, first = led.operator, holder(led)
    assert leader is not None
    led.start_operator()

    leader.kill()

    wait_until(lambda: holder(led) not in ("", first), "the standby holds the Lease", within=40)
    led.secret("ca", {"ca.crt": b"junk"})
    refused = led.wait_for("led", "Accepted", "False")
    assert "still serving revision" in refused["message"]


def test_a_leader_that_is_asked_to_end_gives_the_lease_back(led: Installation) -> None:
    assert led.operator is not None
    led.operator.stop()

    assert holder(led) == ""


def test_no_write_of_a_leader_that_was_cut_off_or_stopped_comes_after_the_next_leaders_first(plane):
    interruptions = {f"{each.name.lower()}-{number}": each for each in Interruption for number in range(2)}

    assert duels(plane, interruptions) == []


@pytest.mark.parametrize(
    "answer",
    [b"<html>maintenance</html>", b'{"kind": "Lease", "meta', b"[1]", b"null", b"{}", b"\xff\xfe", b"[" * 100_000],
    ids=["html", "cut off", "list", "null", "empty", "not UTF-8", "deep"],
)
def test_an_answer_that_is_not_an_object_is_a_failed_request(tmp_path, answer):
    with answering(tmp_path, answer) as kubeconfig:
        server = ApiServer(Connector(str(kubeconfig)), longest=5)
        leadership = Leadership(server, "n", "lease", "me", Clock())
        with pytest.raises(ApiFailure):
            leadership._take()


def test_a_server_that_dribbles_does_not_hold_a_call_beyond_its_deadline(tmp_path):
    with answering(tmp_path, b"", dribble=True) as kubeconfig, pytest.raises(ApiFailure, match="Timeout"):
        ApiServer(Connector(str(kubeconfig)), longest=1).get("/api/v1/nodes/x")


def test_an_operator_creates_its_lease_also_when_somebody_deletes_it(led: Installation) -> None:
    leading = holder(led)

    led.plane.kubectl("delete", "lease", "registry-trust-operator", "-n", NAMESPACE)

    created = ("wait", "--for=create", "lease/registry-trust-operator", "-n", NAMESPACE, "--timeout=30s")
    led.plane.kubectl(*created, timeout=40)
    assert holder(led) == leading
    assert led.operator is not None
    led.operator.check()


def test_an_operator_that_may_not_have_its_lease_is_not_ready_and_says_once_what_to_do(led: Installation):
    assert led.operator is not None
    led.operator.stop()
    role = ("role", "registry-trust-operator", "-n", NAMESPACE)
    kept = led.plane.kubectl.get(*role)
    led.plane.kubectl("delete", *role)
    process = led.start_operator()

    wait_until(lambda: "Role" in led.readiness(), "the page names what is missing", within=40)
    before = process.log.read_text().count("cannot lead")
    kept["metadata"] = {"name": kept["metadata"]["name"], "namespace": NAMESPACE}
    led.plane.kubectl.apply(kept)
    wait_until(lambda: holder(led), "it leads when its Role is back", within=40, meanwhile=process.check)
    assert before == process.log.read_text().count("cannot lead") == 1
