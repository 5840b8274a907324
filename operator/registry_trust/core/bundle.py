"""The bundle: the compiled desired state of all trusts, as one value and as the data of one Secret."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from registry_trust.core.problem import Problem
from registry_trust.core.selection import Selector
from registry_trust.core.trust import ExistingFilesPolicy, SourceRef

SCHEMA = 2
"""Version of `index.json` that this reader understands as a whole. One that knows less than `minReader` keeps what it
has; one that knows less than this ignores what it does not know: before 2, candidates."""

INDEX_KEY = "index.json"
SIZE_LIMIT = 1_000_000
"""Bytes of names and values together; the API server's own limit for a Secret is 1 MiB (1,048,576)."""


HIGHEST_SERIAL = 2**52
"""No bundle is written so often: the operator goes on from no higher one, whoever says so. Agents read twice that,
and so whatever the operator writes."""


MOST_WRITERS = 16
"""Operator processes that a bundle names: a node that was away for more of them takes whatever comes, as a new one."""


class TrustState(StrEnum):
    """What the index says of a trust."""

    ACTIVE = "Active"
    """The content stands in the bundle and is to be on the nodes."""
    HELD = "Held"
    """The trust exists and nobody knows its content: nodes keep what they have of it."""
    REMOVED = "Removed"
    """The trust is gone; its content is served a little longer, so that a rename or a mistake has no gap."""


@dataclass(frozen=True, slots=True, order=True)
class ClientPairRef:
    """A client pair by the blobs that hold it; `name` is its file name on a node, without ending."""

    name: str
    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class TrustContent:
    """What a trust asks of a node; certificates and keys are references to blobs."""

    registries: tuple[str, ...]
    ca_certificates: tuple[str, ...] = ()
    client_certificates: tuple[ClientPairRef, ...] = ()
    selector: Selector | None = None
    existing_files: ExistingFilesPolicy = ExistingFilesPolicy.REFUSE

    def references(self) -> Iterable[str]:
        """Yield every blob that this content needs."""
        yield from self.ca_certificates
        for pair in self.client_certificates:
            yield pair.certificate
            yield pair.key

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Say whether a node with these labels is to have this content."""
        return self.selector is None or self.selector.selects(labels)


@dataclass(frozen=True, slots=True)
class CAOrigin:
    """Which source a served CA certificate came from; a certificate may have several.

    Attributes:
        reference: the certificate's blob.
        source: the source.
        replaced_at: Unix time at which the operator saw that the source has it no longer; None while it has.
    """

    reference: str
    source: SourceRef
    replaced_at: float | None = None


def in_order(origins: Iterable[CAOrigin]) -> tuple[CAOrigin, ...]:
    """Return origins in the order that the index has them."""
    return tuple(sorted(origins, key=lambda origin: (str(origin.source), origin.reference)))


@dataclass(frozen=True, slots=True)
class CanaryContent:
    """New content of a trust that only its canaries have so far.

    Attributes:
        content: the new content, on the canaries instead of what all others have.
        since: the serial from which each of the canaries has it.
        started_at: Unix time of that serial's write.
        canaries: names of the nodes.
        failing: registries of which nodes said before that pulls fail with what was served then.
    """

    content: TrustContent
    since: int
    started_at: float
    canaries: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why new content of a trust goes no further than its canaries, and from them too, until it changes.

    Attributes:
        revision: names the content (`compiler.rollout.revision_of`).
        node: the canary that failed.
        registry: the registry that failed there.
        problem: what the node said.
    """

    revision: str
    node: str
    registry: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class IndexedTrust:
    """One trust's place in the index; `since` is the serial at which its content last changed."""

    name: str
    uid: str
    since: int
    state: TrustState
    content: TrustContent | None = None
    removed_at: float | None = None
    """Unix time at which the operator saw that the trust was gone; None unless REMOVED."""
    origins: tuple[CAOrigin, ...] = ()
    """Where the CA certificates came from. The operator remembers by it what it retains; agents have no use for it."""
    roots_replaced: tuple[tuple[SourceRef, float], ...] = ()
    """Sources whose CA certificates were all replaced with no overlap, and the Unix time of it: status warns of it."""
    held_until: float | None = None
    """Unix time to which the mass-removal guard keeps a REMOVED trust on the nodes; None where it does not hold it."""
    verifiers: tuple[str, ...] = ()
    """Names of the nodes that ask the trust's registries whether a pull would work."""
    rollout: CanaryContent | Refusal | None = None
    """New content that is not for all nodes, or not for any; None where all that the admin asks for is served."""
    unserved: bool = False
    """No node was ever to have anything of it: a HELD trust of which nodes keep nothing."""

    def on(self, node: str) -> IndexedTrust:
        """Return the trust as one node is to have it: a canary gets the candidate."""
        candidate = self.candidate
        if candidate is None or node not in candidate.canaries:
            return self
        return replace(self, content=candidate.content)

    @property
    def candidate(self) -> CanaryContent | None:
        """The content that only canaries have, if there is one."""
        return self.rollout if isinstance(self.rollout, CanaryContent) else None

    def references(self) -> Iterable[str]:
        """Yield every blob that the trust needs, on whichever node."""
        if self.content is not None:
            yield from self.content.references()
        if self.candidate is not None:
            yield from self.candidate.content.references()


