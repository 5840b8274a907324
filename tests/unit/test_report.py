"""The node report between two versions: what one adds the other ignores, and what it can't judge is never current."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from registry_trust.api.trust_status import RegistryTrustStatus
from registry_trust.compiler.compile import Outcome
from registry_trust.compiler.fleet import Fleet
from registry_trust.compiler.node_standing import FleetNode, NodeState, Served, judge
from registry_trust.compiler.objects import read_node, read_report
from registry_trust.compiler.placement import Agents
from registry_trust.compiler.status import make_status
from registry_trust.core.bundle import TrustContent
from registry_trust.core.names import MAXIMUM_ROWS, MAXIMUM_TARGETS
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import (
    NodeReport,
    RegistryRow,
    RowState,
    TargetRow,
    TargetState,
    order_rows,
    order_targets,
    summary,
)
from registry_trust.core.report_format import decode_report, encode_report
from registry_trust.core.selection import labels_hash

ROW = RegistryRow("harbor.example", RowState.CURRENT, "aa")
TARGET = TargetRow("/etc/docker/certs.d", "docker", TargetState.READ)
NOTICE = Problem(Reason.DRIFT_REPAIRED, "5 or more repairs")
REPORT = NodeReport("1.0", "containerd://2.4.2", "bundle", 7, labels_hash({}), (TARGET,), (ROW,), 1, 0, (NOTICE,))
NODE = FleetNode("n1", "u1", {}, ready=True)
SERVED = Served("harbor", 5, TrustContent(("harbor.example",)))


def body(status: dict[str, Any]) -> dict[str, Any]:
    owner = {"kind": "Node", "name": "n1", "uid": "u1"}
    return {"metadata": {"name": "n1", "resourceVersion": "1", "ownerReferences": [owner]}, "status": status}


def standing(status: dict[str, Any]) -> NodeState:
    owned = read_report(body(status))
    found = judge(NODE, owned.report if owned is not None else None, SERVED, "bundle", live=True)
    assert found is not None
    return found.state


def test_a_report_survives_its_own_format() -> None:
    assert decode_report(encode_report(REPORT)) == REPORT


def test_what_a_newer_agent_adds_is_ignored() -> None:
    status = encode_report(REPORT)
    status["later"] = {"a": 1}
    status["registries"][0]["later"] = 1

    assert decode_report(status) == REPORT


def test_an_older_agent_that_leaves_things_out_is_understood() -> None:
    status = {key: value for key, value in encode_report(REPORT).items() if key in ("bundle", "labelsHash")}

    assert standing(status) is NodeState.CURRENT


@pytest.mark.parametrize(
    "change",
    [
        {"bundle": {"uid": "bundle", "serial": "many"}},
        {"registries": [{"name": "harbor.example", "state": "SomethingNewer"}]},
        {"targets": [{"path": "/x", "state": "SomethingNewer"}]},
        {"registries": "none"},
        {"bundle": None},
        {"bundle": {"uid": "bundle", "serial": 4}},
    ],
    ids=["no number", "a newer row state", "a newer target state", "no list", "no bundle", "an older bundle"],
)
def test_what_cannot_be_judged_is_never_current(change: dict[str, Any]) -> None:
    assert standing(encode_report(REPORT)) is NodeState.CURRENT
    assert standing({**encode_report(REPORT), **change}) is NodeState.PENDING


def test_failures_stand_first_and_what_is_cut_off_is_counted() -> None:
    rows = [RegistryRow(f"r{n:03d}.example", RowState.CURRENT) for n in range(MAXIMUM_ROWS)]
    rows += [RegistryRow(f"z{n}.example", RowState.FAILED) for n in range(2)]

    shown, registries, failing = order_rows(rows)

    assert [row.registry for row in shown[:3]] == ["z0.example", "z1.example", "r000.example"]
    assert (len(shown), registries, failing) == (MAXIMUM_ROWS, MAXIMUM_ROWS + 2, 2)


def test_a_cordoned_node_is_a_node_like_any_other() -> None:
    node: dict[str, Any] = {
        "metadata": {"name": "n1", "uid": "u1", "labels": {"zone": "a"}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }

    assert read_node({**node, "spec": {"unschedulable": True}}) == read_node(node)


FOREIGN = ["", "x" * 1024, "\x1b[31mred", "two\nlines", "\u202eright to left", "NotInTheTable", "\U0001f512" * 64]
"""Texts that the schema of NodeTrust lets through."""


@pytest.mark.parametrize("text", FOREIGN)
@pytest.mark.parametrize("state", TargetState)
def test_whatever_a_target_says_the_status_that_shows_it_is_one_that_the_kind_takes(
    text: str, state: TargetState
) -> None:
    row = {"path": text or "/x", "state": state.value, "reason": text[:64], "message": text}
    shown_of({"bundle": {"uid": "bundle", "serial": 7}, "labelsHash": labels_hash({}), "targets": [row]})


@pytest.mark.parametrize("text", FOREIGN)
@pytest.mark.parametrize("state", RowState)
def test_whatever_a_row_says_the_status_that_shows_it_is_one_that_the_kind_takes(text: str, state: RowState) -> None:
    row = {"name": "harbor.example", "state": state.value, "reason": text[:64], "message": text}
    shown_of({"bundle": {"uid": "bundle", "serial": 7}, "labelsHash": labels_hash({}), "registries": [row]})


def test_a_failed_target_without_a_reason_gets_the_one_of_its_state() -> None:
    found = decode_report({"targets": [{"path": "/etc/docker/certs.d", "state": "Failed"}]})

    assert found.targets[0].problem.reason == "WriteFailed"


def test_counts_that_no_status_can_hold_are_bounded() -> None:
    found = decode_report({"failingCount": 2**40, "registryCount": -1})

    assert (found.failing, found.registry_count) == (2**31 - 1, 0)


def shown_of(status: dict[str, Any]) -> None:
    """Make the status of a trust from one report, and have the kind's model judge it."""
    owned = read_report(body(status))
    assert owned is not None
    fleet = Fleet()
    fleet.rebuild([NODE], {"n1": owned.report}, [SERVED], Agents(frozenset({"n1"})), "bundle")
    outcome = Outcome("harbor", "u", 1, (), (), (), SERVED.content, 5, SERVED.content.registries)
    made = make_status(outcome, fleet.standing("harbor", 10), datetime(2026, 1, 1, tzinfo=UTC), {})
    RegistryTrustStatus.model_validate(made)
    for row in made.get("failingNodes", ()):
        assert all(value.isascii() and value.isprintable() for value in row.values())


