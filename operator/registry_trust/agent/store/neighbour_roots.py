"""Neighbour roots: roots that a target's reader looks in as well, seen through read-only mounts and never written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from registry_trust.agent.options import Mount
from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.failures import shown
from registry_trust.agent.store.observe import observe_root
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import DEFAULT
from registry_trust.core.observed import ObservedRoot, Target
from registry_trust.core.reasons import Reason


class NeighbourRoots:
    """Looks at roots by their paths on the host; everything in them is another process's."""

    def __init__(self, mounts: Sequence[Mount], roots: Sequence[Mount]) -> None:
        """Look through these mounts, and not at the roots that are written: those are observed with their stores."""
        self._mounts = sorted(mounts, key=lambda mount: -len(mount.host))
        self._roots = tuple(roots)
        self._watched: tuple[str, ...] = ()

    def observe(self, targets: Sequence[Target]) -> tuple[dict[str, ObservedRoot], dict[str, StoreFailure]]:
        """Look at every root of the targets' chains that is mounted read-only.

        Returns:
            What they hold and why others can't be looked at, both by path on the host. One that is not there is empty.
        """
        observed: dict[str, ObservedRoot] = {}
        failed: dict[str, StoreFailure] = {}
        watched: list[str] = []
        written = {identity for root in self._roots if (identity := _identity(root.here)) is not None}
        for path in dict.fromkeys(path for target in targets for path in target.lookup_chain()):
            mount = None if any(path == root.host for root in self._roots) else self._mount_of(path)
            if mount is None:
                continue
            here = mount.here + path[len(mount.host) :]
            if _identity(here) in written:
                continue  # Another path to a root of ours.
            watched += [_nearest(here, mount.here), f"{here}/{DEFAULT}"]
            try:
                observed[path] = _look(here, mount, path)
            except StoreFailure as error:
                failed[path] = error
        self._watched = tuple(dict.fromkeys(watched))
        return observed, failed

    def watched_paths(self) -> tuple[str, ...]:
        """Return the directories, by their paths in this process, in which a neighbour's entry would appear or go."""
        return self._watched

    def _mount_of(self, path: str) -> Mount | None:
        return next((m for m in self._mounts if path == m.host or path.startswith(f"{m.host}/")), None)


def _look(here: str, mount: Mount, path: str) -> ObservedRoot:
    real, inside = os.path.realpath(here), os.path.realpath(mount.here)
    if real != inside and not real.startswith(f"{inside}/"):
        # Such a link is followed from here to somewhere in this container, and on the host to somewhere else.
        raise StoreFailure(
            Reason.RUNTIME_UNKNOWN,
            f"{shown(path)} is a symbolic link, and its target can't be seen from here, although it is read for the "
            f"same registries; mount {shown(path)} itself (chart value agent.extraRuntimeConfig, option "
            "--runtime-config)",
        )
    try:
        with Directory.open_root(here, path) as root:
            return observe_root(root, None).root
    except StoreFailure as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return ObservedRoot()
        raise


def _identity(here: str) -> tuple[int, int] | None:
    try:
        status = Path(here).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _nearest(here: str, top: str) -> str:
    """Return the directory itself, or the nearest one above it that is there."""
    path = Path(here)
    while not path.is_dir() and str(path) != top:
        path = path.parent
    return str(path)
