"""Follows one change: when the nodes' files have it, and when the trust's status says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.cluster.waiting import wait_until
from tools.demo.api import RefusedError
from tools.demo.objects import TRUST, TRUSTS
from tools.demo.scene import Scene
from tools.demo.tree import link_of

EVERY = 0.01
"""Seconds between two looks: the error of the times."""


@dataclass(frozen=True)
class Followed:
    """Seconds from the moment before the write was sent: to new files on all nodes, and to Ready in status."""

    files: float
    ready: float

    def __str__(self) -> str:
        return f"files {self.files:.2f} s, Ready {self.ready:.2f} s after the write"


def follow(scene: Scene, write: Callable[[], object]) -> Followed:
    """Make a change that gives every node new files, and return when status says that all have them."""
    registry = scene.registry.name
    before = {node.name: link_of(node.root, node.entry(registry)) for node in scene.nodes}
    revision = revision_of(scene)
    begun = time.monotonic()
    write()
    files = 0.0

    def look() -> bool:
        nonlocal files
        if not files and all(
            link_of(node.root, node.entry(registry)) not in ("", before[node.name]) for node in scene.nodes
        ):
            files = time.monotonic() - begun
        status = status_of(scene, TRUST)
        ready = condition(status, "Ready")
        if status.get("revision") in (None, revision) or ready.get("status") != "True":
            raise AssertionError(f"{ready.get('reason')}: {ready.get('message')}")
        if not files:
            raise AssertionError("Ready, but not every node has new files")
        return True

    wait_until(look, f"{TRUST} is Ready with what was changed", within=30, every=EVERY, meanwhile=scene.check)
    return Followed(files, time.monotonic() - begun)


def wait_for_condition(scene: Scene, name: str, kind: str, status: str, *, failing: int = 0) -> Mapping[str, Any]:
    """Return a trust's condition as soon as it has that status, and so many nodes fail."""

    def look() -> Mapping[str, Any]:
        seen = status_of(scene, name)
        found = condition(seen, kind)
        if found.get("status") != status or seen["nodes"]["failed"] != failing:
            raise AssertionError(f"{found.get('status')}: {found.get('reason')}: {found.get('message')}")
        return found

    return wait_until(look, f"{kind} of {name} is {status}", within=30, every=EVERY, meanwhile=scene.check)


def status_of(scene: Scene, name: str) -> dict[str, Any]:
    """Return a trust's status; empty before the first."""
    return dict(scene.api.get(f"{TRUSTS}/{name}").get("status") or {})


def revision_of(scene: Scene) -> str | None:
    """Return the trust's revision; None before it exists."""
    try:
        return status_of(scene, TRUST).get("revision")
    except RefusedError:
        return None


def condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return one condition; empty where it is not there."""
    return next((each for each in status.get("conditions") or () if each["type"] == kind), {})
