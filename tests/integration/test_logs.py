"""Logs: one line for each transition, with what it is about; none where nothing changes."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest

from tools.authority import Authority
from tools.cluster.waiting import wait_until
from tools.installation import DAEMON_SET, NAMESPACE, Agent, Installation

SOURCE = [{"inline": Authority.create("a CA").pem.decode()}]


def polls(installation: Installation) -> int:
    """Return how often the operator has looked at the DaemonSet: every five seconds."""
    with urllib.request.urlopen(f"http://127.0.0.1:{installation.operator_port}/metrics", timeout=5) as answer:
        page = answer.read().decode()
    found = re.search(r'^registry_trust_api_requests_total{.*resource="daemonsets",.*} ([\d.]+)$', page, re.MULTILINE)
    return int(float(found[1])) if found else 0


@pytest.fixture(scope="module")
def agent(installation: Installation) -> Agent:
    """One node with an agent, and the trust `told` that it has."""
    installation.add_node("quiet")
    agent = installation.start_agent("quiet", ("docker",), "--log-format=json", "--drift-interval=0.2")
    wait_until(lambda: installation.readiness() == "ok\n", "the operator is ready", within=40)
    seen = polls(installation) + 2
    wait_until(lambda: polls(installation) >= seen, "the operator knows of the agent", within=40)
    installation.trust("told", registries=["told.example"], caCertificates=SOURCE)
    installation.wait_for("told", "Ready")
    return agent


def transitions(installation: Installation) -> list[str]:
    """Return what the operator's log has said of the trust's distribution."""
    assert installation.operator is not None
    return re.findall(r" (\w*Distributed) trust=told", installation.operator.log.read_text())


def test_each_transition_is_one_line_with_what_it_is_about_and_then_there_is_silence(
    installation: Installation, agent: Agent
) -> None:
    assert installation.operator is not None
    logs = (installation.operator.log, agent.process.log)

    serial = installation.plane.kubectl.get("nodetrust", "quiet")["status"]["bundle"]["serial"]
    lines = [json.loads(line) for line in agent.process.log.read_text().splitlines() if line.startswith("{")]
    (wrote,) = [line for line in lines if line["message"].startswith("wrote ")]
    about = {key: wrote[key] for key in ("node", "registry", "trust", "serial")}
    assert about == {"node": "quiet", "registry": "told.example", "trust": "told", "serial": serial}
    accepted = rf'info +Accepted trust=told serial={serial} note="every certificate and key is usable"'
    assert re.search(accepted, installation.operator.log.read_text())

    wait_until(lambda: transitions(installation)[-1:] == ["Distributed"], "the last line is written")
    assert transitions(installation)[0] == "Distributed"
    sizes = [log.stat().st_size for log in logs]
    done = polls(installation) + 2
    wait_until(lambda: polls(installation) >= done, "the operator looked twice more", within=30)
    assert [log.stat().st_size for log in logs] == sizes, "\n".join(
        log.read_text()[size:] for log, size in zip(logs, sizes, strict=True)
    )


def test_a_deleted_daemon_set_is_told_in_every_status_and_putting_it_back_heals_it(
    installation: Installation, agent: Agent
) -> None:
    kept = installation.plane.kubectl.get("daemonset", DAEMON_SET, "-n", NAMESPACE)

    installation.plane.kubectl("delete", "daemonset", DAEMON_SET, "-n", NAMESPACE)

    stalled = installation.wait_for("told", "Stalled")
    assert stalled["reason"] == "NoAgents"
    assert "there is no DaemonSet registry-trust-agent" in stalled["message"]
    kept["metadata"] = {key: kept["metadata"][key] for key in ("name", "namespace", "labels")}
    installation.plane.kubectl.apply(kept)
    installation.tell_of_agent("quiet")
    installation.wait_for("told", "Ready")
