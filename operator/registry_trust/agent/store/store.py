"""The store: one root's generations, links and manifests, changed by one process at a time and never half."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from registry_trust.agent.store import garbage, leftovers, mounts
from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.entries import point_nowhere, record_trusts, switch
from registry_trust.agent.store.failures import shown
from registry_trust.agent.store.generations import difference
from registry_trust.agent.store.links import foreign
from registry_trust.agent.store.lock import exclusive
from registry_trust.agent.store.manifest import STATE_FILE, StoreState
from registry_trust.agent.store.observe import Observation, installations, observe_root
from registry_trust.agent.store.ownership import read_ownership, read_state, write_state
from registry_trust.core.errors import RegistryTrustError, StoreFailure
from registry_trust.core.findings import Finding
from registry_trust.core.layout import PUBLIC_DIRECTORY, STORE, Layout
from registry_trust.core.plan import ObservedRoot, Record, Step, Switch
from registry_trust.core.reasons import Reason

GRACE = 60.0
"""Seconds that a superseded generation stays: a pull that has read its `hosts.toml` still finds the files."""

LOCK_WAIT = 10.0
"""Seconds that a pass waits for another process on the same root."""


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What came of one step: the error, or for a switch the name of the generation that the entry points to now."""

    step: Step
    error: RegistryTrustError | None = None
    generation: str = ""


