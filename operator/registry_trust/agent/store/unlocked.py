"""Unlocked: a root looked at beside the agent that writes it, without its lock and without any change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.manifest import StoreState
from registry_trust.agent.store.observe import observe_root
from registry_trust.agent.store.open_store import OpenStore
from registry_trust.core.layout import STORE
from registry_trust.core.observed import ObservedRoot
from registry_trust.core.problem import Problem


@dataclass(frozen=True, slots=True)
class RootSeen:
    """What a root shows: what it holds, what it remembers, what is in it and not ours, and each entry's fault.

    An agent may be at work meanwhile: only what two looks agree on is so.
    """

    root: ObservedRoot
    state: StoreState | None = None
    findings: tuple[Problem, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)


def look(directory: str, shown_path: str) -> RootSeen:
    """Look at a root.

    Args:
        directory: its path in this process.
        shown_path: its path on the host, for messages.

    Raises:
        StoreFailure: it can't be looked at, or what it remembers can't be understood.
    """
    with Directory.open_root(directory, shown_path) as root:
        if not root.holds_directory(STORE):
            seen = observe_root(root, None)
            return RootSeen(seen.root, None, seen.findings, seen.faults)
        with root.open(STORE) as folder:
            store, state = OpenStore.read(root, folder)
            seen = observe_root(root, store)
            return RootSeen(seen.root, state, seen.findings, seen.faults)
