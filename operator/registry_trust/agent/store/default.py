"""The `_default` of others: reads what it offers, and takes it only once it was seen the same for a moment."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from registry_trust.agent.store.directories import Directory
from registry_trust.core.carried import Carried, NotCarried
from registry_trust.core.hosts_toml import from_files, parse
from registry_trust.core.layout import AUTHORITIES, CERTIFICATE, DEFAULT, ENDINGS, HOSTS_FILE
from registry_trust.core.observed import ForeignEntry, ObservedRoot

SETTLED = 0.3
"""Seconds for which it must be seen the same: who writes a file in two steps must not be read between them."""
SETTLED_OFTEN = 5.0
"""Seconds instead, while it changes all the time: each change is a new generation of every entry."""
OFTEN, WINDOW = 6, 60.0
"""So many changes in so many seconds are all the time."""

_SOON = NotCarried("was written just now; it is read in a moment", soon=True)


def offered(
    directory: Directory, names: Collection[str], hosts: tuple[os.stat_result, bytes] | None, *, whole: bool
) -> Carried | NotCarried | None:
    """Return what a `_default` says to containerd, why that is not taken along, or None if it says nothing.

    Args:
        directory: it, open.
        names: what is in it.
        hosts: attributes and bytes of its `hosts.toml`, if that is a regular file.
        whole: `names` are all of them.

    Raises:
        StoreFailure: something in it can't be looked at.
    """
    path = directory.path
    files = [name for name in names if name.endswith(ENDINGS) and not directory.holds_directory(name)]
    if not whole:
        return NotCarried("it holds too many files", "Remove those that nobody needs")
    if hosts is None and directory.look(HOSTS_FILE) is not None:
        return NotCarried("its hosts.toml is a link or another special file", "Write it as a regular file")
    if hosts is not None and hosts[1]:
        # Not more readable than what was read: others must be able to open both the file and its directory.
        private = not (hosts[0].st_mode & stat.S_IROTH and directory.status().st_mode & stat.S_IXOTH)
        found = parse(hosts[1], path, private=private)
        if isinstance(found, Carried) and found.refused_by() and from_files(files, path):
            why = f"it holds certificate files, which containerd {found.refused_by()} reads instead of its hosts.toml"
            return NotCarried(
                why, "Move its files that end in .crt and .cert into a directory below it, and name them so"
            )
        return None if isinstance(found, Carried) and found.says_nothing() else found
    if any(name.endswith((AUTHORITIES, CERTIFICATE)) and not name.isprintable() for name in files):
        return NotCarried("a file in it has a name that is not text", "Rename the file")
    return from_files(files, path)


def unreadable(code: str) -> NotCarried:
    """Return why a `_default` is not taken along that the system keeps from us."""
    return NotCarried(f"it can't be read ({code})", f"Give it and its files to uid {os.geteuid()}")


@dataclass(slots=True)
class _Followed:
    """What is known of one root's `_default`: as it was `seen` since when, and what is relied on."""

    seen: ForeignEntry | None
    since: float
    settled: ForeignEntry | None
    is_settled: bool
    last: Carried | None = None
    changes: deque[float] = field(default_factory=lambda: deque(maxlen=OFTEN))

    def due(self, now: float) -> float:
        """Return the seconds until what is seen may be relied on."""
        often = len(self.changes) == OFTEN and now - self.changes[0] <= WINDOW
        return self.since + (SETTLED_OFTEN if often else SETTLED) - now


class Defaults:
    """The `_default` of each root, as far as it may be relied on."""

    def __init__(self) -> None:
        self._known: dict[str, _Followed] = {}

    def due(self, now: float) -> float | None:
        """Return the seconds until one that changed not long ago is to be looked at again; None if there is none."""
        return min((max(each.due(now), 0.0) for each in self._known.values() if not each.is_settled), default=None)

    def settle(self, path: str, observed: ObservedRoot, now: float) -> ObservedRoot:
        """Return what a root holds, with its `_default` as it was seen for long enough.

        Args:
            path: the root.
            observed: what it holds now.
            now: monotonic time.
        """
        seen = observed.foreign.get(DEFAULT)
        known = self._known.get(path)
        if known is None:
            at_once = seen is None or seen.offer is None
            settled = seen if seen is None or at_once else replace(seen, offer=_SOON)
            known = self._known[path] = _Followed(seen, now, settled, at_once)
        elif seen != known.seen:
            known.seen, known.since, known.is_settled = seen, now, False
        if not known.is_settled and known.due(now) <= 0:
            _rely(known, now)
        others = {name: entry for name, entry in observed.foreign.items() if name != DEFAULT}
        return replace(observed, foreign=others if known.settled is None else {**others, DEFAULT: known.settled})


def _rely(known: _Followed, now: float) -> None:
    known.is_settled, known.settled = True, known.seen
    known.changes.append(now)
    offer = None if known.seen is None else known.seen.offer
    if isinstance(offer, NotCarried):
        known.settled = known.seen and replace(known.seen, offer=replace(offer, last=known.last))
    else:
        known.last = offer
