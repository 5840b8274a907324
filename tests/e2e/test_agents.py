"""Agents that run, that can't, and that are sent away: status names the nodes, and waits for none that is not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.three_nodes import ELSEWHERE, SINGLE, STOCK, ThreeNodes
from tests.page_commands import ROOT, own_blocks, run_block
from tools.cluster.waiting import wait_until
from tools.installation import NAMESPACE

AGENT = "daemonset/registry-trust-agent"
LABEL = "app.kubernetes.io/component=agent"
ON_DELETE = {"type": "OnDelete", "rollingUpdate": None}
BOTH = {"selected": 2, "current": 2}
READABLE = [SINGLE, STOCK]
"""The third node's runtime reads another folder: a trust for all of them would fail there."""
ON_READABLE = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": READABLE}]}


def counts(nodes: ThreeNodes) -> dict[str, int]:
    found: dict[str, int] = nodes.kubectl.get("registrytrust", "harbor")["status"]["nodes"]
    return {state: count for state, count in found.items() if count}


def reasons(nodes: ThreeNodes) -> list[str]:
    rows = nodes.kubectl.get("registrytrust", "harbor")["status"].get("failingNodes", [])
    return [f"{row['name']}: {row['reason']}" for row in rows]


@contextmanager
def patched(nodes: ThreeNodes, change: dict[str, Any]) -> Iterator[None]:
    """Change the DaemonSet for a while, as an admin would."""
    before = nodes.kubectl.get("-n", NAMESPACE, AGENT)["spec"]
    nodes.kubectl("-n", NAMESPACE, "patch", AGENT, "--type=strategic", "-p", json.dumps({"spec": change}))
    try:
        yield
    finally:
        back = [{"op": "replace", "path": "/spec", "value": before}]
        nodes.kubectl("-n", NAMESPACE, "patch", AGENT, "--type=json", "-p", json.dumps(back))
        nodes.kubectl("-n", NAMESPACE, "rollout", "status", AGENT, "--timeout=180s", timeout=190)


def agents(nodes: ThreeNodes, node: str) -> list[dict[str, Any]]:
    """Return the agent's pods on one node that are not being deleted."""
    found: list[dict[str, Any]] = nodes.kubectl.get("pods", "-n", NAMESPACE, "-l", LABEL)["items"]
    return [p for p in found if p["spec"].get("nodeName") == node and "deletionTimestamp" not in p["metadata"]]


def can_not_pull(nodes: ThreeNodes, node: str) -> bool:
    states = [s.get("state", {}) for p in agents(nodes, node) for s in p["status"].get("containerStatuses", ())]
    return any(state.get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff") for state in states)


def distribute(nodes: ThreeNodes) -> None:
    nodes.sources()
    nodes.trust(nodeSelector=ON_READABLE)
    nodes.wait_for("harbor", "Ready")
    wait_until(lambda: counts(nodes) == BOTH, "both nodes are current", within=60)


def test_a_node_whose_agent_cannot_pull_its_image_is_named_and_not_waited_for(clean: ThreeNodes) -> None:
    distribute(clean)
    nowhere = {"containers": [{"name": "agent", "image": "nowhere.invalid/registry-trust:1"}]}
    with patched(clean, {"updateStrategy": ON_DELETE, "template": {"spec": nowhere}}):
        (pod,) = agents(clean, STOCK)
        clean.kubectl("-n", NAMESPACE, "delete", "pod", pod["metadata"]["name"], "--timeout=60s", timeout=70)
        wait_until(lambda: can_not_pull(clean, STOCK), "the new pod can't pull its image", within=120)

        clean.sources()  # a new client pair, which that node can't get

        wait_until(
            lambda: counts(clean) == {"selected": 2, "current": 1, "withoutAgent": 1},
            "one node has it, and one is without an agent",
            within=60,
        )
        clean.wait_for("harbor", "Ready")
        assert reasons(clean) == [f"{STOCK}: AgentSilent"]
    wait_until(lambda: counts(clean) == BOTH, "the other node follows", within=120)


def test_with_no_agent_at_all_status_says_so_and_files_stay(clean: ThreeNodes) -> None:
    distribute(clean)
    with patched(clean, {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}}}):
        said = clean.wait_for("harbor", "Distributed", "False", within=120, reason="NoAgents")
        assert "no agent is running on any node" in said["message"]
        assert clean.condition("harbor", "Stalled")["status"] == "True"
        assert clean.pull(SINGLE) == "", "the files are there without an agent"
    clean.wait_for("harbor", "Ready", within=120)


def test_a_drained_node_keeps_its_agent_and_gets_what_is_new(clean: ThreeNodes) -> None:
    distribute(clean)
    clean.kubectl(
        "drain", SINGLE, "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--timeout=90s", timeout=100
    )
    try:
        before = clean.kubectl.get("registrytrust", "harbor")["status"]["revision"]
        clean.sources()
        wait_until(
            lambda: clean.kubectl.get("registrytrust", "harbor")["status"]["revision"] != before,
            "the operator saw the new pair",
            within=90,
        )
        clean.wait_for("harbor", "Ready", within=60)
        assert counts(clean) == BOTH
    finally:
        clean.kubectl("uncordon", SINGLE)


@pytest.fixture
def reading(clean: ThreeNodes) -> Iterator[ThreeNodes]:
    """Let the runtime of the third node read containerd's usual place for a while."""
    clean.node(ELSEWHERE).restart_containerd(config_path="/etc/containerd/certs.d")
    yield clean
    clean.node(ELSEWHERE).restart_containerd(config_path="/etc/elsewhere/certs.d")


def test_the_page_s_commands_verify_an_installation_on_real_nodes(
    request: pytest.FixtureRequest, reading: ThreeNodes, tmp_path: Path
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (block,) = own_blocks(request)

    printed = run_block(block.commands, tmp_path, reading.kubectl.kubeconfig)
    printed += run_block("registry-trust check --namespace registry-trust", tmp_path, reading.kubectl.kubeconfig)

    assert "registrytrust.registrytrust.io/harbor condition met" in printed
    assert counts(reading) == {"selected": 3, "current": 3}
