"""`registry-trust check`: say whether the operator runs, and an agent that has reported on every node that gets one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from registry_trust.cli.ending import Exit
from registry_trust.controller import connection
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.core.names import AGENT, OPERATOR, REPORTS
from registry_trust.core.text import escape, listing

INTERVAL = 1.0
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """What the installation's objects say: the lines to print, and the problems among them."""

    lines: tuple[str, ...]
    problems: tuple[str, ...]


def check_installation(kubeconfig: str, namespace: str, wait_seconds: float) -> int:
    """Look until there is no problem or the time is up; print what was found, and return the exit code.

    Raises:
        click.ClickException: the API server refused, or what answers is not one.
    """
    server = ApiServer(connection.Connector(kubeconfig))
    deadline = time.monotonic() + wait_seconds
    try:
        found = _look(server, namespace)
        while found.problems and time.monotonic() < deadline:
            time.sleep(INTERVAL)
            found = _look(server, namespace)
    except ApiFailure as error:
        raise click.ClickException(str(error)) from None
    except (KeyError, TypeError, AttributeError):
        raise click.ClickException("what answers at that address is not a Kubernetes API server") from None
    for line in found.lines:
        click.echo(line)
    for problem in found.problems:
        click.secho(problem, err=True, fg="red")
    return Exit.FAILED if found.problems else Exit.DONE


def _look(server: ApiServer, namespace: str) -> CheckFinding:
    workloads = f"/apis/apps/v1/namespaces/{namespace}"
    try:
        deployment = server.get(f"{workloads}/deployments/{OPERATOR}")
        daemon_set = server.get(f"{workloads}/daemonsets/{AGENT}")
    except ApiFailure as error:
        if error.status != 404:
            raise
        return CheckFinding((), (f"registry-trust is not installed in the namespace {namespace}: {error}",))
    labels = daemon_set["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    _, pods = server.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)
    return judge(namespace, deployment, daemon_set, pods, server.list(REPORTS)[1])


def judge(
    namespace: str,
    deployment: Mapping[str, Any],
    daemon_set: Mapping[str, Any],
    pods: Sequence[Mapping[str, Any]],
    reports: Sequence[Mapping[str, Any]],
) -> CheckFinding:
    """Return what these objects of an installation say.

    Args:
        namespace: where it is installed, for the commands in the messages.
        deployment: the operator's.
        daemon_set: the agents'.
        pods: those of the agents.
        reports: every NodeTrust.
    """
    wanted, ready = deployment["spec"].get("replicas", 1), _count(deployment, "readyReplicas")
    agents, agents_ready = _count(daemon_set, "desiredNumberScheduled"), _count(daemon_set, "numberReady")
    on = {str(pod["spec"].get("nodeName") or ""): pod for pod in pods}
    reporting = {str(report["metadata"]["name"]): (report.get("status") or {}) for report in reports}
    silent = sorted(on.keys() - reporting.keys() - {""})
    problems = []
    see = f"see kubectl -n {namespace} describe pods -l app.kubernetes.io/component="
    if not ready:
        problems.append(f"no operator is ready ({wanted} wanted); {see}operator")
    if not _is_seen(daemon_set):
        problems.append(f"Kubernetes has not processed the DaemonSet {AGENT} yet; is its controller manager running?")
    elif not agents:
        problems.append("no node is to have an agent; check agent.nodeSelector and the labels of the nodes")
    elif agents_ready < agents:
        late = sorted(node or "(a pod without a node)" for node, pod in on.items() if not _is_ready(pod))
        problems.append(f"{agents_ready} of {agents} agents are ready{_named(late)}; {see}agent")
    if silent:
        problems.append(f"no NodeTrust of {_listing(silent)}: the agents there have not reported yet")
    failing = sorted(node for node, status in reporting.items() if status.get("state") == "Failing")
    lines = (
        f"operator: {ready} of {wanted} ready",
        f"agents: {agents_ready} of {agents} ready, {len(on.keys() & reporting.keys())} have reported",
        *([f"failing nodes: {_listing(failing)}; see kubectl get nodetrusts"] if failing else []),
    )
    return CheckFinding(lines, tuple(problems))


def _count(workload: Mapping[str, Any], field: str) -> int:
    return int((workload.get("status") or {}).get(field) or 0)


def _is_seen(workload: Mapping[str, Any]) -> bool:
    return _count(workload, "observedGeneration") >= int(workload["metadata"].get("generation") or 0)


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _named(nodes: Sequence[str]) -> str:
    return f", not on {_listing(nodes)}" if nodes else ""


def _listing(names: Iterable[str]) -> str:
    return listing([escape(name) for name in names], _SHOWN)
