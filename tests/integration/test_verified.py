"""Verified: status says whether a pull would work, as a few nodes find out with their own files at a real registry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.asking import WRONG, Scene, asking
from tools.cluster.control_plane import ControlPlane
from tools.cluster.waiting import wait_until

pytestmark = pytest.mark.tools("registry", "loaders")


@pytest.fixture(scope="module")
def scene(plane: ControlPlane) -> Iterator[Scene]:
    with asking(plane, "one", "two", "three", "four", "five") as made:
        yield made


def test_three_nodes_of_five_ask_the_registry_and_a_pull_would_work(scene: Scene) -> None:
    scene.trust()

    wait_until(lambda: list(scene.verdicts().values()) == ["Verified"] * 3, "three nodes have asked", within=60)
    scene.says("True", "Verified", "3 nodes asked, and a pull would work")


def test_a_wrong_ca_is_told_within_seconds_and_what_the_registry_showed_with_it(scene: Scene) -> None:
    scene.trust()
    scene.source(WRONG)
    try:
        scene.says("False", "VerificationFailed", "UnknownAuthority", scene.registry.name)
        assert scene.installation.condition("harbor", "Ready")["status"] == "True"

        scene.trust(verification="Require")
        refused = scene.installation.wait_for("harbor", "Ready", "False")
        assert refused["reason"] == "VerificationFailed"
        assert scene.installation.condition("harbor", "Stalled")["status"] == "True"
    finally:
        scene.source(scene.registry.authority)
    scene.says("True", "Verified")
    scene.installation.wait_for("harbor", "Ready")


def test_a_client_certificate_that_the_registry_refuses_is_told(scene: Scene) -> None:
    scene.trust()
    scene.pair(WRONG)
    try:
        scene.says("False", "VerificationFailed", "ClientCertificateRefused")
    finally:
        scene.pair(scene.registry.client_authorities[0])
    scene.says("True", "Verified")


def test_a_registry_that_is_away_or_behind_a_proxy_of_the_host_is_unknown_and_never_false(scene: Scene) -> None:
    scene.trust(verification="Off")
    wait_until(lambda: scene.verdicts() == {}, "nobody asks", within=30)
    assert scene.installation.condition("harbor", "Verified") == {}
    drop_in = scene.view / "etc/systemd/system/containerd.service.d/20-proxy.conf"
    drop_in.write_text("[Service]\nEnvironment=HTTPS_PROXY=http://user:password@127.0.0.1:1\n")
    try:
        scene.trust()
        told = scene.says("Unknown", "NotProbed", "HTTPS_PROXY")
        assert "password" not in told["message"]
    finally:
        drop_in.unlink()
    scene.trust(verification="Off")
    wait_until(lambda: scene.verdicts() == {}, "nobody asks", within=30)
    scene.close()
    try:
        scene.trust()
        scene.says("Unknown", "RegistryUnreachable")
        assert scene.installation.condition("harbor", "Ready")["status"] == "True"
    finally:
        scene.open()
        scene.trust(verification="Off")
    wait_until(lambda: scene.verdicts() == {}, "nobody waits for the next time to ask", within=30)
