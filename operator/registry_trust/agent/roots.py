"""Roots: all mounted roots of this node, locked and looked at together, and whose bundle each of them serves."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from registry_trust.agent.options import Mount
from registry_trust.agent.rollback import Applied
from registry_trust.agent.store.default import Defaults
from registry_trust.agent.store.drift import Changes
from registry_trust.agent.store.failures import unexpected
from registry_trust.agent.store.locked_store import LockedStore
from registry_trust.agent.store.neighbour_roots import NeighbourRoots
from registry_trust.agent.store.observe import Observation
from registry_trust.agent.store.store import Store
from registry_trust.agent.store.tenure import ABANDONED, SIGN_EVERY, Tenure
from registry_trust.core.errors import StoreFailure
from registry_trust.core.observed import ObservedRoot, Target
from registry_trust.core.reasons import Reason
from registry_trust.core.text import quote

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Opened:
    """The roots that are locked and were looked at in this pass, by path on the host; and those that can't be.

    `neighbours` are the roots that are only looked at, and `unseen` those of them that can't be.
    """

    stores: dict[str, LockedStore] = field(default_factory=dict)
    seen: dict[str, Observation] = field(default_factory=dict)
    failed: dict[str, StoreFailure] = field(default_factory=dict)
    neighbours: dict[str, ObservedRoot] = field(default_factory=dict)
    unseen: dict[str, StoreFailure] = field(default_factory=dict)

    def store(self, path: str) -> LockedStore:
        """Return a root's store.

        Raises:
            StoreFailure: what failed with the root, if anything did.
        """
        if path in self.failed:
            raise self.failed[path]
        return self.stores[path]

    def observed(self) -> dict[str, ObservedRoot]:
        """Return what all roots hold, ours and those that are only looked at."""
        return {**self.neighbours, **{path: seen.root for path, seen in self.seen.items()}}


class Roots:
    """The stores of all mounted roots, by path on the host."""

    def __init__(
        self,
        roots: Sequence[Mount],
        configurations: Sequence[Mount],
        source: str,
        breathe: Callable[[], object],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Describe the roots; nothing is opened yet.

        Args:
            roots: what is written.
            configurations: what is mounted read-only.
            source: whose bundle is applied, `namespace/name`.
            breathe: called between any two pieces of work; what it raises ends the pass there.
            monotonic: a clock in seconds.
        """
        self.stores = {
            mount.host: Store(mount.here, shown_path=mount.host, breathe=breathe, source=source, monotonic=monotonic)
            for mount in roots
        }
        self.written: frozenset[str] = frozenset()
        """The roots that hold this installation's store, as of the last look."""
        self._last = {mount.host: Observation(ObservedRoot(), directory=mount.here) for mount in roots}
        """What each root held when it was last looked at."""
        self._tenures = {mount.host: Tenure() for mount in roots}
        self._neighbours = NeighbourRoots(configurations, roots)
        self._defaults = Defaults()
        self._source = source
        self._monotonic = monotonic
        self._signed = float("-inf")

    def detached(self) -> str:
        """Return the path of a root that was moved or deleted under its mount; empty where there is none."""
        return next((path for path, store in self.stores.items() if store.is_detached()), "")

    def watched_paths(self) -> list[str]:
        """Return the directories in which any change is drift."""
        own = [path for seen in self._last.values() for path in seen.watched()]
        return [*own, *self._neighbours.watched_paths()]

    @contextmanager
    def open(self, changes: Changes | None = None) -> Iterator[tuple[ExitStack, Opened]]:
        """Lock and look at every root, in the order of their paths; one that fails is left out.

        `changes` says where something changed since the last time; None if it is not known, or not for sure.

        A directory that is mounted twice (a host's /etc/docker/certs.d may be a link to containerd's) is locked once:
        a second lock would wait for the first one's end.
        """
        opened = Opened()
        paths: dict[tuple[int, int], str] = {}
        for store in self.stores.values():
            store.note(changes)
        with ExitStack() as stack:
            for path, store in sorted(self.stores.items()):
                try:
                    first = paths.setdefault(store.identity(), path)
                    if first in opened.stores:
                        opened.stores[path], opened.seen[path] = opened.stores[first], opened.seen[first]
                    else:
                        locked = stack.enter_context(store.lock())
                        opened.seen[path] = self._settled(path, locked.observe(noted=True))
                        opened.stores[path] = locked
                    self._last[path] = opened.seen[path]
                except Exception as error:  # noqa: BLE001 - the boundary of one root: its fault is no other root's
                    failure = error if isinstance(error, StoreFailure) else unexpected(path, error)
                    opened.failed[path] = failure
            yield stack, opened

    def observe_again(self, opened: Opened, path: str, entries: Collection[str]) -> bool:
        """Read those of a root's entries that were not read in this pass; say whether one is not as it was before."""
        seen = opened.stores[path].observe_again(entries)
        if seen is not None:
            opened.seen[path] = self._settled(path, seen)
        return seen is not None

    def observe_after(self, opened: Opened) -> None:
        """Look at what this pass made of the roots in which it took a step."""
        for path, store in opened.stores.items():
            if path not in opened.failed and store.stepped():
                opened.seen[path] = self._settled(path, store.observe(noted=True))
                self._last[path] = opened.seen[path]

    def hold(self, changes: Changes) -> bool:
        """Say whether all these changes are in roots that are written or in their stores."""
        return all(any(store.holds(path) for store in self.stores.values()) for path, _ in changes.places)

    def _settled(self, path: str, seen: Observation) -> Observation:
        return replace(seen, root=self._defaults.settle(path, seen.root, self._monotonic()))

    def states(self, opened: Opened) -> tuple[Applied, ...]:
        """Return what each root that serves our bundle remembers of it, and leave a sign of life there."""
        states: dict[str, Applied] = {}
        signs = self._monotonic() - self._signed >= SIGN_EVERY
        for path, store in opened.stores.items():
            state = store.state
            if state is None or state.source not in ("", self._source):
                continue
            try:
                if signs:
                    store.leave_sign()
                    self._signed = self._monotonic()
            except StoreFailure as error:
                opened.failed[path] = error
                continue
            states[path] = Applied(state.bundle_uid, state.serial, state.writer)
        self.written = frozenset(states)
        return tuple(states.values())

    def claim(self, path: str, store: LockedStore, now: float) -> None:
        """Make sure that a root's store serves our bundle; taken over if nobody is at work there any longer.

        Raises:
            StoreFailure: OtherInstallation, or the store can't be written.
        """
        owner = "" if store.state is None else store.state.source
        if self._tenures[path].must_wait(owner, self._source, store.last_sign(), now):
            raise StoreFailure(
                Reason.OTHER_INSTALLATION,
                f"{path} is written by another installation of registry-trust, for the bundle {quote(owner)}; nothing "
                f"is changed here. Remove one of the two. {ABANDONED / 60:g} minutes after the last agent of the other "
                "one has stopped, this one takes over",
            )
        if owner not in ("", self._source):
            log.warning("%s: taken over from another installation, which served the bundle %s", path, quote(owner))
        store.claim()

    def unsettled(self, now: float) -> float | None:
        """Return the seconds until a `_default` that changed not long ago is to be looked at again; None if none is."""
        return self._defaults.due(now)

    def neighbours(self, targets: Sequence[Target]) -> tuple[dict[str, ObservedRoot], dict[str, StoreFailure]]:
        """Look at the roots that the targets' readers look in as well: what they hold, and why others can't be seen."""
        try:
            observed, failed = self._neighbours.observe(targets)
            now = self._monotonic()
            return {path: self._defaults.settle(path, seen, now) for path, seen in observed.items()}, failed
        except Exception as error:  # noqa: BLE001 - what can't be looked at is not known, and says so on each target
            return {}, {path: unexpected(path, error) for target in targets for path in target.lookup_chain()}
