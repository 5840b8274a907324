"""`registry-trust check`: what the objects of an installation say about it."""

from __future__ import annotations

from typing import Any

from registry_trust.cli.check import judge

Body = dict[str, Any]


def deployment(ready: int = 2) -> Body:
    return {"metadata": {"name": "operator"}, "spec": {"replicas": 2}, "status": {"readyReplicas": ready}}


def daemon_set(ready: int, wanted: int = 2, observed: int = 1) -> Body:
    counts = {"desiredNumberScheduled": wanted, "numberReady": ready, "observedGeneration": observed}
    return {"metadata": {"name": "agent", "generation": 1}, "spec": {}, "status": counts}


def pod(node: str, ready: str = "True") -> Body:
    return {"spec": {"nodeName": node} if node else {}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def report(node: str, state: str = "Current") -> Body:
    return {"metadata": {"name": node}, "status": {"state": state}}


BOTH, REPORTS = [pod("n1"), pod("n2")], [report("n1"), report("n2")]


def test_an_installation_that_works_has_no_problem():
    found = judge("ns", deployment(), daemon_set(2), BOTH, [*REPORTS, report("a node without an agent")])

    assert found.problems == ()
    assert found.lines == ("operator: 2 of 2 ready", "agents: 2 of 2 ready, 2 have reported")


def test_one_operator_of_two_is_enough_and_none_is_a_problem():
    assert judge("ns", deployment(1), daemon_set(2), BOTH, REPORTS).problems == ()
    assert judge("ns", deployment(0), daemon_set(2), BOTH, REPORTS).problems == (
        "no operator is ready (2 wanted); see kubectl -n ns describe pods -l app.kubernetes.io/component=operator",
    )


def test_agents_that_are_not_ready_are_named_by_their_nodes():
    found = judge("ns", deployment(), daemon_set(0), [pod("n2", "False"), pod("", "False")], REPORTS)

    assert found.problems == (
        (
            "0 of 2 agents are ready, not on (a pod without a node), n2; "
            "see kubectl -n ns describe pods -l app.kubernetes.io/component=agent"
        ),
    )


def test_a_pod_that_admission_refused_is_counted_although_it_does_not_exist():
    assert judge("ns", deployment(), daemon_set(0), [], []).problems == (
        "0 of 2 agents are ready; see kubectl -n ns describe pods -l app.kubernetes.io/component=agent",
    )


def test_a_node_whose_agent_has_not_reported_is_named():
    assert judge("ns", deployment(), daemon_set(2), BOTH, [report("n1")]).problems == (
        "no NodeTrust of n2: the agents there have not reported yet",
    )


def test_a_cluster_in_which_no_node_gets_an_agent_does_not_work():
    assert judge("ns", deployment(), daemon_set(0, wanted=0), [], []).problems == (
        "no node is to have an agent; check agent.nodeSelector and the labels of the nodes",
    )


def test_counts_of_a_daemonset_before_its_last_change_are_not_believed():
    assert judge("ns", deployment(), daemon_set(2, observed=0), BOTH, REPORTS).problems == (
        "Kubernetes has not processed the DaemonSet registry-trust-agent yet; is its controller manager running?",
    )


def test_a_node_that_fails_is_shown_and_is_no_fault_of_the_installation():
    found = judge("ns", deployment(), daemon_set(2), BOTH, [report("n1"), report("n2\x1b[2J", "Failing"), report("n2")])

    assert found.problems == ()
    assert found.lines[2] == "failing nodes: n2\\x1b[2J; see kubectl get nodetrusts"
