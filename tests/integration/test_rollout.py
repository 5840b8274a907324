"""Rollouts on a real API server: real agents ask a real registry, and what fails on a canary is on no other node."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.asking import WRONG, Scene, asking
from tests.page_commands import own_blocks, run_block
from tools.authority import Authority
from tools.cluster.control_plane import ControlPlane
from tools.cluster.waiting import wait_until

pytestmark = pytest.mark.tools("registry", "loaders")


@pytest.fixture(scope="module")
def scene(plane: ControlPlane) -> Iterator[Scene]:
    with asking(plane, "one", "two", "three") as made:
        made.trust(rollout={"canaries": 1})
        made.installation.wait_for("harbor", "Ready", within=90)
        yield made


@pytest.fixture(autouse=True)
def _as_it_was(scene: Scene) -> Iterator[None]:
    yield
    scene.source(scene.registry.authority)
    scene.trust(rollout={"canaries": 1})
    wait_until(lambda: having(scene, scene.registry.authority.pem) == {"one", "two", "three"}, "as before", within=90)
    scene.installation.wait_for("harbor", "Ready", within=90)


def having(scene: Scene, pem: bytes) -> set[str]:
    """Return the nodes whose files for the registry have just this text."""
    agents = scene.installation.agents.values()
    return {each.node for each in agents if (each.root() / scene.registry.name / "ca.crt").read_bytes() == pem}


def ever_had(scene: Scene, authority: Authority) -> set[str]:
    """Return the nodes with a file that has a CA: a generation that was superseded stays for a minute."""
    found = set()
    for agent in scene.installation.agents.values():
        for folder, _, names in os.walk(agent.root()):  # It passes over what goes meanwhile.
            with suppress(FileNotFoundError):
                if "ca.crt" in names and authority.pem.strip() in Path(folder, "ca.crt").read_bytes():
                    found.add(agent.node)
    return found


def canaries(scene: Scene) -> list[str]:
    return list(scene.installation.status("harbor").get("rollout", {}).get("canaries", []))


def waits_for(scene: Scene, reason: str) -> str:
    """Wait until Ready is False for a reason; return the message."""

    def reached() -> str:
        found = scene.installation.condition("harbor", "Ready")
        assert (found.get("status"), found.get("reason")) == ("False", reason), found
        return str(found["message"])

    return wait_until(reached, f"Ready is False, {reason}", within=90)


@pytest.fixture
def following() -> Authority:
    """Return a CA that no node ever had."""
    return Authority.create("the next CA")


def write(scene: Scene, pem: bytes) -> None:
    scene.installation.secret("ca", {"ca.crt": pem})


def everybody_has(scene: Scene, authority: Authority) -> bool:
    return ever_had(scene, authority) == {"one", "two", "three"} and not canaries(scene)


def test_a_rotation_that_works_goes_from_one_canary_to_all(scene: Scene, following: Authority) -> None:
    write(scene, scene.registry.authority.pem + following.pem)

    wait_until(lambda: everybody_has(scene, following), "every node has both CAs", within=90)
    scene.installation.wait_for("harbor", "Ready", within=90)
    events = scene.installation.plane.kubectl.get("events.events.k8s.io", "-A")["items"]
    assert "RolledOut" in {event["reason"] for event in events}


def test_a_wrong_ca_is_on_one_canary_and_goes_back(scene: Scene) -> None:
    scene.source(WRONG)

    message = waits_for(scene, "CanaryFailed")
    assert "UnknownAuthority" in message
    assert scene.installation.condition("harbor", "Stalled")["reason"] == "CanaryFailed"
    assert scene.installation.condition("harbor", "Accepted")["status"] == "True"
    pem = scene.registry.authority.pem
    wait_until(lambda: having(scene, pem) == {"one", "two", "three"}, "the canary went back", within=60)
    assert len(ever_had(scene, WRONG)) == 1


def test_after_an_operator_that_is_killed_the_next_one_ends_the_rollout(scene: Scene, following: Authority) -> None:
    scene.close()
    try:
        write(scene, scene.registry.authority.pem + following.pem)
        message = waits_for(scene, "CanaryUnverified")
        (canary,) = canaries(scene)
        assert canary in message
        assert scene.installation.operator is not None
        scene.installation.operator.kill()
    finally:
        scene.open()
    assert ever_had(scene, following) == {canary}, "no other node sees it, whoever leads"
    scene.installation.start_operator("--verify-registries")

    wait_until(lambda: everybody_has(scene, following), "the next leader ends it", within=150)


def test_what_nobody_can_tell_goes_on_by_an_annotation(
    scene: Scene, following: Authority, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    (block,) = own_blocks(request)
    scene.close()
    try:
        write(scene, scene.registry.authority.pem + following.pem)
        message = waits_for(scene, "CanaryUnverified")
        assert len(ever_had(scene, following)) == 1
        revision = scene.installation.status("harbor")["rollout"]["revision"]
        assert f"kubectl annotate --overwrite rt harbor registrytrust.io/promote={revision}" in message
        run_block(block.commands, tmp_path, scene.installation.plane.admin_kubeconfig)
        wait_until(lambda: everybody_has(scene, following), "every node has both CAs", within=60)
    finally:
        scene.open()


def test_the_api_server_refuses_a_rollout_that_makes_no_sense(scene: Scene) -> None:
    for rollout in ({"canaries": 0}, {"canaries": "0%"}, {"canaries": 101}, {"canaries": "many"}, {}):
        with pytest.raises(AssertionError, match=r"canaries"):
            scene.trust(rollout=rollout)
    with pytest.raises(AssertionError, match=r"rollout\.verify"):
        scene.trust(rollout={"canaries": "10%"}, verification="Off")
    scene.trust(rollout={"canaries": "100%", "verify": False, "minimumSeconds": 5}, verification="Off")
