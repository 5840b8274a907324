"""The last steps: what kubectl shows, another process's directory, and the removal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

from tools.cluster.waiting import wait_until
from tools.demo.following import wait_for_condition
from tools.demo.objects import NEIGHBOUR, TRUST, apply, neighbours_trust
from tools.demo.output import Output
from tools.demo.scene import Scene
from tools.demo.steps import UNKNOWN_AUTHORITY, show_trees, words_of_refusals
from tools.demo.tree import fingerprint, link_of

GRACE = 30
"""Seconds that a removed trust's files stay, so that a rename of a trust has no gap."""


class ChangedNeighbourError(AssertionError):
    """Another process's directory is not what it was."""


def show_with_kubectl(out: Output, scene: Scene) -> None:
    """Show what an admin sees."""
    out.heading("What kubectl shows")
    out.command("kubectl get rt,nt")
    out.block(scene.kubectl("get", "rt,nt"))
    out.command(f"kubectl describe rt {TRUST}    (a part)")
    out.block(_part(scene.kubectl("describe", "rt", TRUST), "  Nodes:", "Events:"))
    out.command(f"kubectl events --for registrytrust/{TRUST}")
    out.clipped(scene.kubectl("events", "--for", f"registrytrust/{TRUST}"))


def delete_trust(out: Output, scene: Scene, image: str) -> float:
    """Delete the trust, whose files stay a while; return when that was, by time.monotonic()."""
    out.heading("Removal")
    out.command(f"kubectl delete rt {TRUST}")
    deleted = time.monotonic()
    scene.kubectl("delete", "rt", TRUST)
    for puller in scene.pullers():
        puller.must_succeed(image)
    out.good(f"deleted; its files stay {GRACE} s more, so that a rename of a trust has no gap, and pulls still work")
    return deleted


def show_neighbour(out: Output, scene: Scene, folders: Mapping[str, Path], before: Mapping[str, str]) -> None:
    """Ask for a registry whose directories another process made: nothing is touched, and status says so."""
    out.heading(f"Somebody else's directories, for {NEIGHBOUR}")
    apply(scene.api, neighbours_trust())
    ready = wait_for_condition(scene, "neighbour", "Ready", "False", failing=len(scene.nodes))
    out.good(f"a trust for {NEIGHBOUR} is not Ready ({ready['reason']}):")
    out.quote(str(ready["message"]))
    scene.kubectl("delete", "rt", "neighbour")
    _check_neighbours(folders, before)
    out.good("the three directories are what they were: names, bytes, modes, owners, inodes and times")


def wait_for_removal(
    out: Output, scene: Scene, image: str, deleted: float, folders: Mapping[str, Path], before: Mapping[str, str]
) -> float:
    """Wait until the entries are gone, and show that pulls are refused again; return seconds since the deletion."""
    out.heading("The files go")
    registry = scene.registry.name

    def gone() -> bool:
        left = [node.name for node in scene.nodes if link_of(node.root, node.entry(registry))]
        if left:
            raise AssertionError(f"still on {', '.join(left)}")
        return True

    out.say(f"Waiting for the rest of the {GRACE} s.")
    wait_until(gone, "the entries are gone", within=GRACE + 30, meanwhile=scene.check)
    seconds = time.monotonic() - deleted
    out.good(f"gone from three nodes {seconds:.1f} s after the deletion")
    show_trees(out, scene)
    out.note("The store keeps what was superseded 60 s for readers that still have it open; the agent then removes it.")
    for words in words_of_refusals(scene, image, UNKNOWN_AUTHORITY):
        out.good(f"refused again, {words}")
    _check_neighbours(folders, before)
    out.good(f"the directories for {NEIGHBOUR} are still what they were")
    return seconds


def fingerprints(folders: Mapping[str, Path]) -> dict[str, str]:
    """Return what tells whether another process's directories change."""
    return {name: fingerprint(folder) for name, folder in folders.items()}


def _check_neighbours(folders: Mapping[str, Path], before: Mapping[str, str]) -> None:
    for name, digest in fingerprints(folders).items():
        if digest != before[name]:
            raise ChangedNeighbourError(f"{folders[name]} was changed, and is not registry-trust's")


def _part(text: str, first: str, end: str) -> list[str]:
    """Return the lines from the one that begins with `first` to the one before `end`."""
    lines = text.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(first))
    return list(takewhile(lambda line: not line.startswith(end), lines[begin:]))
