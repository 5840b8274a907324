"""Status against a real API server: retention across an operator's restart, Events that kubectl shows, metrics."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
import urllib.request
from typing import Any

import pytest

from registry_trust.core.bundle import Bundle, reference_of
from registry_trust.core.bundle_format import decode
from tests.contract.alerting import dashboard_queries, evaluate, target
from tools.authority import Authority
from tools.cluster.binaries import binary
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, NAMESPACE, Installation

pytestmark = pytest.mark.tools("metrics-lint", "alerts", "helm")

OLD, NEW = Authority.create("the old CA"), Authority.create("the new CA")
CA = [{"secretKeyRef": {"name": "ca", "key": "ca.crt"}}]


def authorities(installation: Installation, name: str) -> set[str]:
    secret = installation.plane.kubectl.get("secret", BUNDLE, "-n", NAMESPACE)
    bundle: Bundle = decode({key: base64.b64decode(value) for key, value in secret.get("data", {}).items()})
    trust = bundle.trust(name)
    return set(trust.content.ca_certificates) if trust is not None and trust.content is not None else set()


def events(installation: Installation, name: str) -> dict[str, dict[str, Any]]:
    found = installation.plane.kubectl.get("events", "-n", "default")["items"]
    return {each["reason"]: each for each in found if each["involvedObject"]["name"] == name}


def wait_for_events(installation: Installation, name: str, *reasons: str) -> dict[str, dict[str, Any]]:
    def all_there() -> dict[str, dict[str, Any]] | None:
        found = events(installation, name)
        return found if found.keys() >= set(reasons) else None

    return wait_until(all_there, f"Events {reasons} of {name}", within=20)


def page(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        content: bytes = answer.read()
        return content


def state_of(node: str, installation: Installation) -> str:
    """Return what `kubectl get nt` shows under STATE."""
    header, *lines = installation.plane.kubectl("get", "nt", node).splitlines()
    place = header.index("STATE")
    return lines[0][place:].split()[0]


@pytest.mark.parametrize("duration", ["1d", "9000h", "-1h", ""])
def test_the_api_server_refuses_what_is_no_retention(installation: Installation, duration: str):
    with pytest.raises(AssertionError, match="caRetention"):
        installation.trust("refused", registries=["r.example"], caCertificates=CA, caRetention=duration)


def test_removals_that_are_held_are_told_with_how_to_confirm(installation: Installation):
    installation.secret("ca", {"ca.crt": OLD.pem})
    installation.add_node("holder")
    installation.start_agent("holder")
    names = [f"held-{number}" for number in range(6)]
    for name in names:
        installation.trust(name, registries=[f"{name}.example"], caCertificates=CA)
    for name in names:
        installation.wait_for(name, "Ready")
    assert state_of("holder", installation) == "Current"

    installation.plane.kubectl("delete", "registrytrusts", "--all")

    told = wait_for_events(installation, "held-3", "RemovalHeld")
    command = told["RemovalHeld"]["message"].partition("now: ")[2]
    assert command.startswith(f"kubectl annotate --overwrite -n {NAMESPACE} secret {BUNDLE} ")
    wait_until(lambda: state_of("holder", installation) == "RemovalHeld", "kubectl get nt shows the hold", within=20)
    rows = installation.plane.kubectl.get("nodetrust", "holder")["status"]["registries"]
    (row,) = [row for row in rows if row.get("trust") == "held-3"]
    assert (row["name"], row["state"], row["reason"]) == ("held-3.example", "Held", "RemovalHeld")

    installation.plane.kubectl(*row["message"].partition("now: ")[2].split()[1:])

    wait_until(lambda: not authorities(installation, "held-3"), "the command of the row confirms it", within=90)
    wait_until(lambda: state_of("holder", installation) == "Current", "the node says so", within=20)


def ready_of(node: str, installation: Installation) -> dict[str, Any]:
    conditions = installation.plane.kubectl.get("nodetrust", node)["status"]["conditions"]
    found: dict[str, Any] = next(each for each in conditions if each["type"] == "Ready")
    return found


def test_ready_of_a_node_can_be_waited_for_and_selected_and_keeps_its_time_across_a_restart(installation: Installation):
    kubectl = installation.plane.kubectl
    installation.secret("ca", {"ca.crt": OLD.pem})
    selector = {"matchLabels": {"kubernetes.io/hostname": "waited"}}
    installation.trust("waiting", registries=["waiting.example"], caCertificates=CA, nodeSelector=selector)
    installation.wait_for("waiting", "Accepted")
    installation.add_node("waited")
    agent = installation.start_agent("waited")

    kubectl("wait", "--for=create", "nt/waited", "--timeout=30s")
    kubectl("wait", "--for=condition=Ready", "nt/waited", "--timeout=30s")

    assert (agent.root() / "waiting.example" / "ca.crt").read_bytes() == OLD.pem
    before = ready_of("waited", installation)
    agent.process.stop()
    (agent.root() / "another.example").mkdir()
    (agent.root() / "another.example" / "ca.crt").write_bytes(NEW.pem)
    installation.start_agent("waited")
    installation.trust("another", registries=["another.example"], caCertificates=CA, nodeSelector=selector)
    kubectl("wait", "--for=condition=Stalled", "nt/waited", "--timeout=30s")
    failing = ready_of("waited", installation)
    assert (failing["status"], failing["reason"]) == ("False", "ForeignFile")
    assert kubectl("get", "nt", "--field-selector=status.state=Failing", "-o", "name").split() == [
        "nodetrust.registrytrust.io/waited"
    ]

    shutil.rmtree(agent.root() / "another.example")
    kubectl("wait", "--for=condition=Ready", "nt/waited", "--timeout=30s")
    turned = ready_of("waited", installation)
    installation.agents["waited"].process.stop()
    written = kubectl.get("nodetrust", "waited")["status"]["labelsHash"]
    kubectl("label", "node", "waited", "another=label")
    installation.start_agent("waited")
    wait_until(
        lambda: kubectl.get("nodetrust", "waited")["status"]["labelsHash"] != written,
        "the new process has reported",
        within=30,
    )
    assert turned["lastTransitionTime"] > before["lastTransitionTime"]
    assert ready_of("waited", installation) == turned


def test_the_metrics_of_operator_and_agent_satisfy_the_linter_of_prometheus(installation: Installation):
    installation.secret("ca", {"ca.crt": OLD.pem})
    selector = {"matchLabels": {"kubernetes.io/hostname": "metered"}}
    installation.trust("measured", registries=["measured.example"], caCertificates=CA, nodeSelector=selector)
    installation.add_node("metered")
    agent = installation.start_agent("metered")
    installation.wait_for("measured", "Ready")
    shown = wait_until(
        lambda: (
            (text := page(installation.operator_port))
            and b'registry_trust_nodes{state="current",trust="measured"} 1.0' in text
            and text
        ),
        "the operator's metrics show the node",
        within=20,
    )

    for metric in ("source_to_bundle_seconds_count", "source_to_nodes_seconds_count", "bundle_serial_lag"):
        assert f"registry_trust_{metric}".encode() in shown
    assert b'registry_trust_certificate_not_after_timestamp_seconds{kind="CA",sha256="' in shown
    for text in (shown, page(agent.port)):
        command = [str(binary("metrics-lint"))]
        done = subprocess.run(command, input=text, capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()


def test_alerts_and_dashboard_understand_the_metrics_of_the_real_processes(installation: Installation):
    missing = [{"secretKeyRef": {"name": "nobody-has-it", "key": "ca.crt"}}]
    installation.trust("refused", registries=["refused.example"], caCertificates=missing)
    installation.secret("ca", {"ca.crt": OLD.pem})
    installation.trust("alerted", registries=["alerted.example"], caCertificates=CA)
    installation.wait_for("refused", "Stalled")
    installation.add_node("watched")
    agent = installation.start_agent("watched")
    installation.wait_for("alerted", "Ready")

    def shown() -> str:
        text = page(installation.operator_port).decode()
        return text if 'registry_trust_certificates{state="Valid",trust="alerted"} 1.0' in text else ""

    operator = wait_until(shown, "the operator's page shows the trust", within=20)
    targets = [target("operator-0", operator), target("agent-0", page(agent.port).decode())]
    found = evaluate(targets, time.time() - 1200, 1200, dashboard_queries())

    assert "RegistryTrustRefused" in found.names
    assert "RegistryTrustOperatorNotLeading" not in found.names
    assert not [query for query, series in found.found.items() if not series]
    installation.plane.kubectl("delete", "rt", "refused")


def test_ready_speaks_of_files_that_are_on_disk_after_every_change_of_a_source(installation: Installation):
    source = [{"secretKeyRef": {"name": "turning", "key": "ca.crt"}}]
    installation.secret("turning", {"ca.crt": OLD.pem})
    installation.trust("turning", registries=["turning.example"], caCertificates=source, caRetention="0s")
    installation.add_node("turner")
    agent = installation.start_agent("turner")
    installation.wait_for("turning", "Ready")
    file = agent.root() / "turning.example" / "ca.crt"

    for number in range(5):
        before = installation.status("turning")["revision"]
        wanted = NEW.pem if number % 2 == 0 else OLD.pem
        installation.secret("turning", {"ca.crt": wanted})
        wait_until(
            lambda old=before: installation.status("turning")["revision"] != old,  # type: ignore[misc]  # a default
            "the operator saw the Secret",
            within=20,
        )
        installation.plane.kubectl("wait", "--for=condition=Ready", "rt/turning", "--timeout=20s")
        assert file.read_bytes() == wanted, f"Ready before the files were there, change {number}"

    accepted = installation.condition("turning", "Accepted")
    assert accepted["reason"] == "ValidWithWarnings"
    assert (
        "RootReplaced: spec.caCertificates[0]: Secret registry-certificates/turning key ca.crt" in accepted["message"]
    )
    wait_for_events(installation, "turning", "RootReplaced")


def test_drift_that_an_agent_repaired_is_told_once_of_its_node(installation: Installation):
    installation.secret("ca", {"ca.crt": OLD.pem})
    installation.trust("drifting", registries=["drifting.example"], caCertificates=CA)
    installation.add_node("drifter")
    agent = installation.start_agent("drifter")
    file = agent.root() / "drifting.example" / "ca.crt"
    wait_until(lambda: file.is_file() and file.read_bytes() == OLD.pem, "the files are there", within=20)

    file.unlink()

    wait_until(lambda: file.is_file() and file.read_bytes() == OLD.pem, "the agent repaired them", within=20)
    told = wait_for_events(installation, "drifter", "DriftRepaired")["DriftRepaired"]
    assert told["involvedObject"]["kind"] == "Node"
    assert told["message"].startswith("1 or more repairs")


def test_a_replaced_ca_stays_across_a_restart_until_its_retention_ends(installation: Installation):
    installation.secret("ca", {"ca.crt": OLD.pem})
    installation.trust("rotating", registries=["rotating.example"], caCertificates=CA)
    installation.wait_for("rotating", "Accepted")
    old, new = reference_of(OLD.pem), reference_of(NEW.pem)

    installation.secret("ca", {"ca.crt": NEW.pem})
    wait_until(lambda: authorities(installation, "rotating") == {old, new}, "both are trusted", within=20)
    told = wait_for_events(installation, "rotating", "Accepted", "CARetained", "TrustRootsChanged")
    assert "CN=the old CA" in told["CARetained"]["message"]
    rows = {row["subject"]: row for row in installation.status("rotating")["certificates"]}
    assert "retainedUntil" not in rows["CN=the new CA"]
    until = rows["CN=the old CA"]["retainedUntil"]

    assert installation.operator is not None
    installation.operator.stop()
    installation.start_operator()
    installation.trust("retained", registries=["retained.example"], caCertificates=CA)
    installation.wait_for("retained", "Accepted", within=60)
    assert authorities(installation, "rotating") == {old, new}
    rows = {row["subject"]: row for row in installation.status("rotating")["certificates"]}
    assert rows["CN=the old CA"]["retainedUntil"] == until

    installation.trust("rotating", registries=["rotating.example"], caCertificates=CA, caRetention="0s")
    wait_until(lambda: authorities(installation, "rotating") == {new}, "0s drops it now", within=20)
    wait_for_events(installation, "rotating", "CADropped")