class Store:
    """One root.

    Everything but `is_detached` and `close` needs the lock: `with store.lock(): ...` is one pass. Each pass opens the
    root anew by its path. All methods raise `StoreFailure` where the system or somebody else's file is in the way.
    """

    def __init__(
        self,
        directory: str,
        *,
        shown_path: str | None = None,
        grace: float = GRACE,
        monotonic: Callable[[], float] = time.monotonic,
        lock_wait: float = LOCK_WAIT,
    ) -> None:
        """Describe a root; nothing is opened yet.

        Args:
            directory: the root's path in this process.
            shown_path: its path on the host, which messages use; the same where there is no difference.
            grace: seconds from the moment that this process saw a generation superseded to its removal.
            monotonic: a clock in seconds.
            lock_wait: seconds to wait for another process that has the root.
        """
        self._directory = directory
        self._shown_path = shown_path or directory
        self._monotonic = monotonic
        self._lock_wait = lock_wait
        self._garbage = garbage.Calendar(grace, monotonic)
        self._root: Directory | None = None
        self._store: Directory | None = None
        self._cleared = self._durable = self._failed = False
        self._findings: tuple[Finding, ...] = ()
        self._faults: dict[str, str] = {}
        self._watched: tuple[str, ...] = (directory,)
        self._origin: str | None = None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the root for one pass; the first one also clears what a dead process left.

        Raises:
            StoreFailure: the root can't be opened, or another process has it for too long (Contested).
        """
        with (
            Directory.open_root(self._directory, self._shown_path) as root,
            exclusive(root, self._lock_wait, self._monotonic),
        ):
            if self._origin is None:
                self._origin = mounts.origin(self._directory)
            self._root = root
            try:
                self._store = self._open_store(root)
                if not self._cleared:
                    self._clear(root)
                yield
            finally:
                self.close()

    def state(self) -> StoreState | None:
        """Return what the root remembers; None for a root that was never written.

        Raises:
            StoreFailure: there is a state that can't be understood; nothing may be changed then.
        """
        return None if self._store is None else read_state(self._store)

    def observe(self) -> ObservedRoot:
        """Look at everything in the root; `findings` and `faults` say more of what was seen."""
        observation = self._observe()
        self._findings, self._faults = observation.findings, observation.faults
        self._watched = self._paths_to_watch(observation.root)
        return observation.root

    def findings(self) -> tuple[Finding, ...]:
        """Return what the last look and the last garbage collection found inside the store that is not ours."""
        return self._findings + self._garbage.findings

    def faults(self) -> dict[str, str]:
        """Return, by entry, what was wrong with those that the last look found not intact."""
        return dict(self._faults)

    def watched_paths(self) -> tuple[str, ...]:
        """Return the directories, by their paths in this process, in which any change is drift."""
        return self._watched

    def apply(
        self, steps: Sequence[Step], layout: Layout, progress: Callable[[StepOutcome], None] | None = None
    ) -> tuple[StepOutcome, ...]:
        """Take the steps in their order; an error of one never stops the others.

        Args:
            steps: what the plan says.
            layout: the layout that switches are rendered in.
            progress: called after each step.
        """
        outcomes: list[StepOutcome] = []
        for step in steps:
            outcome = self._take(step, layout)
            outcomes.append(outcome)
            if progress is not None:
                progress(outcome)
        return tuple(outcomes)

    def verify(self, entry: str) -> RegistryTrustError | None:
        """Open an entry by the reader's path, through its link, and compare it with its manifest."""
        root, store = self._held(), self._store
        try:
            if store is None or not store.holds_directory(entry):
                return foreign(root, entry)
            with store.open(entry) as folder:
                ownership = read_ownership(folder, entry, self._installation(store))
                name = "" if ownership is None else ownership.generation_of(root.link_text(entry))
                if ownership is None or not name:
                    return foreign(root, entry)
            with Directory.open_root(f"{self._directory}/{entry}", root.path_of(entry)) as directory:
                fault = difference(directory, ownership.generations[name])
        except StoreFailure as error:
            return error
        if fault:
            return StoreFailure(
                Reason.WRITE_FAILED,
                f"{shown(root.path_of(entry))}: {fault}, directly after it was written; it is written again",
            )
        return None

    def remember(self, bundle_uid: str, serial: int) -> None:
        """Make durable which bundle was applied as a whole; the same one again costs nothing."""
        state = self.state()
        if state is not None and (state.bundle_uid, state.serial) == (bundle_uid, serial):
            return
        store = self._ensure_store()
        write_state(store, StoreState(self._installation(store), bundle_uid, serial))

    def collect_garbage(self, *, immediately: bool = False) -> float | None:
        """Remove superseded generations whose grace is over, and entries' folders that hold nothing any more.

        Args:
            immediately: without any grace.

        Returns:
            Seconds until the next one is due; None where nothing is waiting.
        """
        root = self._held()
        if self._store is None or not self._durable:
            return None
        return self._garbage.collect(root, self._store, self._installation(self._store), immediately=immediately)

    def dissolve(self) -> bool:
        """Take the store folder itself away if no entry is left in it; say whether it is gone."""
        root, store = self._held(), self._store
        if store is None:
            return True
        if store.names() not in ([], [STATE_FILE]):
            return False
        if store.look(STATE_FILE) is not None:
            read_state(store)  # Not ours to remove where it can't be understood.
            store.unlink(STATE_FILE)
        root.remove_directory(STORE)
        root.sync()
        store.close()
        self._store = None
        return True

    def is_detached(self) -> bool:
        """Say whether the root was moved or deleted under its mount: then this process writes where nobody reads."""
        return mounts.is_detached(self._directory, self._origin)

    def close(self) -> None:
        """Let go of everything."""
        for directory in (self._store, self._root):
            if directory is not None:
                directory.close()
        self._root = self._store = None

    # One step

    def _take(self, step: Step, layout: Layout) -> StepOutcome:
        root = self._held()
        try:
            if isinstance(step, Switch):
                store = self._ensure_store()
                generation = switch(root, store, step, layout, self._installation(store))
                return StepOutcome(step, self.verify(step.entry), generation)
            if self._store is not None:
                installation = self._installation(self._store)
                if isinstance(step, Record):
                    record_trusts(self._store, step.entry, step.trusts, installation)
                else:
                    point_nowhere(root, self._store, step.entry, installation)
        except StoreFailure as error:
            # Something unfinished may be left, and a link may not be durable.
            self._cleared = self._durable = False
            self._failed = True
            return StepOutcome(step, error)
        return StepOutcome(step)

    # The store folder

    def _held(self) -> Directory:
        if self._root is None:
            raise RuntimeError("the store is used outside its lock")
        return self._root

    def _open_store(self, root: Directory) -> Directory | None:
        if root.look(STORE) is None:
            return None
        if not root.holds_directory(STORE):
            raise foreign(root, STORE)
        store = root.open(STORE)
        try:
            garbage.require_owner(store)
        except StoreFailure:
            store.close()
            raise
        return store

    def _ensure_store(self) -> Directory:
        """Return the store folder, with its state in it; made durably if it is missing."""
        root = self._held()
        if self._store is None:
            self._store = self._open_store(root) or root.make(STORE, PUBLIC_DIRECTORY)
            root.sync()
        self._store.set_mode(PUBLIC_DIRECTORY)
        if read_state(self._store) is None:
            write_state(self._store, StoreState(self._installation(self._store) or str(uuid.uuid4())))
        return self._store

    def _installation(self, store: Directory) -> str:
        """Return whose store this is: as its state says, or where that was lost, as all manifests agree."""
        state = read_state(store)
        if state is not None:
            return state.installation
        found = installations(store)
        return found.pop() if len(found) == 1 else ""

    def _clear(self, root: Directory) -> None:
        """Clear leftovers; where that fails the pass goes on, and the next one tries again.

        Links that a dead process switched are durable before anything that they replaced goes; leftovers that can't be
        cleared in one entry keep no garbage in others.

        Raises:
            StoreFailure: a step of this process failed, and what it did still can't be made durable: an entry that
                looks right now must not be reported.
        """
        try:
            root.sync()
        except StoreFailure:
            if self._failed:
                raise
            return
        self._durable, self._failed = True, False
        with suppress(StoreFailure):
            if self._store is not None:
                self._store.set_mode(PUBLIC_DIRECTORY)
                leftovers.clear_store(root, self._store, self._installation(self._store))
            self._cleared = True

    def _observe(self) -> Observation:
        root, store = self._held(), self._store
        return observe_root(root, store, "" if store is None else self._installation(store))

    def _paths_to_watch(self, observed: ObservedRoot) -> tuple[str, ...]:
        paths = [self._directory]
        if self._store is not None:
            folder = f"{self._directory}/{STORE}"
            paths.append(folder)
            for name, entry in sorted(observed.own.items()):
                paths.append(f"{folder}/{name}")
                if entry.generation:
                    paths.append(f"{folder}/{name}/{entry.generation}")
        return tuple(paths)
