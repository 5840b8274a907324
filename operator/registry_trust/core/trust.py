"""A trust as an admin wrote it: registries, the sources of certificates, and the nodes it is for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from registry_trust.core.selection import NodeSelector

DEFAULT_CLIENT_NAME = "client"
DEFAULT_CERTIFICATE_KEY = "tls.crt"
DEFAULT_PRIVATE_KEY_KEY = "tls.key"
DEFAULT_CA_RETENTION = 86_400.0
"""Seconds: a day is enough for a registry to follow its CA, and short enough for nobody to forget it."""


class ExistingFilesPolicy(StrEnum):
    """What an agent does where somebody else's files are in the place of a registry's entry."""

    REFUSE = "Refuse"
    """It leaves them alone and says so."""
    REPLACE = "Replace"
    """It puts them aside in one step, keeps them, and puts them back when the entry goes."""


@dataclass(frozen=True, slots=True)
class SecretKeyRef:
    """One key of a Secret in the trust namespace."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class ConfigMapKeyRef:
    """One key of a ConfigMap in the trust namespace."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class InlinePEM:
    """PEM text that stands in the trust itself; certificates only."""

    pem: str


CASource = SecretKeyRef | ConfigMapKeyRef | InlinePEM


@dataclass(frozen=True, slots=True)
class ClientSource:
    """A Secret with a client certificate and its key; `name` is the file name that the pair gets on a node."""

    secret: str
    name: str = DEFAULT_CLIENT_NAME
    certificate_key: str = DEFAULT_CERTIFICATE_KEY
    private_key_key: str = DEFAULT_PRIVATE_KEY_KEY


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
    selector: NodeSelector | None = None
    ca_retention: float = DEFAULT_CA_RETENTION
    existing_files: ExistingFilesPolicy = ExistingFilesPolicy.REFUSE
    suspend: bool = False
