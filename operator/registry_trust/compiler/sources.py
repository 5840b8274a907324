"""Sources: the bytes that a trust's references name, taken from a snapshot of what may be named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from registry_trust.core.errors import SourceUnavailable
from registry_trust.core.reasons import Reason
from registry_trust.core.text import listing, quote
from registry_trust.core.trust import CASource, ClientSource, InlinePEM, SignerBundles, SourceKind, SourceRef, Trust

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
    SourceKind.CLUSTER_TRUST_BUNDLE: _Words(
        "clusterTrustBundle", Reason.CLUSTER_TRUST_BUNDLE_NOT_FOUND, Reason.CLUSTER_TRUST_BUNDLE_NOT_FOUND
    ),
}


MOST_NAMED = 8
"""ClusterTrustBundles of one signer that a message names."""


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One Secret or ConfigMap of the trust namespace, or one ClusterTrustBundle; the data is never printed.

    A ClusterTrustBundle has its text under the empty key, and its signer, if any, and its labels.
    """

    kind: SourceKind
    name: str
    version: str
    data: Mapping[str, bytes] = field(repr=False)
    secret_type: str = ""
    signer: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sources:
    """A complete snapshot of the trust namespace's Secrets and ConfigMaps and of ClusterTrustBundles, by kind and name.

    `refused` has the HTTP status with which the API server refused to list a kind.
    """

    namespace: str
    objects: Mapping[tuple[str, str], SourceObject]
    refused: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, namespace: str, objects: Iterable[SourceObject], refused: Mapping[str, int] | None = None) -> Self:
        """Return the snapshot that has these objects."""
        return cls(namespace, {(found.kind, found.name): found for found in objects}, refused or {})

    def versions(self, trust: Trust) -> tuple[tuple[str, str, str], ...]:
        """Return kind, name and version of every object that a trust names: what its content depends on."""
        named = {(ref.kind, ref.name): str(self.refused.get(ref.kind, "")) for ref in trust.references() if ref.name}
        chosen = [each for s in trust.ca_sources if isinstance(s, SignerBundles) for each in self.chosen(s)]
        found = [*chosen, *(self.objects[each] for each in named if each in self.objects)]
        named |= {(each.kind, each.name): each.version for each in found}
        return tuple(sorted((*each, version) for each, version in named.items()))

    def chosen(self, source: SignerBundles) -> list[SourceObject]:
        """Return the ClusterTrustBundles of a signer that a selector chooses, by name."""
        bundles = (each for each in self.objects.values() if each.signer == source.signer)
        return sorted((each for each in bundles if source.selector.selects(each.labels)), key=lambda each: each.name)

    def place(self, ref: SourceRef) -> str:
        """Return how messages call a source."""
        if ref.kind == SourceKind.CLUSTER_TRUST_BUNDLE:
            return f"{ref.kind}s of signer {ref.name}" if ref.key else f"{ref.kind} {ref.name}"
        return f"{ref.kind} {self.namespace}/{ref.name} key {ref.key}" if ref.name else ref.kind

    def place_of_text(self, source: CASource) -> str:
        """Return how messages about a source's text call it: of several ClusterTrustBundles, with each one's lines."""
        place = self.place(source.ref)
        if not isinstance(source, SignerBundles):
            return place
        lines, found = 1, []
        for each in self.chosen(source):
            found.append(f"{each.name} from line {lines}")
            lines += sum(data.count(b"\n") + 1 for data in each.data.values())
        return f"{place} ({listing(found, MOST_NAMED)})"

    def read(self, ref: SourceRef, field: str) -> bytes:
        """Return the bytes of one key.

        Raises:
            SourceUnavailable: the object or key does not exist, the Secret is of a type that is never a source, or
                the API server refused to list the kind.
        """
        self._check_served(ref.kind, field)
        found = self.objects.get((ref.kind, ref.name))
        if found is None:
            where, there = "", ""
            if ref.kind != SourceKind.CLUSTER_TRUST_BUNDLE:
                where, there = f" in namespace {self.namespace}, the only one that is read", " there"
            raise SourceUnavailable(
                _WORDS[ref.kind].not_found,
                f"there is no {ref.kind} {quote(ref.name)}{where}; create it{there}, or correct the name",
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
                + ("; cert-manager fills ca.crt only if the issuer provides one" if ref.key == "ca.crt" else ""),
                field=field,
            )
        return found.data[ref.key]

    def read_chosen(self, source: SignerBundles, field: str) -> bytes:
        """Return the text of every ClusterTrustBundle of a signer that a selector chooses, one after the other.

        Raises:
            SourceUnavailable: there is none, or the API server refused to list them.
        """
        self._check_served(SourceKind.CLUSTER_TRUST_BUNDLE, field)
        if chosen := self.chosen(source):
            return b"\n".join(data for each in chosen for data in each.data.values())
        raise SourceUnavailable(
            Reason.CLUSTER_TRUST_BUNDLE_NOT_FOUND,
            f"no ClusterTrustBundle of signer {quote(source.signer)} has the labels of labelSelector; create one, or "
            "correct signerName or labelSelector",
            field=field,
        )

    def _check_served(self, kind: str, field: str) -> None:
        if kind in self.refused:
            raise SourceUnavailable(
                Reason.CLUSTER_TRUST_BUNDLES_UNAVAILABLE,
                f"this API server does not serve {kind}s (Kubernetes 1.37 does, earlier versions only if they are "
                "enabled); put the certificates into a ConfigMap and name that"
                if self.refused[kind] == 404
                else f"the operator is not allowed to list {kind}s; apply the chart or deploy/ again",
                field=field,
            )


def read_ca(sources: Sources, source: CASource, index: int) -> tuple[bytes, str]:
    """Return bytes and field path of one entry of `caCertificates`.

    Raises:
        SourceUnavailable: see `Sources.read`.
    """
    field_path = f"spec.caCertificates[{index}]"
    if isinstance(source, InlinePEM):
        return source.pem.encode(), f"{field_path}.{source.ref}"
    field_path = f"{field_path}.{_WORDS[source.ref.kind].field}"
    if isinstance(source, SignerBundles):
        return sources.read_chosen(source, field_path), field_path
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
