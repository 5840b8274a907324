"""Will it be read? What keeps a real runtime from reading our files is said of the node, and the cure cures it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.three_nodes import ELSEWHERE, ThreeNodes
from tools.authority import Authority
from tools.cluster.nodes import Node
from tools.cluster.waiting import wait_until

UNKNOWN_CA = "x509: certificate signed by unknown authority"
OWN, DOCKERS = "/etc/containerd/certs.d", "/etc/docker/certs.d"
IMAGES = "plugins.'io.containerd.cri.v1.images'"


@pytest.fixture
def third(clean: ThreeNodes) -> Iterator[Node]:
    """Give the third node to one test, and its configuration back afterwards."""
    node = clean.node(ELSEWHERE)
    yield node
    node.restart_containerd(config_path="/etc/elsewhere/certs.d")


def wait_for_target(nodes: ThreeNodes, path: str, state: str, reason: str = "") -> dict[str, Any]:
    """Wait until the third node says this of a target."""

    def reached() -> dict[str, Any]:
        target = next((t for t in nodes.report(ELSEWHERE)["targets"] if t["path"] == path), None)
        assert target, f"no target {path}"
        assert (target["state"], target.get("reason", "")) == (state, reason), target
        found: dict[str, Any] = target
        return found

    return wait_until(reached, f"{path} of {ELSEWHERE} is {state} {reason}", within=60)


def wait_for_row(nodes: ThreeNodes, state: str, reason: str = "") -> dict[str, Any]:
    """Wait until the third node says this of the registry."""

    def reached() -> dict[str, Any]:
        row = next((r for r in nodes.report(ELSEWHERE)["registries"] if r["name"] == nodes.registry.name), None)
        assert row, "no such row"
        assert (row["state"], row.get("reason", "")) == (state, reason), row
        found: dict[str, Any] = row
        return found

    return wait_until(reached, f"the registry on {ELSEWHERE} is {state} {reason}", within=60)


def wait_for_docker(nodes: ThreeNodes, what: str) -> None:
    """Wait until the third node's dockerd pulls: it reloads its configuration when it gets to it."""

    def pulled() -> bool:
        words = nodes.node(ELSEWHERE).docker_pull(nodes.image())
        assert words == ""
        return True

    wait_until(pulled, what, within=60, every=0.5)


def test_a_configuration_that_containerd_has_not_started_with_is_said_until_the_restart(
    clean: ThreeNodes, third: Node
) -> None:
    clean.sources()
    clean.trust()
    wait_for_target(clean, "/etc/elsewhere/certs.d", "NotRead", "RootNotRead")

    third.configure_containerd(OWN)  # as the message says, without the restart that it also says
    target = wait_for_target(clean, OWN, "Unknown", "RuntimeNotRestarted")
    assert target["message"].endswith("once: systemctl restart containerd")
    failing = clean.wait_for("harbor", "Ready", "False", reason="NodesFailing")
    assert "RuntimeNotRestarted" in failing["message"]
    assert UNKNOWN_CA in clean.pull(ELSEWHERE)

    third.restart_containerd(config_path=OWN)
    wait_for_target(clean, OWN, "Read")
    assert clean.pull(ELSEWHERE) == ""
    clean.wait_for("harbor", "Ready")


@dataclass(frozen=True)
class Configured:
    """A configuration of containerd, and what comes of it."""

    config_path: str | None
    images: str = ""
    drop_in: str = ""
    reads: str = ""


CONFIGURATIONS = {
    "a list, with a local pull": Configured(f"{OWN}:{DOCKERS}", "discard_unpacked_layers = true", reads=OWN),
    "a list, with the transfer service": Configured(f"{OWN}:{DOCKERS}", reads=f"{OWN}:{DOCKERS}"),
    "a file that is imported": Configured(
        "/etc/elsewhere/certs.d",
        drop_in=f"version = 3\n[{IMAGES}.registry]\nconfig_path = '{OWN}'\n",
        reads=OWN,
    ),
    "legacy mirrors, which take the default away": Configured(
        None, f"[{IMAGES}.registry.mirrors.'other.example']\nendpoint = ['https://other.example']\n"
    ),
}


