"""`registry-trust withdraw`: ask every agent to remove what it wrote, and wait until all have said that they did."""

from __future__ import annotations

import time
from dataclasses import replace

import click

from registry_trust.controller import connection
from registry_trust.controller.agents import live_agents
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.bundle_secret import BundleSecret
from registry_trust.controller.cluster import read_report
from registry_trust.controller.settings import REPORTS

INTERVAL = 1.0
AGENT = "registry-trust-agent"


def withdraw_everything(namespace: str, kubeconfig: str, wait_seconds: float) -> int:
    """Mark the bundle as withdrawn and wait; return 0 when no report names a registry any more, else 1."""
    server = ApiServer(connection.Connector(kubeconfig))
    secret = BundleSecret(server, namespace, "registry-trust-bundle")
    deadline = time.monotonic() + wait_seconds
    try:
        stored = secret.read()
        bundle = replace(stored.bundle, serial=stored.bundle.serial + 1, trusts=(), blobs={}, withdrawn=True)
        stored = secret.write(bundle, stored)
        click.echo(f"bundle withdrawn at serial {bundle.serial}; waiting for the agents", err=True)
        left = _left(server, namespace, stored.uid, bundle.serial)
        while left and time.monotonic() < deadline:
            click.echo(f"{len(left)} nodes still have files: {', '.join(left[:5])}", err=True)
            time.sleep(INTERVAL)
            left = _left(server, namespace, stored.uid, bundle.serial)
    except ApiFailure as error:
        click.secho(f"failed: {error}", err=True, fg="red")
        return 1
    if left:
        click.secho(
            f"{len(left)} nodes did not report in {wait_seconds:.0f} s: {', '.join(left[:10])}; on each of them, "
            "`registry-trust apply --root ROOT --layout LAYOUT --remove` does the same",
            err=True,
            fg="red",
        )
        return 1
    click.echo("every agent has removed its files", err=True)
    return 0


def _left(server: ApiServer, namespace: str, uid: str, serial: int) -> list[str]:
    """Return the names of the nodes that have not said yet that everything is gone.

    A node counts where an agent runs on it, and where one has ever reported: its files are there although its agent
    is not.
    """
    reported: set[str] = set()
    done: set[str] = set()
    for body in server.list(REPORTS)[1]:
        name = str(body["metadata"]["name"])
        reported.add(name)
        owned = read_report(body)
        report = owned.report if owned is not None else None
        if report is not None and not report.registry_count and report.bundle_uid == uid and report.serial >= serial:
            done.add(name)
    nodes = frozenset(str(body["metadata"]["name"]) for body in server.list("/api/v1/nodes")[1])
    agents = live_agents(server, namespace, AGENT, nodes) or frozenset()
    return sorted((agents | reported) - done)
