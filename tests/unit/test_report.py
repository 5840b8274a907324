"""The node report between two versions: what one adds the other ignores, and what it can't judge is never current."""

from __future__ import annotations

from typing import Any

import pytest

from registry_trust.compiler.fleet import Node, NodeState, Served, judge
from registry_trust.controller.cluster import read_node, read_report
from registry_trust.core.bundle import TrustContent
from registry_trust.core.report import (
    MAXIMUM_ROWS,
    NodeReport,
    RegistryRow,
    RowState,
    TargetRow,
    TargetState,
    decode_report,
    encode_report,
    order_rows,
)
from registry_trust.core.selection import labels_hash

ROW = RegistryRow("harbor.example", RowState.CURRENT, "aa")
TARGET = TargetRow("/etc/docker/certs.d", "docker", TargetState.READ)
REPORT = NodeReport("1.0", "containerd://2.4.2", "bundle", 7, labels_hash({}), (TARGET,), (ROW,), 1, 0, ("a notice",))
NODE = Node("n1", "u1", {}, ready=True)
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
