"""The locked store: reads and changes one root for the length of a pass, by one process at a time and never half."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from registry_trust.agent.store import leftovers, lock
from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.entries import point_nowhere, record_trusts, switch, verify
from registry_trust.agent.store.failures import shown, unexpected
from registry_trust.agent.store.garbage import Collected, Garbage
from registry_trust.agent.store.links import foreign
from registry_trust.agent.store.lock import LOCK, Lock
from registry_trust.agent.store.looks import Looks
from registry_trust.agent.store.manifest import STATE_FILE, StoreState
from registry_trust.agent.store.observe import Observation, is_as_remembered, observe_root
from registry_trust.agent.store.open_store import OpenStore, require_owner
from registry_trust.agent.store.ownership import write_state
from registry_trust.core.errors import RegistryTrustError, StoreFailure
from registry_trust.core.layout import PUBLIC_DIRECTORY, STORE, Layout
from registry_trust.core.plan import Record, Step, Switch
from registry_trust.core.reasons import Reason


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What came of one step: the error, or for a switch the name of the generation that the entry points to now."""

    step: Step
    error: RegistryTrustError | None = None
    generation: str = ""


@dataclass(slots=True)
class Past:
    """What this process knows of a root from its earlier passes.

    Attributes:
        garbage: when it saw each generation superseded.
        looks: what it saw of each entry.
        cleared: what a dead process, or a failed step, left unfinished is away.
        durable: every link in the root is; before that nothing that one of them replaced may go.
        failed: a step of this process failed, and what it did is not known to be durable.
    """

    garbage: Garbage
    looks: Looks
    cleared: bool = False
    durable: bool = False
    failed: bool = False


