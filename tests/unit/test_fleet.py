"""The fleet: the truth about every node, counted by differences and equal to counting anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_trust.compiler.fleet import Fleet
from registry_trust.compiler.node_standing import FleetNode, NodeState, Served
from registry_trust.compiler.placement import Agents, Placement, placement_of
from registry_trust.core.bundle import CanaryContent, TrustContent
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RegistryRow, RowState, TargetRow, TargetState
from registry_trust.core.selection import Selector, labels_hash

UID = "bundle-uid"
NODE = FleetNode("n1", "uid-1", {"zone": "a"}, ready=True)
ALL = Served("harbor", 3, TrustContent(("harbor.example",)))
ZONE = Served("zoned", 3, TrustContent(("zoned.example",), selector=Selector((("zone", "a"),))))
REPORT = NodeReport(
    agent_version="1",
    runtime="containerd://2.4.2",
    bundle_uid=UID,
    serial=3,
    labels_hash=labels_hash(NODE.labels),
    targets=(),
    registries=(),
    registry_count=0,
    failing=0,
)


def affinity(*terms: list[dict[str, Any]], fields: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    made = [{"matchExpressions": term} for term in terms] + ([{"matchFields": fields}] if fields else [])
    required = {"nodeSelectorTerms": made}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def fleet(
    report: NodeReport | None = REPORT,
    node: FleetNode = NODE,
    served: tuple[Served, ...] = (ALL,),
    agents: Agents | None = None,
) -> Fleet:
    made = Fleet()
    made.rebuild([node], {node.name: report} if report else {}, served, agents or Agents(frozenset([node.name])), UID)
    return made


def state(made: Fleet, trust: str = "harbor") -> NodeState | None:
    counts = made.standing(trust, 10).counts
    return next((each for each, count in counts.items() if count), None)


def test_a_node_that_reports_the_serial_is_current() -> None:
    assert state(fleet()) is NodeState.CURRENT


def test_a_node_that_reports_an_older_serial_is_pending() -> None:
    assert state(fleet(replace(REPORT, serial=2))) is NodeState.PENDING


def test_a_trust_is_settled_once_no_node_is_on_its_way_and_nothing_is_tried() -> None:
    tried = replace(ALL, candidate=CanaryContent(TrustContent(("new.example",)), 3, 0.0, (NODE.name,), ()))

    assert fleet().is_settled("harbor")
    assert not fleet(replace(REPORT, serial=2)).is_settled("harbor")
    assert state(fleet(served=(tried,))) is NodeState.CURRENT
    assert not fleet(served=(tried,)).is_settled("harbor"), "the canary's word is not the last one"


def test_a_node_that_speaks_of_another_bundle_is_pending() -> None:
    assert state(fleet(replace(REPORT, bundle_uid="older"))) is NodeState.PENDING


def test_a_node_that_has_not_seen_its_new_labels_yet_is_pending_for_a_trust_with_a_selector_only() -> None:
    relabelled = replace(NODE, labels={"zone": "a", "new": "label"})
    made = fleet(node=relabelled, served=(ALL, ZONE))

    assert state(made, "zoned") is NodeState.PENDING
    assert state(made, "harbor") is NodeState.CURRENT


def test_a_node_that_is_not_selected_is_not_counted() -> None:
    assert fleet(node=replace(NODE, labels={"zone": "b"}), served=(ZONE,)).standing("zoned", 10).selected == 0


def test_a_failing_row_of_the_registry_fails_the_node() -> None:
    row = RegistryRow("harbor.example", RowState.FAILED, problem=Problem(Reason.FOREIGN_FILE, "a file"))
    made = fleet(replace(REPORT, registries=(row,), failing=1))

    assert state(made) is NodeState.FAILED
    assert made.standing("harbor", 10).not_current[0][1].problem.reason == Reason.FOREIGN_FILE


def test_a_row_about_another_trust_or_another_registry_does_not() -> None:
    rows = (
        RegistryRow("harbor.example", RowState.FAILED, trust="other"),
        RegistryRow("else.example", RowState.FAILED),
    )

    assert state(fleet(replace(REPORT, registries=rows, failing=2))) is NodeState.CURRENT


def test_more_failures_than_the_report_can_name_fail_every_trust() -> None:
    row = RegistryRow("else.example", RowState.FAILED)

    assert state(fleet(replace(REPORT, registries=(row,), failing=70))) is NodeState.FAILED


def test_a_root_that_the_runtime_does_not_read_fails_the_node() -> None:
    target = TargetRow("/opt/certs.d", "containerd", TargetState.NOT_READ, Problem(Reason.ROOT_NOT_READ, "add lines"))

    assert state(fleet(replace(REPORT, targets=(target,)))) is NodeState.FAILED


def test_a_standby_root_fails_nothing() -> None:
    target = TargetRow("/etc/containerd/certs.d", "containerd", TargetState.STANDBY)

    assert state(fleet(replace(REPORT, targets=(target,)))) is NodeState.CURRENT


def test_a_node_that_is_not_ready_is_unreachable_unless_it_reported_the_content_before() -> None:
    away = replace(NODE, ready=False)

    assert state(fleet(replace(REPORT, serial=2), away)) is NodeState.UNREACHABLE
    assert state(fleet(REPORT, away)) is NodeState.CURRENT


def test_a_node_that_has_seen_a_later_bundle_than_there_is_has_nobody_knows_what() -> None:
    ahead = fleet(replace(REPORT, serial=9))
    assert state(ahead) is NodeState.CURRENT

    assert ahead.set_newest(8)
    assert state(ahead) is NodeState.PENDING

    assert ahead.set_newest(9)
    assert state(ahead) is NodeState.CURRENT
    assert not ahead.set_newest(10)


def test_a_node_without_a_live_agent_is_told_apart_from_one_that_is_on_its_way() -> None:
    assert state(fleet(None, agents=Agents())) is NodeState.WITHOUT_AGENT
    assert state(fleet(None)) is NodeState.PENDING


def test_a_node_of_another_operating_system_is_not_selected() -> None:
    windows = replace(NODE, labels={"kubernetes.io/os": "windows"})

    assert fleet(None, windows, agents=Agents()).standing("harbor", 10).selected == 0


def test_nodes_that_the_daemon_set_excludes_are_named_once_after_the_real_failures() -> None:
    made = Fleet()
    linux = {"kubernetes.io/os": "linux"}
    nodes = [FleetNode(f"fargate-{number}", f"f{number}", linux, ready=True) for number in range(20)]
    nodes.append(FleetNode("worker", "w", {**linux, "real": "yes"}, ready=True))
    pod = {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "real", "operator": "Exists"}]}
    ]}}}}  # fmt: skip
    made.rebuild(nodes, {}, [ALL], Agents(frozenset(["other"]), placement_of(pod)), UID)

    (worker, silent), (_, excluded) = made.standing("harbor", 10).not_current

    assert (worker, silent.problem.reason) == ("worker", Reason.AGENT_SILENT)
    assert excluded.problem.reason == Reason.NODE_EXCLUDED
    assert "excludes fargate-0, fargate-1, fargate-10, fargate-11, fargate-12 and 15 more" in excluded.problem.message


@pytest.mark.parametrize(
    ("pod", "admits"),
    [
        ({}, True),
        ({"nodeSelector": {"pool": "blue"}}, True),
        ({"nodeSelector": {"pool": "red"}}, False),
        ({"nodeSelector": {"absent": ""}}, False),
        (affinity([{"key": "pool", "operator": "In", "values": ["red", "blue"]}]), True),
        (affinity([{"key": "pool", "operator": "NotIn", "values": ["blue"]}]), False),
        (affinity([{"key": "absent", "operator": "NotIn", "values": ["x"]}]), True),
        (affinity([{"key": "absent", "operator": "DoesNotExist"}]), True),
        (affinity([{"key": "pool", "operator": "DoesNotExist"}]), False),
        (affinity([{"key": "size", "operator": "Gt", "values": ["3"]}]), True),
        (affinity([{"key": "size", "operator": "Lt", "values": ["3"]}]), False),
        (affinity([{"key": "pool", "operator": "Gt", "values": ["3"]}]), False),
        (affinity([{"key": "x", "operator": "Exists"}], [{"key": "pool", "operator": "Exists"}]), True),
        (affinity([{"key": "x", "operator": "Exists"}, {"key": "pool", "operator": "Exists"}]), False),
        (affinity([]), False),
        (affinity(fields=[{"key": "metadata.name", "operator": "In", "values": ["n1"]}]), True),
        (affinity(fields=[{"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}]), False),
    ],
)
def test_a_daemon_sets_own_selector_and_affinity_say_where_an_agent_may_be(pod: dict[str, Any], *, admits: bool):
    assert placement_of(pod).admits("n1", {"pool": "blue", "size": "4"}) is admits


def test_without_a_daemon_set_every_trust_is_touched_and_says_so() -> None:
    made = fleet()

    assert made.set_agents(Agents(placement=None)) == {"harbor"}
    assert made.standing("harbor", 10).daemon_set is False
    assert made.set_agents(Agents(frozenset(["n1"]))) == {"harbor"}
    assert made.standing("harbor", 10).daemon_set is True


names = st.sampled_from([f"n{number}" for number in range(4)])
nodes = st.builds(
    FleetNode,
    name=st.just("?"),
    uid=st.just("u"),
    labels=st.sampled_from([{"zone": "a"}, {"zone": "b"}]),
    ready=st.booleans(),
)
reports = st.builds(
    replace,
    st.just(REPORT),
    serial=st.integers(1, 5),
    labels_hash=st.sampled_from([labels_hash({"zone": "a"}), labels_hash({"zone": "b"})]),
    failing=st.integers(0, 1),
)
changes = st.one_of(
    st.tuples(st.just("node"), names, st.none() | nodes),
    st.tuples(st.just("report"), names, st.none() | reports),
    st.tuples(st.just("live"), st.frozensets(names), st.sampled_from([None, Placement(), Placement((("zone", "a"),))])),
    st.tuples(st.just("trusts"), st.lists(st.integers(1, 5), max_size=3), st.none()),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(changes, max_size=30))
def test_counting_by_differences_equals_counting_anew(sequence: list[tuple[str, object, object]]) -> None:
    by_difference = Fleet()
    known_nodes: dict[str, FleetNode] = {}
    known_reports: dict[str, NodeReport] = {}
    agents = Agents()
    served: list[Served] = []
    by_difference.rebuild([], {}, [], agents, UID)
    for what, first, second in sequence:
        if what == "node":
            name = str(first)
            known_nodes.pop(name, None)
            node = replace(second, name=name) if isinstance(second, FleetNode) else None
            if node is not None:
                known_nodes[name] = node
            by_difference.set_node(name, node)
        elif what == "report":
            name = str(first)
            known_reports.pop(name, None)
            report = second if isinstance(second, NodeReport) else None
            if report is not None:
                known_reports[name] = report
            by_difference.set_report(name, report)
        elif what == "live":
            assert isinstance(first, frozenset)
            agents = Agents(first, second if isinstance(second, Placement) else None)
            by_difference.set_agents(agents)
        elif isinstance(first, list):
            contents = (ALL.content, ZONE.content)
            served = [Served(f"t{place}", since, contents[place % 2]) for place, since in enumerate(first)]
            by_difference.set_trusts(served)

    anew = Fleet()
    anew.rebuild(known_nodes.values(), known_reports, served, agents, UID)
    for trust in served:
        assert by_difference.standing(trust.name, 100) == anew.standing(trust.name, 100)
