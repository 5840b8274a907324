"""The cluster as the operator knows it: trusts, sources, nodes and reports, from events and complete LISTs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from registry_trust.compiler import objects
from registry_trust.compiler.compile import TrustInput
from registry_trust.compiler.fleet import Node
from registry_trust.compiler.sources import SourceKind, SourceObject, Sources
from registry_trust.controller.api_server import ApiServer
from registry_trust.controller.collection import Collection
from registry_trust.core.names import BUNDLE_TYPE, REPORTS, TRUSTS
from registry_trust.core.report import NodeReport, decode_report

Object = Mapping[str, Any]
Value = TypeVar("Value")

SECRETS_WITHOUT = f"type!={BUNDLE_TYPE},type!=helm.sh/release.v1"
"""Field selector that keeps the bundle itself and Helm's releases out of what is read."""


@dataclass(frozen=True, slots=True)
class TrustObject:
    """A `RegistryTrust` as it is read: its input for the compiler, and the status that it carries."""

    input: TrustInput
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OwnedReport:
    """A node's report, and the UID of the Node that owns it: one of a Node that is gone says nothing of the new one."""

    node_uid: str
    report: NodeReport


class Cluster:
    """Everything that is watched. `complete` turns true with the first complete LIST of all of it."""

    def __init__(self, trust_namespace: str) -> None:
        self.trust_namespace = trust_namespace
        self.trusts: Collection[TrustObject] = Collection()
        self.secrets: Collection[SourceObject] = Collection()
        self.config_maps: Collection[SourceObject] = Collection()
        self.nodes: Collection[Node] = Collection()
        self.reports: Collection[OwnedReport] = Collection()
        self.complete = False
        self.set_back = 0
        """How often the server's history was seen to be older than before."""
        self._looked_at = 0

    def sources(self) -> Sources:
        """Return a snapshot of the trust namespace."""
        everything = [*self.secrets.values().values(), *self.config_maps.values().values()]
        return Sources(self.trust_namespace, {(source.kind, source.name): source for source in everything})

    def relist(self, server: ApiServer) -> bool:
        """LIST everything completely and take it; say whether anything changed by it.

        Raises:
            ApiFailure: a LIST failed. Then nothing at all was taken: what is known stays.
        """
        namespace = f"/api/v1/namespaces/{self.trust_namespace}"
        swaps = [
            _listed(server, self.trusts, TRUSTS, read_trust),
            _listed(server, self.secrets, f"{namespace}/secrets", read_secret, fieldSelector=SECRETS_WITHOUT),
            _listed(server, self.config_maps, f"{namespace}/configmaps", read_config_map),
            _listed(server, self.nodes, "/api/v1/nodes", read_node),
            _listed(server, self.reports, REPORTS, read_report),
        ]
        changes = [swap() for swap in swaps]
        first, self.complete = not self.complete, True
        return first or any(changes)

    def look_back(self, server: ApiServer) -> bool:
        """Say whether the server's history was set back since the last look or LIST, as by a restored etcd.

        Everything has to be listed then, and watched from there: a watch from a version that the server has not
        reached yet says nothing, not even that.

        Raises:
            ApiFailure: the API server did not say.
        """
        known = max(self._looked_at, self.trusts.newest)
        version = self._looked_at = server.list_version(TRUSTS)
        if version >= known:
            return False
        self.set_back += 1
        self.complete = False
        return True


def _listed(
    server: ApiServer,
    collection: Collection[Value],
    path: str,
    read: Callable[[Object], Value | None],
    **query: str,
) -> Callable[[], bool]:
    """LIST one kind; return what takes it."""
    asked_at = collection.newest
    version, items = server.list(path, **query)
    return partial(collection.swap, version, _read(items, read), asked_at=asked_at)


def key_and_version(body: Object) -> tuple[str, int]:
    """Return an object's name and its resourceVersion."""
    return str(body["metadata"]["name"]), int(body["metadata"]["resourceVersion"])


def _read(items: list[dict[str, Any]], read: Callable[[Object], Value | None]) -> dict[str, tuple[int, Value]]:
    found: dict[str, tuple[int, Value]] = {}
    for body in items:
        key, version = key_and_version(body)
        value = read(body)
        if value is not None:
            found[key] = (version, value)
    return found


def read_trust(body: Object) -> TrustObject:
    """Read a `RegistryTrust` and the status that it carries."""
    return TrustObject(objects.read_trust(body), dict(body.get("status") or {}))


def read_secret(body: Object) -> SourceObject | None:
    """Take a Secret's data; the bundle itself and Helm's releases are never sources."""
    if body.get("type") in (BUNDLE_TYPE, "helm.sh/release.v1"):
        return None
    return objects.read_source(body, SourceKind.SECRET)[0]


def read_config_map(body: Object) -> SourceObject:
    """Take a ConfigMap's data, text and binary."""
    return objects.read_source(body, SourceKind.CONFIG_MAP)[0]


def read_node(body: Object) -> Node:
    """Take what matters of a Node."""
    metadata = body["metadata"]
    conditions = (body.get("status") or {}).get("conditions") or ()
    ready = next((c.get("status") for c in conditions if c.get("type") == "Ready"), "Unknown")
    return Node(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        labels=dict(metadata.get("labels") or {}),
        # A Node without a Ready condition was created a moment ago: its kubelet has not said yet.
        ready=ready == "True" or not any(c.get("type") == "Ready" for c in conditions),
    )


def read_report(body: Object) -> OwnedReport | None:
    """Take a node's report; one that can't be understood is none."""
    owners = body["metadata"].get("ownerReferences") or ()
    uid = next((str(owner.get("uid", "")) for owner in owners if owner.get("kind") == "Node"), "")
    try:
        return OwnedReport(uid, decode_report(body.get("status") or {}))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
