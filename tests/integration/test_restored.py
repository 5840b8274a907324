"""etcd is restored from a backup: every version goes back, nodes have seen a later bundle, and nobody stays deaf."""

from __future__ import annotations

import base64
import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from registry_trust.controller.api_server import ApiServer
from registry_trust.controller.connection import Connector
from registry_trust.controller.leadership import LOST
from registry_trust.core.bundle import Bundle
from registry_trust.core.bundle_format import decode
from registry_trust.core.names import TRUSTS
from registry_trust.core.removal_hold import confirm_command
from tools.authority import Authority
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, NAMESPACE, Agent, Installation

OLD, NEW, NEXT = (Authority.create(f"the {which} CA") for which in ("old", "new", "next"))

WITHIN = 60.0
"""Seconds from the API server's return to right files and true statuses everywhere."""

WRITES = 100


def as_a_kubelet_does(installation: Installation, *options: str) -> None:
    """Start the operator again if it lost its Lease, as it may while there is no API server."""
    process = installation.operator
    assert process is not None
    if process.child.poll() == LOST:
        installation.start_operator(*options)
    else:
        process.check()


def files(agents: list[Agent]) -> list[dict[str, str]]:
    """Return for each agent's root the CA of each entry, by its first name (a trust's kind)."""
    names = {ca.pem: name for name, ca in (("old", OLD), ("new", NEW), ("next", NEXT))}
    return [
        {path.parent.name.split(".")[0]: names[path.read_bytes()] for path in agent.root().glob("*/ca.crt")}
        for agent in agents
    ]


@pytest.mark.parametrize("options", [(), ("--no-leader-election",)], ids=["a leader", "no election"])
def test_a_restored_etcd_leaves_nobody_deaf_although_every_resource_version_goes_back(
    installation: Installation, options: tuple[str, ...]
) -> None:
    plane, name = installation.plane, "single" if options else "leader"
    assert installation.operator is not None
    installation.operator.stop()
    installation.start_operator(*options)
    source = [{"secretKeyRef": {"name": name, "key": "ca.crt"}}]
    installation.secret(name, {"ca.crt": OLD.pem})
    pool = {"matchLabels": {"pool": name}}

    def trust(kind: str, **spec: Any) -> None:
        own = {"registries": [f"{kind}.{name}.example"], "caCertificates": source, "caRetention": "0s"}
        installation.trust(f"{kind}-{name}", nodeSelector=pool, **{**own, **spec})

    def serials() -> set[int]:
        return {plane.kubectl.get("nodetrust", agent.node)["status"]["bundle"]["serial"] for agent in agents}

    def has_come(right: list[dict[str, str]], *kinds: str, since: float, aside: str = "") -> None:
        def is_so() -> bool:
            ready = [installation.condition(f"{kind}-{name}", "Ready") for kind in kinds]
            assert [{kind: ca for kind, ca in each.items() if kind != aside} for each in files(agents)] == right
            assert all(each.get("status") == "True" for each in ready), ready
            assert len(serials()) == 1, serials()
            return True

        left = since + WITHIN - time.monotonic()
        wait_until(is_so, "all is right", within=left, meanwhile=lambda: as_a_kubelet_does(installation, *options))

    for node in ("one", "two"):
        installation.add_node(f"{node}-{name}", {"pool": name})
    agents = [installation.start_agent(f"{node}-{name}") for node in ("one", "two")]
    trust("kept")
    trust("deleted")
    has_come([{"kept": "old", "deleted": "old"}] * 2, "kept", "deleted", since=time.monotonic())
    backup = plane.back_up()
    installation.secret(name, {"ca.crt": NEW.pem})
    plane.kubectl("delete", "rt", f"deleted-{name}")
    trust("lost")
    wait_until(
        lambda: all({"kept": "new", "lost": "new"}.items() <= each.items() for each in files(agents)),
        "the nodes have what will be lost",
        within=60,
        meanwhile=lambda: as_a_kubelet_does(installation, *options),
    )
    admin = ApiServer(Connector(str(plane.admin_kubeconfig)))
    for number in range(WRITES):
        metadata = {"name": f"write-{name}-{number}"}
        admin.create("/api/v1/namespaces/default/configmaps", {"metadata": metadata, "data": {"lost": "yes"}})
    before, lost = admin.list_version(TRUSTS), max(serials())

    plane.restore(backup)

    began = time.monotonic()
    assert admin.list_version(TRUSTS) < before - WRITES
    # An operator that went on gives the lost trust its grace, one that had to start again holds it longer.
    has_come([{"kept": "old", "deleted": "old"}] * 2, "kept", "deleted", since=began, aside="lost")
    assert min(serials()) > lost
    confirm(installation, confirm_command(NAMESPACE, BUNDLE, min(serials())))
    assert not plane.kubectl.get("nodetrust", f"one-{name}")["status"].get("notices"), "taken as newer, not in the end"

    installation.secret(name, {"ca.crt": NEXT.pem})
    trust("later")
    plane.kubectl("label", "node", f"two-{name}", "pool-")
    right: list[dict[str, str]] = [{"kept": "next", "deleted": "next", "later": "next"}, {}]
    has_come(right, "kept", "deleted", "later", since=time.monotonic())


