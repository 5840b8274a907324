"""A loop of pulls by every runtime of the three nodes, and what is waited for meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.e2e.three_nodes import ELSEWHERE, SINGLE, STOCK, ThreeNodes
from tools.cluster.pulling import Pulls, pulling_by
from tools.cluster.waiting import NotInTimeError, wait_until


@contextmanager
def pulling(nodes: ThreeNodes) -> Iterator[Pulls]:
    """Pull again and again: kubelets on two nodes, dockerd on the third."""
    image, dockerd = nodes.image(), nodes.node(ELSEWHERE)
    loops = {
        SINGLE: partial(nodes.pull, SINGLE, image),
        STOCK: partial(nodes.pull, STOCK, image),
        "dockerd": partial(dockerd.docker_pull, image),
    }
    with pulling_by(loops) as seen:
        yield seen


def on_every_node(nodes: ThreeNodes, revision_before: str, within: float = 30) -> None:
    """Wait until a new revision is on every node that can have it (the third one's containerd reads nothing of it)."""

    def arrived() -> bool:
        status = nodes.kubectl.get("registrytrust", "harbor").get("status", {})
        there = status.get("nodes", {}).get("pending", 1) == 0 and status["nodes"]["current"] >= 2
        return bool(status.get("revision", revision_before) != revision_before and there)

    try:
        wait_until(arrived, "the new revision is on every node", within=within)
    except NotInTimeError as error:
        raise AssertionError(f"{error}\n{nodes.situation()}") from None


def revision(nodes: ThreeNodes) -> str:
    """Return what the trust's status calls its content; empty before there is any."""
    return str(nodes.kubectl.get("registrytrust", "harbor").get("status", {}).get("revision", ""))
