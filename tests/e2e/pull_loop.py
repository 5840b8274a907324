"""A loop of pulls by every runtime of the three nodes, and what is waited for meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.e2e.three_nodes import ELSEWHERE, SINGLE, STOCK, ThreeNodes
from tools.cluster.waiting import wait_until


@dataclass
class Pulls:
    """What a loop of pulls saw."""

    done: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def pulling(nodes: ThreeNodes) -> Iterator[Pulls]:
    """Pull again and again: kubelets on two nodes, dockerd on the third."""
    seen, stop = Pulls(), threading.Event()
    image = nodes.image()

    def loop(pull: object, name: str) -> None:
        assert callable(pull)
        while not stop.is_set():
            words = pull(image)
            seen.done += 1
            if words:
                seen.failures.append(f"{name}: {words}")

    loops = [
        threading.Thread(target=loop, args=(lambda i: nodes.pull(SINGLE, i), SINGLE)),
        threading.Thread(target=loop, args=(lambda i: nodes.pull(STOCK, i), STOCK)),
        threading.Thread(target=loop, args=(nodes.node(ELSEWHERE).docker_pull, "dockerd")),
    ]
    for each in loops:
        each.start()
    try:
        yield seen
    finally:
        stop.set()
        for each in loops:
            each.join(90)


def on_every_node(nodes: ThreeNodes, revision_before: str, within: float = 30) -> None:
    """Wait until a new revision is on every node that can have it (the third one's containerd reads nothing of it)."""

    def arrived() -> bool:
        status = nodes.kubectl.get("registrytrust", "harbor").get("status", {})
        there = status.get("nodes", {}).get("pending", 1) == 0 and status["nodes"]["current"] >= 2
        return bool(status.get("revision", revision_before) != revision_before and there)

    wait_until(arrived, "the new revision is on every node", within=within)


def revision(nodes: ThreeNodes) -> str:
    """Return what the trust's status calls its content; empty before there is any."""
    return str(nodes.kubectl.get("registrytrust", "harbor").get("status", {}).get("revision", ""))
