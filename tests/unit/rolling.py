"""A cluster in memory whose trusts are rolled out: real bundles, agents that take them, and a registry that answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from registry_trust.compiler.canaries import Canaries
from registry_trust.compiler.compile import Compiled, Outcome, compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.handover import take_over
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.node_standing import FleetNode
from registry_trust.compiler.sources import SourceObject, Sources
from registry_trust.compiler.verifiers import Verifiers
from registry_trust.core.bundle import SCHEMA, Bundle, reference_of
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.desired import desired_state
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RegistryRow, RowState, order_rows
from registry_trust.core.selection import labels_hash
from registry_trust.core.trust import Rollout, SourceKind, SourceRef, Trust
from registry_trust.core.verdict.verdict import Verdict, failed, unknown, verified
from tests.unit.compiling import FIRST, NEW, NOW, OLD, SECOND, THIRD, sources
from tools.authority import Pair

UID = "bundle"
REGISTRY = "harbor.example"
CA = SourceRef("Secret", "ca", "ca.crt")
ONE = Rollout(1)
TRUST = Trust("harbor", "uid", "2027-01-01T00:00:00Z", 1, (REGISTRY,), (CA,), ca_retention=0.0, rollout=ONE)


@dataclass
class Machine:
    """One node and its agent."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    ready: bool = True
    live: bool = True
    schema: int = SCHEMA
    fails: bool = False
    blind: bool = False
    disk: dict[str, tuple[frozenset[str], tuple[str, ...]]] = field(default_factory=dict)
    """By registry: the CA certificates on disk, and the trusts that they come from."""
    report: NodeReport | None = None

    def has(self, registry: str = REGISTRY) -> frozenset[str]:
        return self.disk.get(registry, (frozenset(), ()))[0]


class Rolling:
    """An operator of which each step is another leader, and agents that take what it wrote when they are told to."""

    def __init__(self, *nodes: str, trust: Trust = TRUST, **pems: bytes) -> None:
        self.machines = {name: Machine(name) for name in nodes or ("one", "two", "three")}
        self.trusts = {trust.name: trust}
        self.promoted: dict[str, str] = {}
        self.pems: dict[str, bytes] = {"ca": FIRST.pem, **pems}
        self.pairs: dict[str, Pair] = {}
        self.shown = {REGISTRY: OLD}
        """By registry: the CA of what it shows; nothing where it can't be asked."""
        self.bundle = Bundle()
        self.now = NOW
        self.asks = True
        self.handover = True
        self.checker = Checker()
        self.writes = 0
        self.result: Compiled

    def compile(self, *, later: float = 0.0) -> Outcome:
        """Let the next leader look, and write what it makes of it."""
        self.now += later
        last = self.bundle
        if last.serial and self.handover:
            last = take_over(decode(encode(last)), self.now)
        able = [FleetNode(m.name, m.name, m.labels, m.ready) for m in self.machines.values() if m.ready and m.live]
        reports = {m.name: m.report for m in self.machines.values() if m.report is not None}
        self.result = compile_bundle(
            [
                TrustInput(t.name, t.uid, t.created, t.generation, t, promoted=self.promoted.get(t.name, ""))
                for t in self.trusts.values()
            ],
            self._sources(),
            last,
            self.now,
            checker=self.checker,
            verifiers=Verifiers(able, enabled=self.asks),
            canaries=Canaries(lambda: able, reports, UID, last.serial),
        )
        self.writes += self.result.changed
        self.bundle = self.result.bundle
        return self.result.outcomes.get("harbor") or next(iter(self.result.outcomes.values()))

    def _sources(self) -> Sources:
        found = [
            SourceObject(
                SourceKind.SECRET,
                name,
                str(hash(pair.certificate)),
                {"tls.crt": pair.certificate, "tls.key": pair.key},
                "kubernetes.io/tls",
            )
            for name, pair in self.pairs.items()
        ]
        return Sources.of("registry-trust", [*sources(**self.pems).objects.values(), *found])

    def apply(self, *names: str) -> None:
        """Let agents take the bundle, ask, and report."""
        bundle = decode(encode(self.bundle))
        for machine in [self.machines[name] for name in names] if names else list(self.machines.values()):
            if machine.live and machine.ready:
                self._apply(machine, bundle)

    def _apply(self, machine: Machine, bundle: Bundle) -> None:
        # An agent of before candidates reads the same bundle, and knows no node's name in it.
        knows = machine.schema >= SCHEMA
        desired = desired_state(bundle, machine.labels, machine.name if knows else "")
        held = {} if not desired.unknown else machine.disk
        kept = {r: found for r, found in held.items() if desired.unknown.intersection(found[1])}
        wanted = {
            registry: (frozenset(map(reference_of, item.material.ca_certificates)), item.trusts)
            for registry, item in desired.registries.items()
        }
        machine.disk = {**kept, **wanted}
        rows = [self._row(machine, registry, verify=item.verify) for registry, item in desired.registries.items()]
        shown, count, failing = order_rows([*rows, *desired.conflicts])
        labels = labels_hash(machine.labels)
        machine.report = NodeReport(
            "1", "", UID, bundle.serial, labels, (), shown, count, failing, schema=machine.schema
        )

    def _row(self, machine: Machine, registry: str, *, verify: bool) -> RegistryRow:
        if machine.fails:
            return RegistryRow(registry, RowState.FAILED, problem=Problem(Reason.FOREIGN_FILE, "in the way"))
        return RegistryRow(
            registry, RowState.CURRENT, "1", verdict=self._verdict(machine, registry) if verify else None
        )

    def _verdict(self, machine: Machine, registry: str) -> Verdict:
        if machine.blind or registry not in self.shown:
            return unknown(Reason.REGISTRY_UNREACHABLE, "nobody answers")
        if self.shown[registry] in machine.has(registry):
            return verified("it answers 401", ())
        return failed(Reason.UNKNOWN_AUTHORITY, "another CA")

    def settle(self, rounds: int = 8) -> Outcome:
        """Let agents and operator go on until nothing changes any longer."""
        for _ in range(rounds):
            self.apply()
            before = self.bundle
            outcome = self.compile()
            if self.bundle is before or self.bundle.serial == before.serial:
                break
        self.apply()
        return outcome

    def change(self, name: str = "harbor", **changes: object) -> None:
        self.trusts[name] = replace(self.trusts[name], **changes)  # type: ignore[arg-type]

    def with_ca(self, *references: str) -> set[str]:
        """Return the names of the nodes that have just these CA certificates for the registry."""
        return {name for name, machine in self.machines.items() if machine.has() == frozenset(references)}

    def canaries(self, name: str = "harbor") -> tuple[str, ...]:
        indexed = self.bundle.trust(name)
        return indexed.candidate.canaries if indexed is not None and indexed.candidate is not None else ()


def rolled_out(*nodes: str, trust: Trust = TRUST, labels: Mapping[str, str] | None = None, **pems: bytes) -> Rolling:
    """Return a cluster in which every node has the first CA."""
    cluster = Rolling(*nodes, trust=trust, **pems)
    for machine in cluster.machines.values():
        machine.labels = dict(labels or {})
    cluster.compile()
    assert cluster.settle().waits is None
    assert cluster.with_ca(OLD) == set(cluster.machines)
    return cluster


def reason_of(outcome: Outcome) -> Reason | None:
    return None if outcome.waits is None else outcome.waits.reason


ALL: Mapping[str, bytes] = {OLD: FIRST.pem, NEW: SECOND.pem, reference_of(THIRD.pem): THIRD.pem}
