"""A cluster in memory: trusts and sources compiled, one bundle after the other, with nodes that report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from registry_trust.compiler.canaries import Canaries
from registry_trust.compiler.compile import Compiled, Outcome, compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.fleet import Fleet
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.node_standing import FleetNode, Served
from registry_trust.compiler.placement import Agents
from registry_trust.compiler.sources import SourceObject, Sources
from registry_trust.compiler.status import make_status
from registry_trust.core.bundle import SCHEMA, Bundle
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.report import NodeReport
from registry_trust.core.selection import labels_hash
from registry_trust.core.trust import ClientSource, SourceKind, SourceRef, Trust
from tools import pki

NOW = pki.NOW
NAMESPACE = "registry-certificates"
REGISTRY = "harbor.corp.example:5000"
BUNDLE_UID = "bundle-uid"
CA, PAIR = SourceRef("Secret", "harbor-ca", "ca.crt"), "harbor-client"
GOOD = Trust("harbor", "uid-harbor", "2026-01-01T00:00:00Z", 1, (REGISTRY,), (CA,))
NODES = tuple(FleetNode(f"worker-{number}", f"uid-{number}", {"pool": "a"}, ready=True) for number in (1, 2, 3))
CURRENT = NodeReport("1", "containerd://2.4.2", BUNDLE_UID, 9, labels_hash({"pool": "a"}), (), (), 0, 0)


def pair_source(secret: str = PAIR, name: str = "client") -> ClientSource:
    return ClientSource(SourceRef("Secret", secret, "tls.crt"), SourceRef("Secret", secret, "tls.key"), name)


def secret(name: str, secret_type: str = "Opaque", **data: bytes) -> SourceObject:
    """Return a Secret; an underscore in a key stands for a dot."""
    named = {key.replace("_", "."): value for key, value in data.items()}
    return SourceObject(SourceKind.SECRET, name, str(hash(tuple(named.items()))), named, secret_type)


def config_map(name: str, **data: bytes) -> SourceObject:
    return replace(secret(name, "", **data), kind=SourceKind.CONFIG_MAP)


def client_secret(name: str, issued: pki.Issued) -> SourceObject:
    return secret(name, tls_crt=issued.pem, tls_key=pki.pkcs8(issued.key))


def canaries_of(**reports: NodeReport) -> Canaries:
    """Return canaries among the three nodes: `worker_1="..."` says what one of them reports."""
    said = {node.name: replace(CURRENT, schema=SCHEMA) for node in NODES}
    said |= {name.replace("_", "-"): report for name, report in reports.items()}
    return Canaries(lambda: NODES, said, BUNDLE_UID, CURRENT.serial)


def item_of(trust: Trust) -> TrustInput:
    return TrustInput(trust.name, trust.uid, trust.created, trust.generation, trust)


def compiled(
    trusts: tuple[Trust, ...],
    *objects: SourceObject,
    last: Bundle | None = None,
    refused: Mapping[str, int] | None = None,
    after: timedelta = timedelta(),
    **options: Any,
) -> Compiled:
    """Compile trusts with these sources, `after` the moment of this cluster."""
    made = last if last is None or not last.serial else decode(encode(last))
    sources = Sources.of(NAMESPACE, objects, refused)
    now = (NOW + after).timestamp()
    items = [item_of(trust) for trust in trusts]
    return compile_bundle(items, sources, made or Bundle(), now, checker=Checker(), **options)


def outcome_of(trust: Trust, *objects: SourceObject, **options: Any) -> Outcome:
    return compiled((trust,), *objects, **options).outcomes[trust.name]


@dataclass(frozen=True)
class Situation:
    """An outcome, three nodes with what they report, and the agents that run: each a status."""

    outcome: Outcome
    nodes: tuple[FleetNode, ...] = NODES
    reports: Mapping[str, NodeReport] = field(default_factory=lambda: {node.name: CURRENT for node in NODES})
    agents: Agents = field(default_factory=lambda: Agents(frozenset(node.name for node in NODES)))
    at: datetime = NOW
    newest: int | None = None
    """The serial of the bundle that there is now; None if no node has reported since."""

    def but(self, node: str, **changes: Any) -> Situation:
        """Return the situation in which a node reports something else."""
        return replace(self, reports={**self.reports, node: replace(CURRENT, **changes)})

    def status(self) -> dict[str, Any]:
        outcome, fleet = self.outcome, Fleet()
        served = [
            Served(outcome.name, outcome.since, outcome.content, frozenset(outcome.verifiers), outcome.candidate)
            for _ in range(outcome.content is not None or outcome.candidate is not None)
        ]
        fleet.rebuild(self.nodes, self.reports, served, self.agents, BUNDLE_UID)
        if self.newest is not None:
            fleet.set_newest(self.newest)
            fleet.rebuild(self.nodes, self.reports, served, self.agents, BUNDLE_UID)
        return make_status(self.outcome, fleet.standing(self.outcome.name, 10), self.at.astimezone(UTC), {})
