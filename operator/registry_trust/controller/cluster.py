"""The cluster as the operator knows it: trusts, sources, nodes and reports, from events and complete LISTs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.kinds import KINDS, NODE, REPORT, SOURCES, TRUST, WatchedKind
from registry_trust.compiler.node_standing import FleetNode
from registry_trust.compiler.objects import Object, OwnedReport
from registry_trust.compiler.sources import Sources
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.collection import Collection
from registry_trust.core.names import TRUSTS


class ClusterMap:
    """Everything that is watched. `complete` turns true with the first complete LIST of all of it."""

    def __init__(self, trust_namespace: str) -> None:
        self.trust_namespace = trust_namespace
        self.collections: Mapping[WatchedKind[Any], Collection[Any]] = {kind: Collection() for kind in KINDS}
        self.trusts: Collection[TrustInput] = self.collections[TRUST]
        self.nodes: Collection[FleetNode] = self.collections[NODE]
        self.reports: Collection[OwnedReport] = self.collections[REPORT]
        self.served: Mapping[WatchedKind[Any], str] = {}
        """The version in which the API server has each kind, by the last complete LIST; empty before the first."""
        self._refused: Mapping[str, int] = {}
        self.complete = False
        self.set_back = 0
        """How often the server's history was seen to be older than before."""
        self._looked_at = 0

    def sources(self) -> Sources:
        """Return a snapshot of the trust namespace."""
        served = [kind for kind in SOURCES if kind.name not in self._refused]
        found = (source for kind in served for source in self.collections[kind].values().values())
        return Sources.of(self.trust_namespace, found, self._refused)

    def relist(self, server: ApiServer) -> bool:
        """LIST everything completely and take it; say whether anything changed by it.

        An optional kind that the API server refuses is done without until a later LIST finds it.

        Raises:
            ApiFailure: a LIST failed. Then nothing at all was taken: what is known stays.
        """
        swaps: list[Callable[[], bool]] = []
        served: dict[WatchedKind[Any], str] = {}
        refused: dict[str, int] = {}
        for kind in KINDS:
            try:
                served[kind], swap = self._list(server, kind)
                swaps.append(swap)
            except ApiFailure as error:
                if not kind.optional or error.status not in (403, 404):
                    raise
                refused[kind.name] = error.status
        changes = [not self.complete, refused != self._refused, *(swap() for swap in swaps)]
        self.served, self._refused, self.complete = served, refused, True
        return any(changes)

    def take(self, kind: WatchedKind[Any], body: Object, *, deleted: bool = False) -> bool:
        """Take one object, as an event or an answer has it; say whether that changed anything."""
        (key, version), collection = key_and_version(body), self.collections[kind]
        value = None if deleted else kind.read(body)
        return collection.delete(key, version) if value is None else collection.put(key, version, value)

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

    def _list(self, server: ApiServer, kind: WatchedKind[Any]) -> tuple[str, Callable[[], bool]]:
        """LIST one kind in the first version that is served; return the version, and what takes the objects."""
        for version in kind.versions[:-1]:
            try:
                return version, self._list_version(server, kind, version)
            except ApiFailure as error:
                if error.status != 404:
                    raise
        return kind.versions[-1], self._list_version(server, kind, kind.versions[-1])

    def _list_version(self, server: ApiServer, kind: WatchedKind[Any], version: str) -> Callable[[], bool]:
        collection = self.collections[kind]
        asked_at = collection.newest
        query = {"fieldSelector": kind.field_selector} if kind.field_selector else {}
        listed_at, bodies = server.list(kind.path(version, self.trust_namespace), **query)
        found = ((key_and_version(body), kind.read(body)) for body in bodies)
        listed = {key: (at, value) for (key, at), value in found if value is not None}
        return partial(collection.swap, listed_at, listed, asked_at=asked_at)


def key_and_version(body: Object) -> tuple[str, int]:
    """Return an object's name and its resourceVersion."""
    return str(body["metadata"]["name"]), int(body["metadata"]["resourceVersion"])