def started(installation: Installation, name: str) -> tuple[Agent, Callable[[str], None]]:
    """Start an agent on a node of a pool of its own; return it, and what applies a trust of a kind for that pool."""
    installation.secret(name, {"ca.crt": OLD.pem})
    installation.add_node(name, {"pool": name})
    source = [{"secretKeyRef": {"name": name, "key": "ca.crt"}}]

    def trust(kind: str) -> None:
        pool = {"matchLabels": {"pool": name}}
        spec = {"registries": [f"{kind}.{name}.example"], "caCertificates": source, "nodeSelector": pool}
        installation.trust(f"{kind}-{name}", **spec)
        installation.wait_for(f"{kind}-{name}", "Ready", within=WITHIN)

    return installation.start_agent(name), trust


def held(installation: Installation, agent: Agent, *kinds: str) -> str:
    """Wait until a node reports that it holds the files of exactly these kinds; return the command that ends that."""

    def messages() -> dict[str, str]:
        status = installation.plane.kubectl.get("nodetrust", agent.node)["status"]
        rows = [row for row in status["registries"] if row.get("reason") == "RemovalHeld"]
        assert status["state"] == ("RemovalHeld" if rows else "Current"), status
        return {row["name"].split(".")[0]: row["message"] for row in rows if row["state"] == "Held"}

    def exactly_these() -> dict[str, str]:
        found = messages()
        return found if found.keys() == set(kinds) else {}

    found = wait_until(exactly_these, f"the node holds the files of {kinds}", within=WITHIN)
    ways = {message.partition("To keep them, ")[2] for message in found.values()}
    (way,) = ways
    again, _, command = way.partition(". To remove them now: ")
    assert again == "apply the trust again"
    return command


def confirm(installation: Installation, command: str) -> None:
    """Carry out the command of a message."""
    assert command.startswith(f"kubectl annotate --overwrite -n {NAMESPACE} secret {BUNDLE} "), command
    installation.plane.kubectl(*command.split()[1:])


def test_nodes_keep_the_trusts_that_a_backup_lacks_until_an_admin_decides_although_the_operator_restarts(
    installation: Installation,
) -> None:
    plane, name = installation.plane, "backup"
    agent, trust = started(installation, name)
    trust("kept")
    assert installation.operator is not None
    installation.operator.stop()
    backup = plane.back_up()
    installation.start_operator()
    trust("again")
    trust("lost")
    generation = (agent.root() / f"again.{name}.example").readlink()
    installation.operator.stop()

    plane.restore(backup)
    installation.start_operator()

    held(installation, agent, "again", "lost")
    trust("again")
    assert (agent.root() / f"again.{name}.example").readlink() == generation, "it was taken over as it was"
    plane.kubectl("label", "node", name, "pool-")  # As if the label had been newer than the backup.
    command = held(installation, agent, "kept", "again", "lost")
    assert files([agent]) == [dict.fromkeys(("kept", "again", "lost"), "old")]
    plane.kubectl("label", "node", name, f"pool={name}")
    assert held(installation, agent, "lost") == command
    assert (agent.root() / f"again.{name}.example").readlink() == generation

    confirm(installation, command)
    wait_until(lambda: files([agent]) == [{"kept": "old", "again": "old"}], "the lost trust is removed", within=WITHIN)


