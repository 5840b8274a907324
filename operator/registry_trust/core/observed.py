"""Observed: a target, and what a root on a node holds, ours and everybody else's; what a plan compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from registry_trust.core.carried import Carried, NotCarried
from registry_trust.core.layout import Layout, Reader, possible_readers


@dataclass(frozen=True, slots=True)
class Target:
    """A root of certificate directories on a node, and how it is read.

    `path` is the root's path on the host. `chain` lists every root that the same reader looks in, in its order, this
    one included. `readers` are those of which one reads it; empty: every one that the layout is for. A `standby` root
    is read by nothing today: it is written for the day the runtime reads it.
    """

    path: str
    layout: Layout
    chain: tuple[str, ...] = ()
    standby: bool = False
    readers: tuple[Reader, ...] = ()

    def possible_readers(self) -> tuple[Reader, ...]:
        """Return who may read this root, one at least."""
        return self.readers or possible_readers(self.layout)

    def lookup_chain(self) -> tuple[str, ...]:
        """Return the roots that this target's reader looks in, in its order."""
        return self.chain or (self.path,)


@dataclass(frozen=True, slots=True)
class OwnEntry:
    """An entry that this installation wrote.

    `generation` is what the link points to, and empty where the link is gone; `digest` is the content hash of what it
    points to or is to point to, and empty where the entry was removed; `intact` says that the files are exactly those
    of the manifest (names, bytes, modes, owner) and nothing else. `carried` is what it took along of a `_default`.
    """

    registry: str
    generation: str
    digest: str
    trusts: tuple[str, ...]
    intact: bool
    carried: Carried | None = None


@dataclass(frozen=True, slots=True)
class UnverifiedHost:
    """A registry that a `hosts.toml` leads to and has no `ca` for; `place` is its table, empty for the file's root."""

    registry: str
    place: str


@dataclass(frozen=True, slots=True)
class ForeignEntry:
    """Something in a root that this installation did not write.

    `reads` says whether a runtime would find anything in it, `hides` whether it keeps a runtime from looking further
    (an empty directory does, a link that leads nowhere doesn't). `unverified` is what its `hosts.toml` leads to.
    `offer` is what a `_default` says, or why that is not known; None for any other name.
    """

    description: str
    reads: bool = True
    hides: bool = True
    unverified: tuple[UnverifiedHost, ...] = ()
    offer: Carried | NotCarried | None = None


@dataclass(frozen=True, slots=True)
class ObservedRoot:
    """What a root holds: our entries by name (also those whose link is gone), and everybody else's.

    `unreadable` are entries in the store at which the system refuses to look, with its words: whose they are and what
    is in them is not known, so they are left as they are. `kept` are the entries of which the root keeps what they
    replaced.
    """

    own: Mapping[str, OwnEntry] = field(default_factory=dict)
    foreign: Mapping[str, ForeignEntry] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()

    def linked(self, name: str) -> bool:
        """Say whether `name` is one of our entries and in place."""
        return name in self.own and bool(self.own[name].generation) and name not in self.foreign

    def to_remove(self, name: str) -> bool:
        """Say whether an entry of ours that nobody wants has something to be taken away, or to be put back."""
        return bool(self.own[name].digest) or (name in self.kept and name not in self.foreign)
