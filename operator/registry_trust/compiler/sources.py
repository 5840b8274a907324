"""Sources: the bytes that a trust's references name, taken from a snapshot of the trust namespace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from registry_trust.core.errors import SourceUnavailable
from registry_trust.core.reasons import Reason
from registry_trust.core.text import listing, quote
from registry_trust.core.trust import CASource, ClientSource, ConfigMapKeyRef, InlinePEM, SecretKeyRef, Trust

ALLOWED_SECRET_TYPES = frozenset({"Opaque", "kubernetes.io/tls", ""})
"""Types whose content may be a certificate; a token, a Helm release or a pull secret never is."""


class SourceKind(StrEnum):
    """The kinds of object that a trust may name."""

    SECRET = "Secret"
    CONFIG_MAP = "ConfigMap"


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One Secret or ConfigMap of the trust namespace; the data is never printed."""

    kind: SourceKind
    name: str
    version: str
    data: Mapping[str, bytes] = field(repr=False)
    secret_type: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """A complete snapshot of the trust namespace's Secrets and ConfigMaps."""

    namespace: str
    objects: Mapping[tuple[SourceKind, str], SourceObject]

    def versions(self, trust: Trust) -> tuple[tuple[str, str, str], ...]:
        """Return kind, name and version of every object that a trust names: what its content depends on."""
        return tuple(
            (kind.value, name, found.version if (found := self.objects.get((kind, name))) else "")
            for kind, name in sorted(referenced(trust))
        )

    def place(self, kind: SourceKind, name: str, key: str) -> str:
        """Return how messages call one key of one object."""
        return f"{kind.value} {self.namespace}/{name} key {key}"

    def place_of(self, source: str) -> str:
        """Return how messages call a source by the name that the bundle has for it (`source_of`)."""
        kind, slash, rest = source.partition("/")
        name, _, key = rest.partition("/")
        return f"{kind} {self.namespace}/{name} key {key}" if slash else source

    def read(self, kind: SourceKind, name: str, key: str, field: str) -> bytes:
        """Return the bytes of one key.

        Raises:
            SourceUnavailable: the object or key does not exist, or the Secret is of a type that is never a source.
        """
        found = self.objects.get((kind, name))
        secret = kind is SourceKind.SECRET
        if found is None:
            raise SourceUnavailable(
                Reason.SECRET_NOT_FOUND if secret else Reason.CONFIG_MAP_NOT_FOUND,
                f"there is no {kind.value} {quote(name)} in namespace {self.namespace}, the only one that is read; "
                "create it there, or correct the name",
                field=field,
            )
        if secret and found.secret_type not in ALLOWED_SECRET_TYPES:
            raise SourceUnavailable(
                Reason.SECRET_TYPE_FORBIDDEN,
                f"Secret {self.namespace}/{name} has type {quote(found.secret_type)}, which never holds certificates "
                "for registries; use one of type Opaque or kubernetes.io/tls",
                field=field,
            )
        if key not in found.data:
            keys = sorted(found.data)
            raise SourceUnavailable(
                Reason.SECRET_KEY_NOT_FOUND if secret else Reason.CONFIG_MAP_KEY_NOT_FOUND,
                f"{kind.value} {self.namespace}/{name} has no key {quote(key)}; "
                + (f"it has {listing([quote(k) for k in keys], 8)}" if keys else "it has no keys at all")
                + ("; cert-manager fills ca.crt only where the issuer gives one" if key == "ca.crt" else ""),
                field=field,
            )
        return found.data[key]


def referenced(trust: Trust) -> set[tuple[SourceKind, str]]:
    """Return every Secret and ConfigMap that a trust names."""
    names: set[tuple[SourceKind, str]] = {(SourceKind.SECRET, source.secret) for source in trust.client_sources}
    for source in trust.ca_sources:
        if isinstance(source, SecretKeyRef):
            names.add((SourceKind.SECRET, source.name))
        elif isinstance(source, ConfigMapKeyRef):
            names.add((SourceKind.CONFIG_MAP, source.name))
    return names


INLINE = "inline"


def source_of(source: CASource) -> str:
    """Return how the bundle calls one source: `Secret/NAME/KEY`, `ConfigMap/NAME/KEY` or `inline`."""
    match source:
        case SecretKeyRef(name, key):
            return f"{SourceKind.SECRET}/{name}/{key}"
        case ConfigMapKeyRef(name, key):
            return f"{SourceKind.CONFIG_MAP}/{name}/{key}"
    return INLINE


def read_ca(sources: Sources, source: CASource, index: int) -> tuple[bytes, str, str]:
    """Return bytes, field path and place of one entry of `caCertificates`.

    Raises:
        SourceUnavailable: see `Sources.read`.
    """
    field_path = f"spec.caCertificates[{index}]"
    match source:
        case InlinePEM(pem):
            return pem.encode(), f"{field_path}.inline", "inline"
        case SecretKeyRef(name, key):
            kind, field_path = SourceKind.SECRET, f"{field_path}.secretKeyRef"
        case ConfigMapKeyRef(name, key):
            kind, field_path = SourceKind.CONFIG_MAP, f"{field_path}.configMapKeyRef"
    return sources.read(kind, name, key, field_path), field_path, sources.place(kind, name, key)


def read_pair(sources: Sources, source: ClientSource, index: int) -> tuple[bytes, bytes, str, tuple[str, str]]:
    """Return certificate, key, field path and the two places of one entry of `clientCertificates`.

    A Secret that holds only the certificate's key, or only the private key, is reported as what it is: half a pair.

    Raises:
        SourceUnavailable: see `Sources.read`; PairIncomplete where one half exists.
    """
    field_path = f"spec.clientCertificates[{index}].secretRef"
    keys = (source.certificate_key, source.private_key_key)
    places = tuple(sources.place(SourceKind.SECRET, source.secret, key) for key in keys)
    found = sources.objects.get((SourceKind.SECRET, source.secret))
    present = tuple(found is not None and bool(found.data.get(key, b"").strip()) for key in keys)
    if found is not None and any(present) and not all(present) and found.secret_type in ALLOWED_SECRET_TYPES:
        missing = keys[present.index(False)]
        advice = (
            "a certificate without a key is not a client certificate: if it is the CA of the registry, "
            "it belongs in caCertificates; otherwise add the key"
            if present[0]
            else "add the certificate that belongs to this key"
        )
        raise SourceUnavailable(
            Reason.PAIR_INCOMPLETE,
            f"Secret {sources.namespace}/{source.secret} has no key {quote(missing)}; {advice}",
            field=field_path,
        )
    certificate, key = (sources.read(SourceKind.SECRET, source.secret, name, field_path) for name in keys)
    return certificate, key, field_path, (places[0], places[1])