class LockedStore:
    """A root that this process alone may change; when the lock that yielded it ends, nothing is open any longer.

    What the store remembers and whose it is are read once, when the lock is taken. All methods raise `StoreFailure`
    where the system or another process's file is in the way.
    """

    def __init__(
        self,
        root: Directory,
        path: str,
        past: Past,
        *,
        source: str,
        breathe: Callable[[], object],
        take_lock: Callable[[Directory], Lock],
    ) -> None:
        self._root = root
        self._path = path
        self._past = past
        self._source = source
        self._breathe = breathe
        self._take_lock = take_lock
        self._folder: Directory | None = None
        self._lock: Lock | None = None
        self._store: OpenStore | None = None
        self._state: StoreState | None = None
        self._resting: frozenset[str] = frozenset()
        self._stepped: set[str] = set()
        past.looks.begin()

    def open(self) -> None:
        """Lock the store and read what it remembers, if there is one; without one nothing is changed.

        Raises:
            StoreFailure: another process has it for too long (Contested), or what it remembers can't be understood.
        """
        folder = self._existing_folder()
        if folder is not None:
            self._lock_folder(folder)
            self._read(folder)

    def close(self) -> None:
        """Let go of everything; a second time closes what could not be closed the first time."""
        self._let_go()
        self._root.close()

    @property
    def state(self) -> StoreState | None:
        """What the root remembers; None for a root that was never written."""
        return self._state

    def observe(self, *, noted: bool = False) -> Observation:
        """Look at everything in the root.

        Of an entry that no note tells of, its attributes alone as long as they are those of before; with `noted`, which
        is for who watches every directory, not even these.
        """
        if not noted:
            self._past.looks.note(None)
        seen = observe_root(self._root, self._store, self._past.looks, self._breathe)
        self._resting = seen.resting - self._stepped
        return replace(seen, directory=self._path, has_store=self._store is not None)

    def stepped(self) -> bool:
        """Say whether a step was taken."""
        return bool(self._stepped)

    def unread(self, entries: Iterable[str]) -> set[str]:
        """Return those of these entries that are known from an earlier pass alone."""
        return self._past.looks.unread(entries)

    def observe_again(self, entries: Iterable[str]) -> Observation | None:
        """Read those of these entries that are known from an earlier pass alone.

        Returns:
            What is seen now; None if that is what was remembered.
        """
        store = self._store
        if store is None:
            return None
        same = [is_as_remembered(store, self._past.looks, entry) for entry in self.unread(entries)]
        return None if all(same) else self.observe(noted=True)

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
        try:
            verify(self._root, self._store, f"{self._path}/{entry}", entry)
        except StoreFailure as error:
            return error
        return None

    def remember(self, bundle_uid: str, serial: int, writer: str = "") -> None:
        """Make durable which bundle was applied as a whole; the same one again costs nothing."""
        wanted = StoreState("", bundle_uid, serial, source=self._source, writer=writer)
        if self._state is None or replace(self._state, installation="") != wanted:
            store = self._with_state()
            self._write(store, replace(wanted, installation=store.installation))

    def claim(self) -> None:
        """Make durable whose bundle this store serves from now on: ours."""
        if self._store is not None and self._state is not None and self._state.source != self._source:
            self._write(self._store, replace(self._state, source=self._source))

    def last_sign(self) -> int:
        """Return the last sign of life of the store's owner; another number means a later one."""
        return 0 if self._lock is None else self._lock.last_sign()

    def leave_sign(self) -> None:
        """Leave a sign of life in the store, if there is one."""
        if self._lock is not None:
            self._lock.leave_sign()

    def collect_garbage(self, *, immediately: bool = False, enough: Callable[[], bool] = lambda: False) -> Collected:
        """Remove superseded generations whose grace is over, and entries' directories that hold nothing any longer.

        Args:
            immediately: without any grace.
            enough: asked before each entry; the others are left for the next time.
        """
        if self._store is None or not self._past.durable:
            return Collected(None, self._past.garbage.findings)

        def pause() -> bool:
            self._breathe()
            return enough()

        return self._past.garbage.collect(self._store, self._resting, immediately=immediately, enough=pause)

    def dissolve(self) -> bool:
        """Take the store directory itself away if no entry is left in it; say whether it is gone."""
        if self._store is None:
            return self._root.look(STORE) is None
        folder = self._store.folder
        if not {*folder.names()} <= {STATE_FILE, LOCK} or not lock.is_only_ours(folder):
            return False
        folder.unlink(STATE_FILE)
        lock.remove(folder)
        self._root.remove_directory(STORE)
        self._root.sync()
        self._let_go()
        return True

    def clear(self) -> None:
        """Clear leftovers, once; where that fails the pass goes on, and the next one tries again.

        Links that a dead process switched are durable before anything that they replaced goes; leftovers that can't be
        cleared in one entry keep no garbage in others.

        Raises:
            StoreFailure: a step of this process failed, and what it did still can't be made durable: an entry that
                looks right now must not be reported.
        """
        if self._past.cleared:
            return
        try:
            self._root.sync()
        except StoreFailure:
            if self._past.failed:
                raise
            return
        self._past.durable, self._past.failed = True, False
        with suppress(StoreFailure):
            if self._store is not None:
                self._store.folder.set_mode(PUBLIC_DIRECTORY)
                lock.tidy(self._store.folder)
                leftovers.clear_store(self._store, self._breathe)
            self._past.cleared = True

    def _take(self, step: Step, layout: Layout) -> StepOutcome:
        self._past.looks.forget(step.entry)
        self._stepped.add(step.entry)
        self._resting -= {step.entry}
        try:
            if isinstance(step, Switch):
                generation = switch(self._with_state(), step, layout)
                return StepOutcome(step, self.verify(step.entry), generation)
            if self._store is not None:
                if isinstance(step, Record):
                    record_trusts(self._store, step)
                else:
                    point_nowhere(self._store, step.entry)
        except Exception as error:  # noqa: BLE001 - the boundary of one entry: its fault is no other entry's
            # Something unfinished may be left, and a link may not be durable.
            self._past.cleared = self._past.durable = False
            self._past.failed = True
            return StepOutcome(step, error if isinstance(error, StoreFailure) else unexpected(step.entry, error))
        return StepOutcome(step)

    # The store directory

    def _existing_folder(self) -> Directory | None:
        if self._root.look(STORE) is None:
            return None
        if not self._root.holds_directory(STORE):
            raise foreign(self._root, STORE)
        folder = self._root.open(STORE)
        try:
            require_owner(folder)
        except StoreFailure:
            folder.close()
            raise
        return folder

    def _lock_folder(self, folder: Directory) -> None:
        self._folder = folder
        self._lock = self._take_lock(folder)

    def _read(self, folder: Directory) -> None:
        """Read what the store remembers and whose it is."""
        self._store, self._state = OpenStore.read(self._root, folder)

    def _with_state(self) -> OpenStore:
        """Return the store, with a state in it; made durably if it is missing."""
        store = self._store or self._made()
        store.folder.set_mode(PUBLIC_DIRECTORY)
        if self._state is not None:
            return store
        return self._write(store, StoreState(store.installation or str(uuid.uuid4()), source=self._source))

    def _made(self) -> OpenStore:
        """Make the store directory that the pass began without, and lock it."""
        folder = self._existing_folder() or self._root.make(STORE, PUBLIC_DIRECTORY)
        try:
            self._lock_folder(folder)
            if not {*folder.names()} <= {LOCK}:
                raise StoreFailure(  # noqa: TRY301 - as any other failure here
                    Reason.CONTESTED,
                    f"{shown(folder.path)} was made by another process meanwhile; it is tried again",
                )
        except BaseException:
            self._let_go()
            raise
        self._store = OpenStore(self._root, folder, "")
        self._root.sync()
        return self._store

    def _write(self, store: OpenStore, state: StoreState) -> OpenStore:
        write_state(store.folder, state)
        self._state = state
        self._store = replace(store, installation=state.installation)
        return self._store

    def _let_go(self) -> None:
        for each in (self._lock, self._folder):
            if each is not None:
                each.close()
        self._store = self._lock = self._folder = self._state = None