HELD = RegistryRow("z.example", RowState.HELD, problem=Problem(Reason.REMOVAL_HELD, ""))


@pytest.mark.parametrize("other", [RowState.FAILED, RowState.PENDING])
def test_a_removal_that_is_held_is_told_however_many_other_rows_there_are(other: RowState) -> None:
    rows = [*(RegistryRow(f"a{number}.example", other) for number in range(200)), HELD]

    shown, _, failing = order_rows(rows)

    assert HELD in shown
    assert len(shown) == MAXIMUM_ROWS
    assert shown[0].state is other or other is RowState.PENDING
    assert summary(replace(REPORT, registries=shown, failing=failing)) == "RemovalHeld"


def test_a_target_with_a_problem_is_shown_before_any_that_has_none() -> None:
    good = [replace(TARGET, path=f"/etc/{number}/certs.d") for number in range(40)]
    bad = replace(
        TARGET, path="/etc/containerd/certs.d", state=TargetState.NOT_READ, problem=Problem(Reason.ROOT_NOT_READ, "")
    )

    shown = order_targets([*good, bad])

    assert shown[0] == bad
    assert len(shown) == MAXIMUM_TARGETS
    summary_of_targets = encode_report(replace(REPORT, targets=shown))["targetsSummary"]
    assert summary_of_targets.startswith("/etc/containerd/certs.d (NotRead), /etc/0/certs.d")


def test_a_failure_is_found_wherever_it_stands_in_a_report() -> None:
    pending = RegistryRow("harbor.example", RowState.PENDING, problem=Problem(Reason.NODE_PENDING, ""), trust="harbor")
    failed = RegistryRow("harbor.example", RowState.FAILED, problem=Problem(Reason.WRITE_FAILED, ""))

    report = replace(REPORT, registries=(pending, failed), failing=1)

    found = judge(NODE, report, SERVED, "bundle", live=True)
    assert found is not None
    assert (found.state, found.problem.reason) == (NodeState.FAILED, Reason.WRITE_FAILED)


@pytest.mark.parametrize(
    ("stored", "notices"),
    [
        ({"reason": "DriftRepaired", "message": "5 or more repairs"}, (NOTICE,)),
        ("DriftRepaired: 5 or more repairs", (NOTICE,)),
        (
            {"reason": "DriftRepaired", "message": "5 or more\nrepairs"},
            (replace(NOTICE, message="5 or more\\nrepairs"),),
        ),
        ({"reason": "DriftRepaired"}, (replace(NOTICE, message=""),)),
        ({"reason": "OfANewerAgent", "message": "text"}, ()),
        ({"message": "text"}, ()),
        ({"reason": ["DriftRepaired"], "message": "text"}, ()),
        ("can't watch for changes: ENOSPC", ()),
        (7, ()),
    ],
)
def test_a_notice_is_known_by_its_reason_also_one_of_an_older_agent(
    stored: object, notices: tuple[Problem, ...]
) -> None:
    assert decode_report({"notices": [stored]}).notices == notices
