"""Conditions: what each situation of a trust and its nodes is called, from compiler and fleet to status and Event."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from registry_trust.compiler.compile import Outcome, compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.fleet import Fleet
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.node_standing import FleetNode, Served
from registry_trust.compiler.placement import Agents
from registry_trust.compiler.sources import Sources
from registry_trust.compiler.status import make_status, without
from registry_trust.controller.transitions import events
from registry_trust.core.bundle import Bundle
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RegistryRow, RowState
from registry_trust.core.selection import Selector, labels_hash
from registry_trust.core.trust import InlinePEM, SourceRef, Trust
from tools.authority import Authority

NOW = time.time()
UID = "bundle"
CA = InlinePEM(Authority.create("a CA").pem.decode())
GOOD = Trust("harbor", "uid", "2027-01-01T00:00:00Z", 1, ("harbor.example",), (CA,))
MISSING = replace(GOOD, ca_sources=(SourceRef("Secret", "missing", "ca.crt"),))
NOBODY = replace(GOOD, selector=Selector((("pool", "none"),)))
LOCAL = replace(GOOD, registries=("localhost:5000",))
SUSPENDED = replace(GOOD, suspend=True)
READY = FleetNode("n1", "u1", {}, ready=True)
AWAY = replace(READY, ready=False)
CURRENT = NodeReport("1", "", UID, 1, labels_hash({}), (), (), 0, 0)
LATE = replace(CURRENT, serial=0)
ROW = RegistryRow("harbor.example", RowState.FAILED, problem=Problem(Reason.FOREIGN_FILE, "a directory"))
FAILING = replace(CURRENT, registries=(ROW,), failing=1)
AGENT = frozenset({"n1"})


@dataclass(frozen=True)
class Situation:
    """A trust, its one node, and what that node's agent says."""

    trust: Trust = GOOD
    node: FleetNode = READY
    report: NodeReport | None = CURRENT
    live: frozenset[str] = AGENT
    last: Bundle = field(default_factory=Bundle)

    def outcome(self) -> Outcome:
        item = TrustInput("harbor", "uid", "2027-01-01T00:00:00Z", 1, self.trust)
        compiled = compile_bundle([item], Sources("registry-trust", {}), self.last, NOW, checker=Checker())
        return compiled.outcomes["harbor"]

    def status(self) -> dict[str, Any]:
        outcome = self.outcome()
        fleet = Fleet()
        served = [Served("harbor", outcome.since, outcome.content)] if outcome.content is not None else []
        reports = {"n1": self.report} if self.report is not None else {}
        fleet.rebuild([self.node], reports, served, Agents(self.live), UID)
        return make_status(outcome, fleet.standing("harbor", 10), datetime.fromtimestamp(NOW, UTC), {})


def served() -> Bundle:
    """Return the bundle that serves the good trust."""
    item = TrustInput("harbor", "uid", "2027-01-01T00:00:00Z", 1, GOOD)
    return compile_bundle([item], Sources("registry-trust", {}), Bundle(), NOW, checker=Checker()).bundle


SITUATIONS = {
    "on its node": (
        Situation(),
        {"Accepted": Reason.VALID, "Distributed": Reason.ALL_NODES_CURRENT, "Ready": Reason.READY},
        {"Expiring": Reason.NOT_EXPIRING},
    ),
    "with a warning": (Situation(LOCAL), {"Accepted": Reason.VALID_WITH_WARNINGS, "Ready": Reason.READY}, {}),
    "suspended": (Situation(SUSPENDED, last=served()), {"Accepted": Reason.SUSPENDED, "Ready": Reason.READY}, {}),
    "suspended from the start": (Situation(SUSPENDED), {"Accepted": Reason.SUSPENDED}, {"Ready": Reason.NOT_ACCEPTED}),
    "never usable": (
        Situation(MISSING),
        {"Stalled": Reason.SECRET_NOT_FOUND},
        {"Accepted": Reason.SECRET_NOT_FOUND, "Distributed": Reason.NOT_ACCEPTED, "Ready": Reason.SECRET_NOT_FOUND},
    ),
    "for no node": (Situation(NOBODY), {"Distributed": Reason.NO_NODES_SELECTED, "Ready": Reason.READY}, {}),
    "on its way": (
        Situation(report=LATE),
        {"Reconciling": Reason.NODES_PENDING},
        {"Distributed": Reason.NODES_PENDING, "Ready": Reason.NODES_PENDING},
    ),
    "failing": (
        Situation(report=FAILING),
        {"Stalled": Reason.NODES_FAILING},
        {"Distributed": Reason.NODES_FAILING, "Ready": Reason.NODES_FAILING},
    ),
    "without any agent": (
        Situation(live=frozenset()),
        {"Stalled": Reason.NO_AGENTS},
        {"Distributed": Reason.NO_AGENTS, "Ready": Reason.NO_AGENTS},
    ),
    "withdrawn": (
        Situation(last=replace(served(), withdrawn=True)),
        {"Stalled": Reason.WITHDRAWN},
        {"Distributed": Reason.WITHDRAWN, "Ready": Reason.WITHDRAWN},
    ),
}