@pytest.mark.parametrize("configured", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_containerd_reads_what_the_node_says_that_it_reads(
    clean: ThreeNodes, third: Node, configured: Configured
) -> None:
    drop_in = third.path("/etc/containerd/conf.d/certs.toml")
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text(configured.drop_in)
    imports = "imports = ['/etc/containerd/conf.d/*.toml']" if configured.drop_in else ""
    third.restart_containerd(config_path=configured.config_path, top=imports, images=configured.images)
    clean.sources()
    clean.trust()
    if configured.reads:
        wait_for_target(clean, configured.reads, "Read")
        wait_for_row(clean, "Current")
        assert clean.pull(ELSEWHERE) == ""
    else:
        wait_for_target(clean, OWN, "NotRead", "RootNotRead")
        assert UNKNOWN_CA in clean.pull(ELSEWHERE)


def test_a_foreign_hosts_toml_under_the_other_spelling_hides_ours_until_it_is_moved_away(
    clean: ThreeNodes, third: Node
) -> None:
    host, port = clean.registry.name.split(":")
    third.restart_containerd(config_path=DOCKERS)  # written as dockerd reads it, host:port
    clean.sources()
    clean.trust()
    wait_for_target(clean, DOCKERS, "Read")
    wait_for_row(clean, "Current")
    assert clean.pull(ELSEWHERE) == ""

    hiding = third.path(DOCKERS) / f"{host}_{port}_"
    hiding.mkdir()
    (hiding / "hosts.toml").write_text(f'server = "https://{clean.registry.name}"\n\n[host]\n')
    row = wait_for_row(clean, "Failed", "Shadowed")
    assert f"{DOCKERS}/{host}_{port}_ is not written by registry-trust" in row["message"]
    assert UNKNOWN_CA in clean.pull(ELSEWHERE)

    hiding.rename(third.path("/var/lib") / "moved-away")
    wait_for_row(clean, "Current")
    assert clean.pull(ELSEWHERE) == ""


def test_a_default_in_an_earlier_root_of_a_list_hides_ours_although_that_root_is_only_looked_at(
    clean: ThreeNodes, third: Node
) -> None:
    earlier = "/etc/containerd/hosts.d"
    third.restart_containerd(config_path=f"{earlier}:{DOCKERS}", images="discard_unpacked_layers = true")
    default = third.path(earlier) / "_default"
    default.mkdir(parents=True)
    (default / "hosts.toml").write_text(f'server = "https://{clean.registry.name}"\n\n[host]\n')
    clean.sources()
    clean.trust()
    row = wait_for_row(clean, "Failed", "Shadowed")
    assert f"{earlier}/_default is not written by registry-trust" in row["message"]
    assert UNKNOWN_CA in clean.pull(ELSEWHERE)

    default.rename(third.path("/var/lib") / "moved-default")
    wait_for_row(clean, "Current")
    assert clean.pull(ELSEWHERE) == ""


def test_what_dockerd_with_the_containerd_store_reads_for_every_registry_is_not_hidden(clean: ThreeNodes) -> None:
    node = clean.node(ELSEWHERE)
    default = node.path(DOCKERS) / "_default"
    moved = node.path("/var/lib") / "moved-docker-default"
    default.mkdir(parents=True)
    try:
        (default / "ca.crt").write_bytes(clean.registry.authority.pem)
        assert UNKNOWN_CA not in node.docker_pull(clean.image()), "dockerd does not read _default"

        clean.sources()
        clean.trust()
        wait_for_row(clean, "Current", "MirrorsCarried")
        assert UNKNOWN_CA not in node.docker_pull(clean.image())
    finally:
        default.rename(moved)
    wait_for_row(clean, "Current")
    assert node.docker_pull(clean.image()) == ""


def test_dockerd_verifies_nothing_of_an_insecure_registry_and_asks_a_mirror_of_docker_hub_with_other_files(
    clean: ThreeNodes,
) -> None:
    node = clean.node(ELSEWHERE)
    name = clean.registry.name
    try:
        clean.sources(authority=Authority.create("not the registry's"))
        clean.trust()
        wait_for_row(clean, "Current")
        assert UNKNOWN_CA in node.docker_pull(clean.image())

        node.reload_dockerd(**{"insecure-registries": [name]})
        assert "insecure-registries" in wait_for_row(clean, "Current", "RuntimeIgnoresTLS")["message"]
        wait_for_docker(clean, "dockerd asks without verifying")
        node.reload_dockerd()  # without the key it keeps the old list
        wait_for_row(clean, "Current")
        assert node.docker_pull(clean.image()) == ""

        clean.sources()
        node.reload_dockerd(**{"insecure-registries": [], "registry-mirrors": [f"https://{name}"]})
        wait_until(
            lambda: "mirror of Docker Hub" in wait_for_row(clean, "Current", "RuntimeIgnoresTLS")["message"],
            "the node says that dockerd has a mirror",
            within=30,
        )
        wait_for_docker(clean, "dockerd pulls by the mirror's own name")
        clean.registry.push("library/hub", "1", label="hub")
        words = node.docker_pull("library/hub:1")
        assert f"https://{name}/v2/library/hub/" in words
        assert UNKNOWN_CA in words
    finally:
        node.reload_dockerd(**{"insecure-registries": [], "registry-mirrors": []})
    wait_until(lambda: wait_for_row(clean, "Current"), "the node says nothing of dockerd any more", within=60)
