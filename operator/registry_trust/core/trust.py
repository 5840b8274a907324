"""A trust as an admin wrote it: registries, references to the sources of certificates, and the nodes it is for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from registry_trust.core.selection import Selector

DEFAULT_CLIENT_NAME = "client"
DEFAULT_CA_RETENTION = 86_400.0
"""Seconds: a day is enough for a registry to follow its CA, and short enough for nobody to forget it."""


class ExistingFilesPolicy(StrEnum):
    """What an agent does where another process's files are in the place of a registry's entry."""

    REFUSE = "Refuse"
    """It leaves them alone and says so."""
    REPLACE = "Replace"
    """It puts them aside in one step, keeps them, and puts them back when the entry goes."""


class Verification(StrEnum):
    """What it means for a trust whether nodes can pull from its registries."""

    REPORT = "Report"
    """Some nodes ask the registries, and status has what they found."""
    REQUIRE = "Require"
    """And the trust is Ready only once one of them found that a pull would work, and none that it would not."""
    OFF = "Off"
    """No node asks."""


class SourceKind(StrEnum):
    """Where certificates come from: kinds of object, and the trust itself."""

    SECRET = "Secret"
    CONFIG_MAP = "ConfigMap"
    CLUSTER_TRUST_BUNDLE = "ClusterTrustBundle"
    INLINE = "inline"


@dataclass(frozen=True, slots=True)
class SourceRef:
    """A reference to a source: one key of one object, or a trust's own text (`inline`, without name and key).

    A ClusterTrustBundle has no key. All those of a signer that a selector chooses are one source: their name is the
    signer's, which has a slash in it, and their key stands for the selector. The bundle remembers a reference by its
    text, `KIND/NAME/KEY` or `inline`. `kind` is a `SourceKind`, or a word that a later version wrote there.
    """

    kind: str
    name: str = ""
    key: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}/{self.key}" if self.name else self.kind

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the reference that has this text; a text of another shape is a kind of its own."""
        kind, _, rest = text.partition("/")
        name, _, key = rest.rpartition("/")
        reference = cls(kind, name, key)
        return reference if str(reference) == text else cls(text)

    @property
    def ref(self) -> SourceRef:
        """Return the reference of this source: itself."""
        return self


@dataclass(frozen=True, slots=True)
class InlinePEM:
    """PEM text that stands in the trust itself; certificates only."""

    pem: str

    @property
    def ref(self) -> SourceRef:
        """Return the reference that all texts of a trust have in common."""
        return SourceRef(SourceKind.INLINE)


@dataclass(frozen=True, slots=True)
class SignerBundles:
    """The ClusterTrustBundles of one signer that a selector of labels chooses, united."""

    signer: str
    selector: Selector

    @property
    def ref(self) -> SourceRef:
        """Return the reference that stands for signer and selector."""
        digest = hashlib.sha256(repr(self.selector).encode()).hexdigest()[:12]
        return SourceRef(SourceKind.CLUSTER_TRUST_BUNDLE, self.signer, digest)


CASource = SourceRef | InlinePEM | SignerBundles


@dataclass(frozen=True, slots=True)
class ClientSource:
    """Two keys of one Secret: a client certificate and its private key; `name` is the pair's file name on a node."""

    certificate: SourceRef
    private_key: SourceRef
    name: str = DEFAULT_CLIENT_NAME


@dataclass(frozen=True, slots=True)
class Rollout:
    """How new content of a trust goes to a few nodes first, its canaries.

    Attributes:
        canaries: how many nodes; with `percent`, so many of a hundred, rounded up.
        selector: labels that canaries have, besides those that the trust selects by; None for any.
        minimum: seconds that all canaries have it before all other nodes get it.
        verify: whether canaries have to find that pulls work.
    """

    canaries: int = 1
    percent: bool = False
    selector: Selector | None = None
    minimum: float = 0.0
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Trust:
    """One `RegistryTrust` object's identity and spec, checked by shape but not yet by content.

    `created` is the object's creationTimestamp (RFC 3339, UTC, seconds), `generation` its metadata.generation,
    `ca_retention` the seconds that a CA certificate stays after its source replaced it.
    """

    name: str
    uid: str
    created: str
    generation: int
    registries: tuple[str, ...]
    ca_sources: tuple[CASource, ...] = ()
    client_sources: tuple[ClientSource, ...] = ()
    selector: Selector | None = None
    ca_retention: float = DEFAULT_CA_RETENTION
    existing_files: ExistingFilesPolicy = ExistingFilesPolicy.REFUSE
    suspend: bool = False
    verification: Verification = Verification.REPORT
    rollout: Rollout | None = None

    def references(self) -> Iterator[SourceRef]:
        """Yield the reference of every source."""
        yield from (source.ref for source in self.ca_sources)
        for client in self.client_sources:
            yield client.certificate
            yield client.private_key
