"""Agents that run, that can't, and that are sent away: status names the nodes, and waits for none that is not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster.waiting import wait_until
from tests.e2e.three_nodes import SINGLE, ThreeNodes
from tests.installation import NAMESPACE

AGENT = "daemonset/registry-trust-agent"
READABLE = ["node1", "node2"]
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
    """Change the DaemonSet's pods for a while, as an admin would."""
    before = nodes.kubectl.get("-n", NAMESPACE, AGENT)["spec"]["template"]["spec"]
    patch = json.dumps({"spec": {"template": {"spec": change}}})
    nodes.kubectl("-n", NAMESPACE, "patch", AGENT, "--type=strategic", "-p", patch)
    try:
        yield
    finally:
        back = [{"op": "replace", "path": "/spec/template/spec", "value": before}]
        nodes.kubectl("-n", NAMESPACE, "patch", AGENT, "--type=json", "-p", json.dumps(back))
        nodes.kubectl("-n", NAMESPACE, "rollout", "status", AGENT, "--timeout=120s", timeout=130)


def distribute(nodes: ThreeNodes) -> None:
    nodes.sources()
    nodes.trust(nodeSelector=ON_READABLE)
    nodes.wait_for("harbor", "Ready")
    assert counts(nodes) == {"selected": 2, "current": 2}


def test_a_node_whose_agent_cannot_pull_its_image_is_named_and_not_waited_for(clean: ThreeNodes) -> None:
    distribute(clean)
    nowhere = {"containers": [{"name": "agent", "image": "nowhere.invalid/registry-trust:1"}]}
    with patched(clean, nowhere):
        # A broken rollout stops at the first node; take the agents' pods away, so that all meet the image.
        clean.kubectl("-n", NAMESPACE, "delete", "pods", "-l", "app.kubernetes.io/component=agent", "--wait=false")
        failed = clean.wait_for("harbor", "Distributed", "False", within=90, reason="NoAgents")
        assert "no agent runs on any node" in failed["message"]
        assert clean.condition("harbor", "Stalled")["status"] == "True"
        assert clean.pull(SINGLE) == "", "the files are there without an agent"
    clean.wait_for("harbor", "Ready", within=90)
    wait_until(lambda: counts(clean) == {"selected": 2, "current": 2}, "both nodes are current again", within=60)


def test_a_node_that_the_daemon_set_leaves_out_is_counted_without_an_agent(clean: ThreeNodes) -> None:
    distribute(clean)
    with patched(clean, {"nodeSelector": {"kubernetes.io/hostname": SINGLE}}):
        wait_until(lambda: counts(clean).get("withoutAgent") == 1, "the other node has no agent", within=120)
        clean.sources(authority=None)  # a new client pair: content that only one node can get
        clean.wait_for("harbor", "Ready", within=60)
        wait_until(
            lambda: counts(clean) == {"selected": 2, "current": 1, "withoutAgent": 1},
            "one node has it, and one is not waited for",
            within=60,
        )
        assert reasons(clean) == ["node2: AgentSilent"]
    wait_until(lambda: counts(clean) == {"selected": 2, "current": 2}, "the other node follows", within=90)


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
        assert counts(clean) == {"selected": 2, "current": 2}
    finally:
        clean.kubectl("uncordon", SINGLE)
