"""What a node report amounts to: Ready while nothing is missing, and otherwise the worst of what is, and whose turn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry_trust.core.conditions import merge
from registry_trust.core.problem import Problem
from registry_trust.core.readiness import node_conditions
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RegistryRow, RowState, TargetRow, TargetState, summary

READ = TargetRow("/etc/containerd/certs.d", "containerd", TargetState.READ)
NOT_READ = replace(READ, state=TargetState.NOT_READ, problem=Problem(Reason.ROOT_NOT_READ, "add config_path"))
CURRENT = RegistryRow("harbor.example", RowState.CURRENT, "aa")
FAILED = RegistryRow("quay.example", RowState.FAILED, "", Problem(Reason.FOREIGN_FILE, "another file is there"))
PENDING = RegistryRow("slow.example", RowState.PENDING)
UNKNOWN = RegistryRow("held.example", RowState.HELD, "bb", Problem(Reason.CONTENT_HELD, "its content is unknown"))
REMOVAL = RegistryRow("gone.example", RowState.HELD, "cc", Problem(Reason.REMOVAL_HELD, "most trusts are gone"))


def report(*rows: RegistryRow, target: TargetRow = READ, uid: str = "uid", notice: Problem | None = None) -> NodeReport:
    failing = sum(row.state is RowState.FAILED for row in rows)
    notices = () if notice is None else (notice,)
    return NodeReport("1", "containerd://2.4.2", uid, 7, "hash", (target,), rows, len(rows), failing, notices)


def shown(made: NodeReport) -> tuple[str, ...]:
    """The state, and type, status, reason and message of each condition."""
    conditions = (f"{c.type}={c.status} {c.reason}: {c.message}" for c in node_conditions(made))
    return (summary(made), *conditions)


def lacking(state: str, words: str) -> tuple[str, ...]:
    turn = "Stalled" if state == "Failing" else "Reconciling"
    return (state, f"Ready=False {words}", f"{turn}=True {words}")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (report(CURRENT), ("Current", "Ready=True Ready: 1 registry is in place")),
        (report(), ("Current", "Ready=True Ready: 0 registries are in place")),
        (
            report(CURRENT, FAILED),
            lacking("Failing", "ForeignFile: 1 failure on this node; quay.example: another file is there"),
        ),
        (
            report(CURRENT, target=NOT_READ),
            lacking("Failing", "RootNotRead: /etc/containerd/certs.d: add config_path"),
        ),
        (report(PENDING), lacking("Pending", "NodePending: slow.example: is being written")),
        (report(UNKNOWN), lacking("Pending", "ContentHeld: held.example: its content is unknown")),
        (report(uid=""), lacking("Pending", "BundleMissing: no bundle has been applied on this node yet")),
        (
            report(CURRENT, notice=Problem(Reason.UNSUPPORTED_BUNDLE, "needs a newer agent")),
            lacking("Failing", "UnsupportedBundle: needs a newer agent"),
        ),
    ],
    ids=["current", "no trust", "failing", "not read", "pending", "content unknown", "no bundle", "too new a bundle"],
)
def test_a_node_is_ready_when_nothing_is_missing_and_else_says_what_is(made: NodeReport, words: tuple[str, ...]):
    assert shown(made) == words


@pytest.mark.parametrize(
    "made",
    [
        report(CURRENT, REMOVAL),
        report(CURRENT, notice=Problem(Reason.BUNDLE_MISSING, "the bundle's Secret was deleted")),
        report(CURRENT, notice=Problem(Reason.DRIFT_REPAIRED, "5 or more repairs")),
        report(CURRENT, target=replace(NOT_READ, state=TargetState.STANDBY)),
    ],
    ids=["a held removal", "a bundle that is gone", "drift repaired", "a failing standby"],
)
def test_what_takes_nothing_from_a_node_leaves_it_ready(made: NodeReport):
    assert [condition.type for condition in node_conditions(made)] == ["Ready"]
    assert node_conditions(made)[0].status == "True"


def test_a_held_removal_does_not_hide_a_failure_from_who_waits_for_ready():
    made = report(FAILED, REMOVAL)

    assert shown(made)[0] == "RemovalHeld"
    assert shown(made)[1].startswith("Ready=False ForeignFile")


def test_failures_that_the_report_does_not_list_keep_it_from_being_ready():
    made = replace(report(CURRENT), failing=3)

    assert shown(made)[1] == "Ready=False WriteFailed: 3 failures on this node"


def test_ready_keeps_the_time_at_which_it_turned_and_observes_no_generation():
    before = merge((), node_conditions(report(CURRENT)), None, "2027-01-01T00:00:00Z")
    later = merge(before, node_conditions(report(CURRENT, CURRENT)), None, "2027-01-02T00:00:00Z")
    failing = merge(later, node_conditions(report(FAILED)), None, "2027-01-03T00:00:00Z")

    assert [each["lastTransitionTime"] for each in later] == ["2027-01-01T00:00:00Z"]
    assert {each["lastTransitionTime"] for each in failing} == {"2027-01-03T00:00:00Z"}
    assert not [each for each in (*later, *failing) if "observedGeneration" in each]
