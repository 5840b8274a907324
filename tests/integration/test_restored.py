"""etcd is restored from a backup: every version goes back, nodes have seen a later bundle, and nobody stays deaf."""

from __future__ import annotations

import time
from typing import Any

import pytest

from registry_trust.controller.api_server import ApiServer
from registry_trust.controller.connection import Connector
from registry_trust.controller.leadership import LOST
from registry_trust.core.names import TRUSTS
from tools.authority import Authority
from tools.cluster.waiting import wait_until
from tools.installation import Agent, Installation

OLD, NEW, NEXT = (Authority.create(f"the {which} CA") for which in ("old", "new", "next"))

WITHIN = 60.0
"""Seconds from the API server's return to right files and true statuses everywhere."""

WRITES = 500


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

    def has_come(right: list[dict[str, str]], *kinds: str, since: float) -> None:
        def is_so() -> bool:
            ready = [installation.condition(f"{kind}-{name}", "Ready") for kind in kinds]
            assert files(agents) == right
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
    has_come([{"kept": "old", "deleted": "old"}] * 2, "kept", "deleted", since=began)
    assert min(serials()) > lost
    assert not plane.kubectl.get("nodetrust", f"one-{name}")["status"].get("notices"), "taken as newer, not in the end"

    installation.secret(name, {"ca.crt": NEXT.pem})
    trust("later")
    plane.kubectl("label", "node", f"two-{name}", "pool-")
    right: list[dict[str, str]] = [{"kept": "next", "deleted": "next", "later": "next"}, {}]
    has_come(right, "kept", "deleted", "later", since=time.monotonic())
