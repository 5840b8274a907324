"""The doctor in the real agent's container, by the commands of the pages, on a good node and on a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.three_nodes import SINGLE, ThreeNodes
from tests.page_commands import own_blocks, run_block
from tools.cluster.waiting import wait_until
from tools.installation import NAMESPACE

CONTAINERDS = "/etc/containerd/certs.d"


def agent_of(nodes: ThreeNodes, node: str) -> str:
    """Return the agent's pod on a node."""
    pods = nodes.kubectl.get(
        *("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=agent", f"--field-selector=spec.nodeName={node}")
    )
    (pod,) = pods["items"]
    name: str = pod["metadata"]["name"]
    return name


def test_in_the_agents_container_the_commands_of_the_pages_explain_the_node(
    request: pytest.FixtureRequest, clean: ThreeNodes, tmp_path: Path
) -> None:
    clean.sources()
    clean.trust(nodeSelector={"matchLabels": {"kubernetes.io/hostname": SINGLE}})
    clean.wait_for("harbor", "Ready")
    pod = agent_of(clean, SINGLE)
    lines = [line.partition("  #")[0] for block in own_blocks(request) for line in block.text.splitlines()]
    commands = [
        line.replace("POD", pod).replace("harbor.corp.example:5000", clean.registry.name).removeprefix("kubectl ")
        for line in lines
    ]

    printed = [clean.kubectl(*command.split()) for command in commands]

    assert pod in printed[0]
    for shown in printed[1:]:
        assert f"runtime     {clean.report(SINGLE)['runtime']}" in shown
        assert "clock       as the API server's" in shown
        assert shown.endswith("do this     nothing: all that is wanted is there and is read\n"), shown

    entry = next(path for path in clean.entries() if str(path).startswith(str(clean.node(SINGLE).path(CONTAINERDS))))
    entry.unlink()
    entry.mkdir()
    try:

        def named() -> bool:
            shown = run_block(f"kubectl {commands[-1]} || test $? = 1", tmp_path, clean.kubectl.kubeconfig)
            assert "do this     ForeignFile: " in shown, shown
            return True

        wait_until(named, "the doctor names the directory in the way", within=30)
    finally:
        entry.rmdir()