@dataclass(frozen=True, slots=True)
class LostHistory:
    """A history before this bundle of which the operator knows nothing (a restored etcd, an emptied Secret).

    Nodes may have trusts of it that the index does not list. While a bundle says so, no trust loses files on a node.

    Attributes:
        since: the first serial that is not of the lost history.
        held_until: Unix time at which the operator takes this out of the bundle, if no admin confirms before.
    """

    since: int
    held_until: float


@dataclass(frozen=True, slots=True)
class Writer:
    """An operator process, by a random name, and the first serial that it writes or would write."""

    name: str
    since: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """All trusts in the order of their age in the index, and the PEM blobs that they refer to.

    `serial` counts writes, `fleet_size` is the number of Nodes (agents spread their reports by it), `withdrawn` asks
    agents to remove everything that they wrote (uninstallation).
    """

    serial: int = 0
    trusts: tuple[IndexedTrust, ...] = ()
    blobs: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    fleet_size: int = 0
    withdrawn: bool = False
    removals: tuple[tuple[str, float], ...] = ()
    """Name and Unix time of the last minutes' removals that nobody confirmed: the mass-removal guard counts them."""
    lost_history: LostHistory | None = None
    writers: tuple[Writer, ...] = ()
    """The last operator processes, oldest first. A serial says how many bundles were written, and not by whom: after an
    etcd was restored, other bundles may have the serials that were lost. No reason for a write."""
    _by_name: Mapping[str, IndexedTrust] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {trust.name: trust for trust in reversed(self.trusts)})

    def trust(self, name: str) -> IndexedTrust | None:
        """Return the trust of that name, if the index lists it."""
        return self._by_name.get(name)

    def writer(self, serial: int) -> Writer | None:
        """Return who wrote the bundle of a serial in this one's history; None if it does not say."""
        return next((each for each in reversed(self.writers) if each.since <= serial), None)

    def written_by(self, name: str, since: int) -> Bundle:
        """Return the bundle that names a process as the writer of what follows, from serial `since` on."""
        before = tuple(each for each in self.writers if each.since <= self.serial)
        if before and before[-1].name == name:
            return replace(self, writers=before)
        return replace(self, writers=(*before, Writer(name, since))[-MOST_WRITERS:])

    def same_content(self, other: Bundle) -> bool:
        """Say whether nothing but the serial (and a trust's `since`) differs: then there is nothing to write."""

        def essence(bundle: Bundle) -> object:
            trusts = tuple(
                (
                    *(t.name, t.uid, t.state, t.content, t.removed_at, t.origins, t.held_until, t.verifiers),
                    *(t.rollout, t.unserved),
                )
                for t in bundle.trusts
            )
            return trusts, bundle.fleet_size, bundle.withdrawn, bundle.lost_history

        return essence(self) == essence(other) and dict(self.blobs) == dict(other.blobs)


def reference_of(pem: bytes) -> str:
    """Return the name under which a PEM stands in the bundle: its SHA-256 in hex."""
    return hashlib.sha256(pem).hexdigest()
