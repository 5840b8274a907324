"""Rotation, rename and removal, seen by the runtimes that pull all the while."""

from __future__ import annotations

from registry_trust.core.layout import Layout
from tests.e2e.pull_loop import on_every_node, pulling, revision
from tests.e2e.three_nodes import ELSEWHERE, SINGLE, ThreeNodes
from tools.authority import Authority
from tools.cluster.loaders import Loaders
from tools.cluster.waiting import wait_until


def test_ca_and_client_pair_rotate_under_a_pull_loop_without_a_failure(clean: ThreeNodes) -> None:
    clean.sources()
    clean.trust(caRetention="0s")  # so that what the runtimes see changes with the Secret, at each step
    on_every_node(clean, "")
    old, new = clean.registry.authority, Authority.create("harbor CA, the next")
    old_clients, new_clients = clean.registry.client_authorities, [Authority.create("client CA, the next")]

    with pulling(clean) as seen:
        wait_until(lambda: seen.done >= 3, "pulls go on", within=60)
        before = revision(clean)
        clean.secret("harbor-ca", {"ca.crt": old.pem + new.pem})
        on_every_node(clean, before)
        clean.registry.rotate(authority=new, client_authorities=[*old_clients, *new_clients])
        before, pulled = revision(clean), seen.done
        wait_until(lambda: seen.done >= pulled + 6, "pulls go on with the new server certificate", within=90)
        clean.pair_secret("harbor-client", new_clients[0].client("node"))
        on_every_node(clean, before)
        clean.registry.rotate(client_authorities=new_clients)
        before, pulled = revision(clean), seen.done
        clean.secret("harbor-ca", {"ca.crt": new.pem})
        on_every_node(clean, before)
        wait_until(lambda: seen.done >= pulled + 6, "pulls go on with the new client pair", within=90)

    assert seen.failures == []
    assert seen.done >= 15


def test_a_rename_is_not_seen_by_a_spinning_loader(clean: ThreeNodes) -> None:
    clean.sources()
    clean.trust()
    on_every_node(clean, "")
    ca = [{"secretKeyRef": {"name": "harbor-ca", "key": "ca.crt"}}]
    client = [{"secretRef": {"name": "harbor-client"}}]
    docker = clean.node(ELSEWHERE).path("/etc/docker/certs.d")
    containerd = clean.node(SINGLE).path("/etc/containerd/certs.d")

    with Loaders(clean.cluster.run) as loaders:
        spins = [
            loaders.spin_read(Layout.DOCKER, docker, clean.registry.name),
            loaders.spin_read(Layout.CONTAINERS, docker, clean.registry.name),
            loaders.spin_read(Layout.CONTAINERD, containerd, clean.registry.name),
        ]
        clean.trust("renamed", caCertificates=ca, clientCertificates=client)
        clean.wait_for("renamed", "Accepted")
        clean.kubectl("delete", "registrytrust", "harbor")
        reads = [spin.count().rounds for spin in spins]
        wait_until(
            lambda: all(spin.count().rounds > before + 2000 for spin, before in zip(spins, reads, strict=True)),
            "each loader has read 2,000 times since the old name is gone",
            within=60,
        )
        counts = [spin.stop() for spin in spins]

    assert [count.failures for count in counts] == [0, 0, 0], counts
    assert clean.pull(SINGLE) == ""


def test_removal_takes_our_files_and_nothing_else(clean: ThreeNodes) -> None:
    neighbour = clean.node(SINGLE).path("/etc/containerd/certs.d") / "neighbour.example"
    neighbour.mkdir()
    (neighbour / "ca.crt").write_bytes(Authority.create("neighbour").pem)
    before = (neighbour / "ca.crt").stat()
    clean.sources()
    clean.trust()
    on_every_node(clean, "")

    clean.kubectl("delete", "registrytrust", "harbor")
    wait_until(lambda: not clean.entries(), "every entry is gone after the grace", within=60)

    assert (neighbour / "ca.crt").stat() == before
    assert "x509: certificate signed by unknown authority" in clean.pull(SINGLE)
    (neighbour / "ca.crt").unlink()
    neighbour.rmdir()
