"""Sources: the bytes that a trust's references name, taken from a snapshot of the trust namespace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from registry_trust.core.errors import SourceUnavailable
from registry_trust.core.reasons import Reason
from registry_trust.core.text import listing, quote
from registry_trust.core.trust import CASource, ClientSource, InlinePEM, SourceKind, SourceRef, Trust

_LIKELY = re.compile(r"\.(crt|pem|cer|cert|key)$")
"""How the keys of certificates usually end."""

ALLOWED_SECRET_TYPES = frozenset({"Opaque", "kubernetes.io/tls", ""})
"""Types whose content may be a certificate; a token, a Helm release or a pull secret never is."""


class _Words(NamedTuple):
    """What is said of a kind of source: its field in `caCertificates`, and why an object or a key can't be read."""

    field: str
    not_found: Reason
    key_not_found: Reason


_WORDS: Mapping[str, _Words] = {
    SourceKind.SECRET: _Words("secretKeyRef", Reason.SECRET_NOT_FOUND, Reason.SECRET_KEY_NOT_FOUND),
    SourceKind.CONFIG_MAP: _Words("configMapKeyRef", Reason.CONFIG_MAP_NOT_FOUND, Reason.CONFIG_MAP_KEY_NOT_FOUND),
}


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
    """A complete snapshot of the trust namespace's Secrets and ConfigMaps, by kind and name."""

    namespace: str
    objects: Mapping[tuple[str, str], SourceObject]

    @classmethod
    def of(cls, namespace: str, objects: Iterable[SourceObject]) -> Self:
        """Return the snapshot that has these objects."""
        return cls(namespace, {(found.kind, found.name): found for found in objects})

    def versions(self, trust: Trust) -> tuple[tuple[str, str, str], ...]:
        """Return kind, name and version of every object that a trust names: what its content depends on."""
        named = {(ref.kind, ref.name) for ref in trust.references() if ref.name}
        return tuple((*each, found.version if (found := self.objects.get(each)) else "") for each in sorted(named))

    def place(self, ref: SourceRef) -> str:
        """Return how messages call a source."""
        return f"{ref.kind} {self.namespace}/{ref.name} key {ref.key}" if ref.name else ref.kind

    def read(self, ref: SourceRef, field: str) -> bytes:
        """Return the bytes of one key.

        Raises:
            SourceUnavailable: the object or key does not exist, or the Secret is of a type that is never a source.
        """
        found = self.objects.get((ref.kind, ref.name))
        if found is None:
            raise SourceUnavailable(
                _WORDS[ref.kind].not_found,
                f"there is no {ref.kind} {quote(ref.name)} in namespace {self.namespace}, the only one that is read; "
                "create it there, or correct the name",
                field=field,
            )
        if found.kind is SourceKind.SECRET and found.secret_type not in ALLOWED_SECRET_TYPES:
            raise SourceUnavailable(
                Reason.SECRET_TYPE_FORBIDDEN,
                f"Secret {self.namespace}/{ref.name} has type {quote(found.secret_type)}, which never holds "
                "certificates for registries; use one of type Opaque or kubernetes.io/tls",
                field=field,
            )
        if ref.key not in found.data:
            # Of however many there are, first those that may have been meant.
            keys = sorted(found.data, key=lambda each: (not _LIKELY.search(each), each))
            raise SourceUnavailable(
                _WORDS[ref.kind].key_not_found,
                f"{ref.kind} {self.namespace}/{ref.name} has no key {quote(ref.key)}; "
                + (f"it has {listing([quote(k, 64) for k in keys], 8)}" if keys else "it has no keys at all")
                + ("; cert-manager fills ca.crt only where the issuer gives one" if ref.key == "ca.crt" else ""),
                field=field,
            )
        return found.data[ref.key]


def read_ca(sources: Sources, source: CASource, index: int) -> tuple[bytes, str]:
    """Return bytes and field path of one entry of `caCertificates`.

    Raises:
        SourceUnavailable: see `Sources.read`.
    """
    field_path = f"spec.caCertificates[{index}]"
    if isinstance(source, InlinePEM):
        return source.pem.encode(), f"{field_path}.{source.ref}"
    field_path = f"{field_path}.{_WORDS[source.kind].field}"
    return sources.read(source, field_path), field_path


def read_pair(sources: Sources, source: ClientSource, index: int) -> tuple[bytes, bytes, str]:
    """Return certificate, key and field path of one entry of `clientCertificates`.

    A Secret that holds only the certificate's key, or only the private key, is reported as what it is: half a pair.

    Raises:
        SourceUnavailable: see `Sources.read`; PairIncomplete where one half exists.
    """
    field_path = f"spec.clientCertificates[{index}].secretRef"
    refs = (source.certificate, source.private_key)
    found = sources.objects.get((source.certificate.kind, source.certificate.name))
    present = tuple(found is not None and bool(found.data.get(ref.key, b"").strip()) for ref in refs)
    if found is not None and any(present) and not all(present) and found.secret_type in ALLOWED_SECRET_TYPES:
        missing = refs[present.index(False)]
        advice = (
            "a certificate without a key is not a client certificate: if it is the CA of the registry, "
            "it belongs in caCertificates; otherwise add the key"
            if present[0]
            else "add the certificate that belongs to this key"
        )
        raise SourceUnavailable(
            Reason.PAIR_INCOMPLETE,
            f"Secret {sources.namespace}/{missing.name} has no key {quote(missing.key)}; {advice}",
            field=field_path,
        )
    certificate, key = (sources.read(ref, field_path) for ref in refs)
    return certificate, key, field_path
