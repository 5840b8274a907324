"""Garbage: removes generations that nothing points to any longer, a while after this process saw them superseded."""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.generations import remove
from registry_trust.agent.store.links import is_kept
from registry_trust.agent.store.manifest import OWNER_FILE, Ownership
from registry_trust.agent.store.open_store import OpenStore
from registry_trust.agent.store.ownership import write_ownership
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import PRIVATE_DIRECTORY, PUBLIC_DIRECTORY
from registry_trust.core.problem import Problem

MOST = 10
"""Generations of an entry that one collection removes: a new bundle would wait for all that a burst of them left."""

RETRY = 60.0
"""Seconds from an error in an entry's garbage to the next try."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What one collection came to: seconds until the next is due (None: nothing waits), and what was in its way."""

    due: float | None
    findings: tuple[Problem, ...]


@dataclass(slots=True)
class _Round:
    """A collection in the making: what was seen superseded and when, what failed, and when something is due again."""

    now: float
    seen: dict[str, dict[str, float]] = field(default_factory=dict)
    findings: list[Problem] = field(default_factory=list)
    due: list[float] = field(default_factory=list)


class Garbage:
    """When this process saw each generation superseded; a restart begins again, which only keeps files longer."""

    def __init__(self, grace: float, monotonic: Callable[[], float]) -> None:
        self._grace = grace
        self._monotonic = monotonic
        self._seen: dict[str, dict[str, float]] = {}
        """Monotonic times, by entry and generation."""
        self._failed: dict[str, tuple[float, Problem]] = {}
        """By entry the time of the next try, and what was said."""
        self.findings: tuple[Problem, ...] = ()

    def collect(
        self,
        store: OpenStore,
        resting: Collection[str] = (),
        *,
        immediately: bool,
        enough: Callable[[], bool] = lambda: False,
    ) -> Collected:
        """Remove what is due in every entry of ours, until it is enough; `resting` are those that have no garbage.

        One entry's error never stops the others; it stands in the findings, and that entry is left alone for a while:
        even a failed write is a change, and wakes those who watch the directory.
        """
        this = _Round(self._monotonic())
        for entry in store.entries():
            if entry in resting:
                self._failed.pop(entry, None)
                continue
            if enough():
                self._leave(entry, this, this.now)
                continue
            retry, finding = self._failed.get(entry, (this.now, None))
            if finding is not None and this.now < retry:
                this.findings.append(finding)
                self._leave(entry, this, retry)
                continue
            self._failed.pop(entry, None)
            try:
                self._collect_entry(store, entry, this, immediately=immediately)
            except StoreFailure as error:
                this.findings.append(error.problem)
                self._failed[entry] = (this.now + RETRY, this.findings[-1])
                this.due.append(this.now + RETRY)
        self._seen, self.findings = this.seen, tuple(this.findings)
        return Collected(max(0.0, min(this.due) - this.now) if this.due else None, self.findings)

    def _leave(self, entry: str, this: _Round, due: float) -> None:
        """Leave an entry for a later collection."""
        this.due.append(due)
        if entry in self._seen:
            this.seen[entry] = self._seen[entry]

    def _collect_entry(self, store: OpenStore, entry: str, this: _Round, *, immediately: bool) -> None:
        if not store.folder.holds_directory(entry):
            return
        with store.folder.open(entry) as directory:
            ownership = store.ownership(directory, entry)
            if ownership is None:
                return
            live = {ownership.current, ownership.generation_of(store.root.link_text(entry))}
            before = self._seen.get(entry, {})
            waiting = {name: before.get(name, this.now) for name in ownership.generations.keys() - live}
            ripe = {name for name, since in waiting.items() if immediately or this.now - since >= self._grace}
            if len(ripe) > MOST and not immediately:
                ripe = set(sorted(ripe, key=waiting.__getitem__)[:MOST])
            this.seen[entry] = waiting
            this.due.extend(since + self._grace for name, since in waiting.items() if name not in ripe)
            # The manifest stays as long as something is kept that is to be put back.
            last = not (live - {""}) and not is_kept(store.root, entry)
            empty = _remove_generations(directory, ownership, ripe, last=last)
        if empty:
            store.folder.remove_directory(entry)
            store.folder.sync()


def is_resting(folder: Directory, ownership: Ownership, linked: str) -> bool:
    """Say whether an entry has no garbage, and a directory that is as wide as it may be.

    Args:
        folder: the entry's directory in the store.
        ownership: its manifest.
        linked: the generation that its link points to.
    """
    mode = PRIVATE_DIRECTORY if ownership.is_private() else PUBLIC_DIRECTORY
    if not linked or ownership.current != linked or len(ownership.generations) > 1:
        return False
    return stat.S_IMODE(folder.status().st_mode) == mode


def _remove_generations(directory: Directory, ownership: Ownership, ripe: set[str], *, last: bool) -> bool:
    """Remove generations, and the manifest with the last of them; say whether the entry's directory is empty then.

    The manifest stays where something of others is beside it, and then it lists no generation any longer.
    """
    gone = {name for name in sorted(ripe) if remove(directory, name, ownership.generations[name])}
    kept = {name: files for name, files in ownership.generations.items() if name not in gone}
    if gone:
        directory.sync()  # Before the manifest forgets them: a name that came back would be a stranger's.
    if last and not kept and directory.names() == [OWNER_FILE]:
        directory.unlink(OWNER_FILE)
        return True
    if gone:
        ownership = replace(ownership, generations=kept)
        write_ownership(directory, ownership)
    if ownership.generations and not ownership.is_private():
        directory.set_mode(PUBLIC_DIRECTORY)
    return False
