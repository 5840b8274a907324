"""The store: one root's generations, links and manifests, changed by one process at a time and never half."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from registry_trust.agent.store import garbage, leftovers, lock, mounts
from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.entries import point_nowhere, record_trusts, switch, verify
from registry_trust.agent.store.failures import shown, unexpected
from registry_trust.agent.store.links import foreign
from registry_trust.agent.store.lock import LOCK, Lock
from registry_trust.agent.store.manifest import STATE_FILE, StoreState
from registry_trust.agent.store.observe import Observation, installations, observe_root, paths_to_watch
from registry_trust.agent.store.ownership import read_state, write_state
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
        breathe: Callable[[], object] = lambda: None,
        source: str = "",
    ) -> None:
        """Describe a root; nothing is opened yet.

        Args:
            directory: the root's path in this process.
            shown_path: its path on the host, which messages use; the same where there is no difference.
            grace: seconds from the moment that this process saw a generation superseded to its removal.
            monotonic: a clock in seconds.
            lock_wait: seconds to wait for another process that has the root.
            breathe: called between any two pieces of work; what it raises ends the pass there, and nothing is torn.
            source: whose bundle is written, `namespace/name`; empty for nobody's.
        """
        self._directory = directory
        self._shown_path = shown_path or directory
        self._monotonic = monotonic
        self._lock_wait = lock_wait
        self._breathe = breathe
        self._source = source
        self._garbage = garbage.Calendar(grace, monotonic)
        self._root: Directory | None = None
        self._store: Directory | None = None
        self._lock: Lock | None = None
        self._cleared = self._durable = self._failed = False
        self._findings: tuple[Finding, ...] = ()
        self._faults: dict[str, str] = {}
        self._watched: tuple[str, ...] = (directory,)
        self._origin: str | None = None

    @contextmanager
    def lock(self, *, clear: bool = True) -> Iterator[None]:
        """Hold the root for one pass; the first one that may `clear` also clears what a dead process left.

        Raises:
            StoreFailure: the root can't be opened, or another process has it for too long (Contested).
        """
        self.close()  # What a pass that failed at its very end left open.
        with Directory.open_root(self._directory, self._shown_path) as root:
            if self._origin is None:
                self._origin = mounts.origin(self._directory)
            self._root = root
            try:
                self._store = self._open_store(root)
                if self._store is not None:
                    self._lock = self._take_lock(self._store)
                # Without a store nothing is changed; whoever makes it locks it then.
                if clear and not self._cleared:
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
        self._watched = paths_to_watch(self._directory, observation.root, has_store=self._store is not None)
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
        self, steps: Sequence[Step], layout: Layout, enough: Callable[[], bool] = lambda: False
    ) -> tuple[StepOutcome, ...]:
        """Take the steps in their order, until it is enough; an error of one never stops the others.

        Args:
            steps: what the plan says.
            layout: the layout that switches are rendered in.
            enough: asked after each step; the steps after it are not taken, and have no outcome.
        """
        outcomes: list[StepOutcome] = []
        for step in steps:
            self._breathe()
            outcomes.append(self._take(step, layout))
            if enough():
                break
        return tuple(outcomes)

    def verify(self, entry: str) -> RegistryTrustError | None:
        """Open an entry by the reader's path, through its link, and compare it with its manifest."""
        root, store = self._held(), self._store
        try:
            installation = "" if store is None else self._installation(store)
            verify(root, store, f"{self._directory}/{entry}", entry, installation)
        except StoreFailure as error:
            return error
        return None

    def remember(self, bundle_uid: str, serial: int) -> None:
        """Make durable which bundle was applied as a whole; the same one again costs nothing."""
        state = self.state()
        if state is not None and (state.bundle_uid, state.serial, state.source) == (bundle_uid, serial, self._source):
            return
        store = self._ensure_store()
        write_state(store, StoreState(self._installation(store), bundle_uid, serial, source=self._source))

    def claim(self) -> None:
        """Make durable whose bundle this store serves from now on: ours."""
        state = self.state()
        if state is not None and state.source != self._source and self._store is not None:
            write_state(self._store, replace(state, source=self._source))

    def last_sign(self) -> int:
        """Return the last sign of life of the store's owner; another number means a later one."""
        return 0 if self._lock is None else self._lock.last_sign()

    def leave_sign(self) -> None:
        """Leave a sign of life in the store, if there is one."""
        if self._lock is not None:
            self._lock.leave_sign()

    def collect_garbage(self, *, immediately: bool = False, enough: Callable[[], bool] = lambda: False) -> float | None:
        """Remove superseded generations whose grace is over, and entries' folders that hold nothing any more.

        Args:
            immediately: without any grace.
            enough: asked before each entry; the others are left for the next time.

        Returns:
            Seconds until the next one is due; None where nothing is waiting.
        """
        root = self._held()
        if self._store is None or not self._durable:
            return None

        def pause() -> bool:
            self._breathe()
            return enough()

        installation = self._installation(self._store)
        return self._garbage.collect(root, self._store, installation, immediately=immediately, enough=pause)

    def dissolve(self) -> bool:
        """Take the store folder itself away if no entry is left in it; say whether it is gone."""
        root, store = self._held(), self._store
        if store is None:
            return True
        if not {*store.names()} <= {STATE_FILE, LOCK} or not lock.is_only_ours(store):
            return False
        if store.look(STATE_FILE) is not None:
            read_state(store)  # Not ours to remove where it can't be understood.
            store.unlink(STATE_FILE)
        lock.remove(store)
        root.remove_directory(STORE)
        root.sync()
        self._let_go_of_store()
        return True

    def is_detached(self) -> bool:
        """Say whether the root was moved or deleted under its mount: then this process writes where nobody reads."""
        return mounts.is_detached(self._directory, self._origin)

    def close(self) -> None:
        """Let go of everything."""
        self._let_go_of_store()
        if self._root is not None:
            self._root.close()
        self._root = None

    def _let_go_of_store(self) -> None:
        for each in (self._lock, self._store):
            if each is not None:
                each.close()
        self._store = self._lock = None

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
        except Exception as error:  # noqa: BLE001 - the boundary of one entry: its fault is no other entry's
            # Something unfinished may be left, and a link may not be durable.
            self._cleared = self._durable = False
            self._failed = True
            return StepOutcome(step, error if isinstance(error, StoreFailure) else unexpected(step.entry, error))
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
            self._begin_store(root)
        assert self._store is not None  # noqa: S101 - for mypy
        self._store.set_mode(PUBLIC_DIRECTORY)
        if read_state(self._store) is None:
            installation = self._installation(self._store) or str(uuid.uuid4())
            write_state(self._store, StoreState(installation, source=self._source))
        return self._store

    def _begin_store(self, root: Directory) -> None:
        """Make the store folder that the pass began without, and lock it."""
        self._store = self._open_store(root) or root.make(STORE, PUBLIC_DIRECTORY)
        try:
            self._lock = self._take_lock(self._store)
            if not {*self._store.names()} <= {LOCK}:
                raise StoreFailure(  # noqa: TRY301 - as any other failure here
                    Reason.CONTESTED,
                    f"{shown(self._store.path)} was made by another process meanwhile; it is tried again",
                )
        except StoreFailure:
            self._let_go_of_store()
            raise
        root.sync()

    def _take_lock(self, store: Directory) -> Lock:
        return Lock.take(store, self._shown_path, self._lock_wait, self._monotonic, self._breathe)

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
                lock.tidy(self._store)
                leftovers.clear_store(root, self._store, self._installation(self._store), self._breathe)
            self._cleared = True

    def _observe(self) -> Observation:
        root, store = self._held(), self._store
        return observe_root(root, store, "" if store is None else self._installation(store), self._breathe)