@pytest.mark.parametrize(("situation", "true", "false"), SITUATIONS.values(), ids=SITUATIONS)
def test_each_situation_has_its_conditions(
    situation: Situation, true: dict[str, Reason], false: dict[str, Reason]
) -> None:
    conditions = {each["type"]: (each["status"], each["reason"]) for each in situation.status()["conditions"]}

    for kind, reason in true.items():
        assert conditions[kind] == ("True", reason)
    for kind, reason in false.items():
        assert conditions[kind] == ("False", reason)
    assert all(each["message"] for each in situation.status()["conditions"])


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        (Situation(report=LATE), Reason.NODE_PENDING),
        (Situation(node=AWAY, report=LATE), Reason.NODE_UNREACHABLE),
        (Situation(report=LATE, live=frozenset({"another"})), Reason.AGENT_SILENT),
        (Situation(report=FAILING), Reason.FOREIGN_FILE),
        (
            Situation(report=replace(FAILING, registries=(replace(ROW, registry="other.example"),), failing=2)),
            Reason.NODES_FAILING,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_node_that_is_not_current_says_why(situation: Situation, reason: Reason) -> None:
    (row,) = situation.status()["failingNodes"]

    assert (row["name"], row["reason"]) == ("n1", reason)
    assert row["message"]


def test_a_loopback_registry_is_served_with_the_warning_that_nothing_is_verified() -> None:
    (warning,) = Situation(LOCAL).outcome().warnings

    assert (warning.reason, warning.field) == (Reason.RUNTIME_IGNORES_TLS, "spec.registries[0]")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (Situation(report=LATE), Situation(), ("Normal", Reason.DISTRIBUTED)),
        (Situation(), Situation(report=FAILING), ("Warning", Reason.NOT_DISTRIBUTED)),
        (Situation(), Situation(live=frozenset()), ("Warning", Reason.NOT_DISTRIBUTED)),
        (Situation(), Situation(MISSING, last=served()), ("Warning", Reason.REJECTED)),
        (Situation(MISSING, last=served()), Situation(), ("Normal", Reason.ACCEPTED)),
        (Situation(), Situation(report=FAILING), ("Warning", Reason.NODE_FAILING)),
        (Situation(report=FAILING), Situation(), ("Normal", Reason.NODE_RECOVERED)),
    ],
)
def test_each_turn_is_told_once(before: Situation, after: Situation, told: tuple[str, Reason]) -> None:
    found = [(event.kind, event.problem.reason) for event in events(before.status(), after.status())]

    assert found.count(told) == 1
    assert events(after.status(), after.status()) == []


def test_many_warnings_of_one_reason_hide_none_of_another() -> None:
    weak = [Problem(Reason.WEAK_KEY, f"root {number}") for number in range(140)]
    hidden = Problem(Reason.UNREACHABLE_CLIENT_CERTIFICATE, "the pair is never used")
    outcome = replace(Situation().outcome(), warnings=(*weak, hidden))

    status = make_status(outcome, Fleet().standing("harbor", 10), datetime.fromtimestamp(NOW, UTC), {})

    (accepted,) = [each for each in status["conditions"] if each["type"] == "Accepted"]
    assert accepted["message"].startswith("WeakKey: root 0, UnreachableClientCertificate: the pair is never used, ")
    assert accepted["message"].endswith("and 136 more")


def test_what_is_refused_of_a_status_is_left_out_and_its_conditions_stay() -> None:
    status = Situation(report=FAILING).status()

    assert without(status, ()) == status
    assert without(status, ("<nil>", "metadata.name")) == status
    kept = without(status, ("status.failingNodes[0].reason", "status.conditions[1].message"))

    assert kept.keys() == status.keys() - {"failingNodes"}
    for before, after in zip(status["conditions"], kept["conditions"], strict=True):
        assert {**after, "message": before["message"]} == before
        assert after["message"] == "the API server refused the message; see the operator's log"