@pytest.mark.parametrize("loss", ["put-back", "emptied", "created-again"])
def test_nodes_keep_what_the_secret_of_the_bundle_no_longer_knows_when_the_operator_starts(
    installation: Installation, loss: str
) -> None:
    kubectl = installation.plane.kubectl
    agent, trust = started(installation, loss)
    trust("kept")
    older = kubectl.get("secret", BUNDLE, "-n", NAMESPACE)
    trust("gone")
    assert installation.operator is not None
    installation.operator.stop()

    kubectl("delete", "rt", f"gone-{loss}")
    if loss == "created-again":
        kubectl("delete", "secret", BUNDLE, "-n", NAMESPACE)
        metadata = {"name": BUNDLE, "namespace": NAMESPACE}
        kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": older["type"]})
    else:
        change = {"op": "remove"} if loss == "emptied" else {"op": "replace", "value": older["data"]}
        patch = json.dumps([{"path": "/data", **change}])
        kubectl("patch", "secret", BUNDLE, "-n", NAMESPACE, "--type=json", "-p", patch)
    installation.start_operator()

    command = held(installation, agent, "gone")
    told = kubectl.get("events", "-n", "default", "--field-selector", "reason=RemovalHeld")["items"]
    told = [each for each in told if each["involvedObject"]["kind"] == "CustomResourceDefinition"]
    assert [each["message"].endswith(command) for each in told].count(True) == 1
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{installation.operator_port}/metrics", timeout=5).read()
    assert b"registry_trust_history_lost 1.0" in metrics
    assert files([agent]) == [{"kept": "old", "gone": "old"}]
    confirm(installation, command)
    wait_until(lambda: files([agent]) == [{"kept": "old"}], "the trust that is gone is removed", within=WITHIN)


def served(installation: Installation) -> Bundle:
    """Return the bundle as its Secret holds it."""
    data = installation.plane.kubectl.get("secret", BUNDLE, "-n", NAMESPACE)["data"]
    return decode({key: base64.b64decode(value) for key, value in data.items()})


def test_a_node_keeps_what_was_lost_although_the_restored_operator_wrote_past_it_before_any_node_reported(
    installation: Installation,
) -> None:
    plane, name = installation.plane, "passed"
    agent, trust = started(installation, name)
    trust("kept")
    assert installation.operator is not None
    installation.operator.stop()
    backup = plane.back_up()
    installation.start_operator()
    trust("lost")
    generation = (agent.root() / f"lost.{name}.example").readlink()
    for each in installation.agents.values():  # Those of other tests, too: one report is enough for the operator.
        each.process.stop()
    lost = served(installation)
    installation.operator.stop()

    plane.restore(backup)
    installation.start_operator()

    def another(one: str) -> Bundle:
        """Let the operator write once more, of a trust that no node has."""
        source = [{"secretKeyRef": {"name": name, "key": "ca.crt"}}]
        nowhere = {"matchLabels": {"pool": "none"}}
        installation.trust(one, registries=[f"{one}.example"], caCertificates=source, nodeSelector=nowhere)
        wait_until(lambda: served(installation).trust(one), "the trust is served", within=WITHIN)
        return served(installation)

    number = 0
    while (passed := another(f"{name}-{number}")).serial <= lost.serial:
        number += 1
    assert passed.lost_history is None, "nobody has told the operator"
    assert passed.writer(lost.serial) not in (None, lost.writer(lost.serial))

    installation.start_agent(name)
    wait_until(lambda: served(installation).lost_history, "the operator learned of it", within=WITHIN)
    command = held(installation, agent, "lost")
    assert (agent.root() / f"lost.{name}.example").readlink() == generation
    told = served(installation)
    assert told.serial > passed.serial
    assert f"={told.lost_history and told.lost_history.since}" in command
    assert not plane.kubectl.get("nodetrust", name)["status"].get("notices"), "it was answered"

    confirm(installation, command)
    wait_until(lambda: files([agent]) == [{"kept": "old"}], "the lost trust is removed", within=WITHIN)
