"""Selection: only the nodes that a trust selects have its files, and a relabelled node follows."""

from __future__ import annotations

from tests.e2e.three_nodes import SINGLE, STOCK, ThreeNodes
from tools.cluster.waiting import wait_until


def with_files(nodes: ThreeNodes) -> set[str]:
    folders = {node.name: str(node.folder) for node in nodes.cluster.nodes}
    return {name for name, folder in folders.items() if any(str(e).startswith(folder + "/") for e in nodes.entries())}


def test_only_the_selected_node_has_the_files_and_relabelling_moves_them(clean: ThreeNodes) -> None:
    clean.kubectl("label", "node", SINGLE, "pool=builds")
    try:
        clean.sources()
        clean.trust(nodeSelector={"matchLabels": {"pool": "builds"}})
        clean.wait_for("harbor", "Ready")
        assert with_files(clean) == {SINGLE}
        assert clean.pull(SINGLE) == ""
        assert "x509" in clean.pull(STOCK)

        clean.kubectl("label", "node", STOCK, "pool=builds")
        clean.kubectl("label", "node", SINGLE, "pool-")

        wait_until(lambda: with_files(clean) == {STOCK}, "the files moved with the label", within=30)
        clean.wait_for("harbor", "Ready")
        assert clean.pull(STOCK) == ""
    finally:
        for node in (SINGLE, STOCK):
            clean.kubectl("label", "node", node, "pool-")
