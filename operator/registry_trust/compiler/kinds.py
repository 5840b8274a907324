"""The kinds that are watched: where the API server has each one, and what reads its objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from registry_trust.compiler.compile import TrustInput
from registry_trust.compiler.fleet import Node
from registry_trust.compiler.objects import Object, OwnedReport, read_node, read_report, read_source, read_trust
from registry_trust.compiler.sources import SourceObject
from registry_trust.core.names import BUNDLE_TYPE, GROUP, VERSION
from registry_trust.core.trust import SourceKind

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, eq=False)
class WatchedKind(Generic[Value]):
    """One kind of object: its name, group, version and resource, which of its objects are asked for, and their reader.

    Attributes:
        read: takes an object as the API server has it; None if it says nothing.
        of_trust_namespace: it is read in the trust namespace alone; otherwise it is cluster-scoped.
        field_selector: what keeps objects out of LIST and watch.
    """

    name: str
    group: str
    version: str
    resource: str
    read: Callable[[Object], Value | None]
    of_trust_namespace: bool = False
    field_selector: str = ""

    def path(self, trust_namespace: str) -> str:
        """Return the path of the kind's LIST."""
        root = f"/apis/{self.group}" if self.group else "/api"
        scope = f"/namespaces/{trust_namespace}" if self.of_trust_namespace else ""
        return f"{root}/{self.version}{scope}/{self.resource}"

    def is_of(self, api_version: object) -> bool:
        """Say whether an object of this kind may have this apiVersion; a manifest may have none."""
        return api_version in (f"{self.group}/{self.version}".lstrip("/"), None)


def _source(kind: SourceKind, resource: str, field_selector: str = "") -> WatchedKind[SourceObject]:
    def read(body: Object) -> SourceObject:
        return read_source(body, kind)[0]  # What the API server stored has no findings.

    return WatchedKind(kind, "", "v1", resource, read, of_trust_namespace=True, field_selector=field_selector)


TRUST: WatchedKind[TrustInput] = WatchedKind("RegistryTrust", GROUP, VERSION, "registrytrusts", read_trust)
NODE: WatchedKind[Node] = WatchedKind("Node", "", "v1", "nodes", read_node)
REPORT: WatchedKind[OwnedReport] = WatchedKind("NodeTrust", GROUP, VERSION, "nodetrusts", read_report)
SOURCES = (
    # The bundle itself and Helm's releases are never sources.
    _source(SourceKind.SECRET, "secrets", f"type!={BUNDLE_TYPE},type!=helm.sh/release.v1"),
    _source(SourceKind.CONFIG_MAP, "configmaps"),
)
KINDS: tuple[WatchedKind[Any], ...] = (TRUST, *SOURCES, NODE, REPORT)
