"""Who reads a status understands it in every state: kstatus (Flux, Helm, kubectl wait), and of a trust Argo CD."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from registry_trust.agent.delivery.reporter import node_trust
from registry_trust.api.trust_status import INITIAL_STATUS
from registry_trust.certificates.facts import CertificateFacts, CertificateKind
from registry_trust.compiler.compile import Outcome
from registry_trust.compiler.content import SourcedCertificate
from registry_trust.compiler.fleet import Standing
from registry_trust.compiler.node_standing import NodeStanding, NodeState
from registry_trust.compiler.status import make_status
from registry_trust.core.bundle import TrustContent
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RegistryRow, RowState, TargetRow, TargetState
from tools.cluster.binaries import binary

pytestmark = pytest.mark.tools("kstatus", "argohealth")

HEALTH = Path(__file__).resolve().parents[2] / "deploy" / "argocd" / "health.lua"
Results = list[dict[str, str]]
NOW = datetime(2027, 1, 1, tzinfo=UTC)
ERROR = Problem(Reason.SECRET_NOT_FOUND, "there is no Secret", "spec.caCertificates[0].secretKeyRef")


@dataclass(frozen=True)
class Case:
    """An object in one state, with what kstatus and Argo CD are to make of it, and a word of the message."""

    name: str
    body: dict[str, Any]
    kstatus: str
    argo: str
    says: str


def certificate(days: float = 365) -> SourcedCertificate:
    end = NOW + timedelta(days=days)
    facts = CertificateFacts(
        CertificateKind.CA, "CN=CA", "CN=CA", "1", "a" * 64, end - timedelta(days=730), end, "b" * 64
    )
    return SourcedCertificate(facts, "Secret registry-trust/ca key ca.crt")


OUTCOME = Outcome(
    name="harbor",
    uid="uid",
    generation=2,
    errors=(),
    warnings=(),
    certificates=(certificate(),),
    content=TrustContent(("harbor.example",), ("aa",)),
    since=1,
    registries=("harbor.example",),
)


def standing(agents: int = 3, **counts: int) -> Standing:
    numbers = {state: counts.get(state.value, 0) for state in NodeState}
    reasons = {NodeState.FAILED: Reason.FOREIGN_FILE, NodeState.PENDING: Reason.NODE_PENDING}
    behind = tuple(
        (f"{state.value}-{number}", NodeStanding(state, Problem(reasons.get(state, Reason.NODE_UNREACHABLE), "why")))
        for state in set(NodeState) - {NodeState.CURRENT}
        for number in range(numbers[state])
    )
    return Standing(numbers, tuple(sorted(behind)), agents)  # "failed" comes first by its name, as by its urgency


def body(
    outcome: Outcome = OUTCOME, nodes: Standing | None = None, generation: int = 2, **spec: object
) -> dict[str, Any]:
    status = make_status(outcome, nodes if nodes is not None else standing(current=3), NOW, {})
    return with_status(status, generation, **spec)


def with_status(status: dict[str, Any] | None, generation: int = 2, **spec: object) -> dict[str, Any]:
    made: dict[str, Any] = {
        "apiVersion": "registrytrust.io/v1alpha1",
        "kind": "RegistryTrust",
        "metadata": {"name": "harbor", "generation": generation},
        "spec": {"registries": ["harbor.example"], **spec},
    }
    return made if status is None else {**made, "status": status}


BAD = replace(OUTCOME, errors=(ERROR,))
SUSPENDED = replace(OUTCOME, suspended=True)
CASES = [
    Case("new, as the CRD's default makes it", with_status(dict(INITIAL_STATUS), 1), "InProgress", "Progressing", ""),
    Case("edited since the operator saw it", body(generation=3), "InProgress", "Progressing", ""),
    Case("on every node", body(), "Current", "Healthy", "3 of 3 nodes"),
    Case("no node selected", body(nodes=standing()), "Current", "Healthy", "no node"),
    Case("nodes on their way", body(nodes=standing(current=2, pending=1)), "InProgress", "Progressing", "1 pending"),
    Case("a node fails", body(nodes=standing(current=2, failed=1)), "Failed", "Degraded", "ForeignFile"),
    Case("fails and on its way", body(nodes=standing(failed=1, pending=1)), "Failed", "Degraded", "ForeignFile"),
    Case("a dead node", body(nodes=standing(current=2, unreachable=1)), "Current", "Healthy", "1 unreachable"),
    Case("a node without agent", body(nodes=standing(current=2, withoutAgent=1)), "Current", "Healthy", "1 without"),
    Case("no agent at all", body(nodes=standing(agents=0, withoutAgent=3)), "Failed", "Degraded", "no agent"),
    Case("refused, last good served", body(BAD), "Failed", "Degraded", "still serving revision"),
    Case("refused, nothing served", body(replace(BAD, content=None)), "Failed", "Degraded", "nothing is served"),
    Case("suspended", body(SUSPENDED, suspend=True), "Current", "Suspended", "frozen"),
    Case("with warnings", body(replace(OUTCOME, warnings=(ERROR,))), "Current", "Healthy", "3 of 3 nodes"),
    Case("expiring", body(replace(OUTCOME, certificates=(certificate(20),))), "Current", "Healthy", "3 of 3"),
    Case("expired", body(replace(OUTCOME, certificates=(certificate(-1),))), "Current", "Healthy", "3 of 3"),
]


READ = TargetRow("/etc/containerd/certs.d", "containerd", TargetState.READ)
NODE = NodeReport("1", "containerd://2.4.2", "uid", 7, "hash", (READ,), (), 0, 0)
ROW = RegistryRow("harbor.example", RowState.PENDING)
NODES = {
    "Current": NODE,
    "InProgress": replace(NODE, registries=(ROW,), registry_count=1),
    "Failed": replace(NODE, targets=(replace(READ, state=TargetState.NOT_READ),)),
}


def run(tool: str, *arguments: str, objects: Sequence[dict[str, Any]] = ()) -> Results:
    """Return what a tool makes of objects, by default those of the cases."""
    objects = objects or [case.body for case in CASES]
    command = [str(binary(tool)), *arguments]
    done = subprocess.run(command, input=json.dumps(objects), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    results: Results = json.loads(done.stdout)
    return results


@pytest.fixture(scope="module")
def kstatus() -> dict[str, dict[str, str]]:
    return dict(zip([case.name for case in CASES], run("kstatus"), strict=True))


@pytest.fixture(scope="module")
def argo() -> dict[str, dict[str, str]]:
    return dict(zip([case.name for case in CASES], run("argohealth", str(HEALTH)), strict=True))


EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@EACH
def test_kstatus_computes_the_state(case: Case, kstatus: dict[str, dict[str, str]]):
    assert kstatus[case.name]["status"] == case.kstatus, kstatus[case.name]


def test_kstatus_computes_the_state_of_a_node():
    objects = [node_trust("n1", "uid", report) for report in NODES.values()]

    assert [each["status"] for each in run("kstatus", objects=objects)] == list(NODES)


@EACH
def test_argo_cd_shows_the_state_and_why(case: Case, argo: dict[str, dict[str, str]]):
    assert argo[case.name]["status"] == case.argo, argo[case.name]
    assert case.says in argo[case.name]["message"]


@EACH
def test_reconciling_and_stalled_are_there_only_while_they_are_true(case: Case):
    conditions = {each["type"]: each for each in case.body.get("status", {}).get("conditions", [])}
    passing = {name: conditions[name] for name in ("Reconciling", "Stalled") if name in conditions}

    assert len(passing) <= 1
    assert all(each["status"] == "True" for each in passing.values())
    assert not conditions or bool(passing) == (conditions["Ready"]["status"] == "False")
