"""The kinds that are watched: where the API server has each one, and what reads its objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.node_standing import FleetNode
from registry_trust.compiler.objects import Object, OwnedReport, read_node, read_report, read_source, read_trust
from registry_trust.compiler.sources import SourceObject
from registry_trust.core.names import BUNDLE_TYPE, GROUP, VERSION
from registry_trust.core.trust import SourceKind

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, eq=False)
class WatchedKind(Generic[Value]):
    """One kind of object: its name, group, versions and resource, which of its objects are asked for, and their reader.

    Attributes:
        versions: those that are understood; the first that is served is used.
        read: takes an object as the API server has it; None if it says nothing.
        of_trust_namespace: it is read in the trust namespace alone; otherwise it is cluster-scoped.
        field_selector: what keeps objects out of LIST and watch.
        optional: an API server may lack it, or not let it be read; nothing else depends on it.
    """

    name: str
    group: str
    versions: tuple[str, ...]
    resource: str
    read: Callable[[Object], Value | None]
    of_trust_namespace: bool = False
    field_selector: str = ""
    optional: bool = False

    def path(self, version: str, trust_namespace: str) -> str:
        """Return the path of the kind's LIST in one version."""
        root = f"/apis/{self.group}" if self.group else "/api"
        scope = f"/namespaces/{trust_namespace}" if self.of_trust_namespace else ""
        return f"{root}/{version}{scope}/{self.resource}"

    def is_of(self, api_version: object) -> bool:
        """Say whether an object of this kind may have this apiVersion; a manifest may have none."""
        return api_version is None or api_version in [f"{self.group}/{each}".lstrip("/") for each in self.versions]


def _reader(kind: SourceKind) -> Callable[[Object], SourceObject]:
    return lambda body: read_source(body, kind)[0]  # What the API server stored has no findings.


TRUST: WatchedKind[TrustInput] = WatchedKind("RegistryTrust", GROUP, (VERSION,), "registrytrusts", read_trust)
NODE: WatchedKind[FleetNode] = WatchedKind("Node", "", ("v1",), "nodes", read_node)
REPORT: WatchedKind[OwnedReport] = WatchedKind("NodeTrust", GROUP, (VERSION,), "nodetrusts", read_report)
SOURCES = (
    WatchedKind(
        SourceKind.SECRET,
        "",
        ("v1",),
        "secrets",
        _reader(SourceKind.SECRET),
        of_trust_namespace=True,
        # The bundle itself and Helm's releases are never sources.
        field_selector=f"type!={BUNDLE_TYPE},type!=helm.sh/release.v1",
    ),
    WatchedKind(
        SourceKind.CONFIG_MAP, "", ("v1",), "configmaps", _reader(SourceKind.CONFIG_MAP), of_trust_namespace=True
    ),
    WatchedKind(
        SourceKind.CLUSTER_TRUST_BUNDLE,
        "certificates.k8s.io",
        ("v1", "v1beta1"),
        "clustertrustbundles",
        _reader(SourceKind.CLUSTER_TRUST_BUNDLE),
        optional=True,
    ),
)
KINDS: tuple[WatchedKind[Any], ...] = (TRUST, *SOURCES, NODE, REPORT)
