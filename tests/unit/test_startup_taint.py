"""The startup taint goes once nothing is missing on a node that will get it, and only the taint goes."""

from __future__ import annotations

from typing import Any

import pytest

from registry_trust.compiler.fleet import Fleet
from registry_trust.compiler.node_standing import FleetNode, Served
from registry_trust.compiler.objects import read_node
from registry_trust.compiler.placement import Agents, Placement
from registry_trust.compiler.startup_taint import find_wait, removal
from registry_trust.core.bundle import TrustContent
from registry_trust.core.names import STARTUP_TAINT
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RegistryRow, RowState
from registry_trust.core.selection import Selector, labels_hash

OURS = {"key": STARTUP_TAINT, "effect": "NoSchedule"}
OTHER = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
WINDOWS = {"kubernetes.io/os": "windows"}
HARBOR = Served("harbor", 5, TrustContent(("harbor.example",)))
GPU = Served("gpu", 6, TrustContent(("gpu.example",), selector=Selector((("pool", "gpu"),))))
FOREIGN = RegistryRow("harbor.example", RowState.FAILED, "", Problem(Reason.FOREIGN_FILE, "another file is there"))
HELD = RegistryRow("harbor.example", RowState.HELD, "aa", Problem(Reason.CONTENT_HELD, "its content is unknown"))


def node(**labels: str) -> FleetNode:
    return FleetNode("n1", "u1", labels, ready=True, startup_taints=(0,))


def report(*rows: RegistryRow, serial: int = 6, **labels: str) -> NodeReport:
    failing = sum(row.state is RowState.FAILED for row in rows)
    return NodeReport("1", "containerd://2.4.2", "uid", serial, labels_hash(labels), (), rows, len(rows), failing)


def waits_for(
    joined: FleetNode, said: NodeReport | None, *trusts: Served, live: bool = True, placement: Placement | None = None
) -> str:
    """What the node waits for, as `trust: reason`; empty if for nothing."""
    fleet = Fleet()
    agents = Agents(frozenset({"n1"}) if live else frozenset(), placement or Placement())
    fleet.rebuild([joined], {} if said is None else {"n1": said}, trusts, agents, "uid")
    wait = find_wait(fleet.standings_of("n1"))
    return "" if wait is None else f"{wait.trust}: {wait.problem.reason}"


@pytest.mark.parametrize(
    "nothing",
    [
        waits_for(node(), report(), HARBOR),
        waits_for(node(), None),
        waits_for(node(), None, GPU),
        waits_for(node(**WINDOWS), None, HARBOR, live=False),
        waits_for(node(), None, HARBOR, live=False, placement=Placement((("pool", "agents"),))),
        waits_for(node(pool="gpu"), report(pool="gpu"), HARBOR, GPU),
    ],
    ids=["all there", "no trust at all", "no trust selects it", "Windows", "excluded by the DaemonSet", "two trusts"],
)
def test_a_node_that_has_all_that_it_will_get_waits_for_nothing(nothing: str):
    assert nothing == ""


@pytest.mark.parametrize(
    ("found", "wait"),
    [
        (waits_for(node(), None, HARBOR), "harbor: NodePending"),
        (waits_for(node(), report(serial=4), HARBOR), "harbor: NodePending"),
        (waits_for(node(), report(FOREIGN), HARBOR), "harbor: ForeignFile"),
        (waits_for(node(), report(HELD), HARBOR), "harbor: ContentHeld"),
        (waits_for(node(), None, HARBOR, live=False), "harbor: AgentSilent"),
        (waits_for(node(pool="gpu"), report(), HARBOR, GPU), "gpu: NodePending"),
        (waits_for(node(pool="gpu"), report(serial=5, pool="gpu"), HARBOR, GPU), "gpu: NodePending"),
    ],
    ids=["no report", "an old report", "a foreign file", "unknown content", "no agent", "old labels", "one of two"],
)
def test_a_node_that_lacks_something_waits_for_it(found: str, wait: str):
    assert found == wait


def body(*taints: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "n1", "uid": "u1", "labels": {}}, "spec": {"taints": list(taints)}}


def test_the_patch_removes_the_taint_by_its_place_and_only_if_it_is_still_there_and_the_node_the_same():
    assert removal(read_node(body(OTHER, OURS))) == [
        {"op": "test", "path": "/metadata/uid", "value": "u1"},
        {"op": "test", "path": "/spec/taints/1/key", "value": STARTUP_TAINT},
        {"op": "remove", "path": "/spec/taints/1"},
    ]


def test_the_taint_goes_with_each_of_its_effects_the_last_place_first():
    patch = removal(read_node(body(OURS, OTHER, {**OURS, "effect": "NoExecute"})))

    assert [step["path"] for step in patch if step["op"] == "remove"] == ["/spec/taints/2", "/spec/taints/0"]


@pytest.mark.parametrize("spec", [{}, {"taints": None}, {"taints": []}, {"taints": [OTHER]}])
def test_a_node_without_the_taint_is_left_alone(spec: dict[str, Any]):
    assert read_node({**body(), "spec": spec}).startup_taints == ()
