"""`registry-trust withdraw`: ask every agent to remove what it wrote, and wait until all have said that they did."""

from __future__ import annotations

import time
from dataclasses import replace

import click

from registry_trust.cli.ending import Exit
from registry_trust.compiler.objects import read_report
from registry_trust.controller import connection
from registry_trust.controller.agents import find_agents
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.bundle_secret import BundleSecret
from registry_trust.core.bundle_format import encode
from registry_trust.core.names import AGENT, BUNDLE, REPORTS
from registry_trust.core.text import listing

INTERVAL = 1.0


def withdraw_everything(kubeconfig: str, namespace: str, wait_seconds: float) -> int:
    """Mark the bundle as withdrawn and wait; return the exit code: 0 when no report names a registry any longer.

    Raises:
        click.ClickException: the API server refused, or what answers is not one.
    """
    server = ApiServer(connection.Connector(kubeconfig))
    try:
        return _withdraw(server, namespace, wait_seconds)
    except ApiFailure as error:
        raise click.ClickException(f"{error}{_advice(error.status)}") from None
    except (KeyError, TypeError, AttributeError):
        raise click.ClickException("what answers at that address is not a Kubernetes API server") from None


def _withdraw(server: ApiServer, namespace: str, wait_seconds: float) -> int:
    secret = BundleSecret(server, namespace, BUNDLE)
    deadline = time.monotonic() + wait_seconds
    try:
        stored = secret.read()
    except ApiFailure as error:
        if error.status != 404:
            raise
        raise click.ClickException(
            f"there is no bundle {namespace}/{BUNDLE}: name the namespace in which registry-trust is installed with "
            "--namespace"
        ) from None
    bundle = replace(stored.bundle, serial=stored.bundle.serial + 1, trusts=(), blobs={}, withdrawn=True)
    stored = secret.write(bundle, encode(bundle), stored)
    click.echo(f"bundle withdrawn at serial {bundle.serial}; waiting for the agents", err=True)
    left = _left(server, namespace, stored.uid, bundle.serial)
    while left and time.monotonic() < deadline:
        click.echo(f"{len(left)} nodes still have files: {listing(left, 5)}", err=True)
        time.sleep(INTERVAL)
        left = _left(server, namespace, stored.uid, bundle.serial)
    if left:
        click.secho(
            f"{len(left)} nodes did not report in {wait_seconds:.0f} s: {listing(left, 10)}. "
            "The bundle stays withdrawn, so their agents remove the files when they run. Without one, run there: "
            "registry-trust apply --root ROOT --remove",
            err=True,
            fg="red",
        )
        return Exit.FAILED
    click.echo("every agent has removed its files", err=True)
    return Exit.DONE


def _advice(status: int) -> str:
    match status:
        case 0:
            return "; is the API server of this kubeconfig reachable from here?"
        case 401 | 403:
            return "; use a kubeconfig whose user may read and patch the bundle and list nodetrusts, nodes and pods"
    return ""


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
    agents = find_agents(server, namespace, AGENT, nodes).live
    return sorted((agents | reported) - done)
