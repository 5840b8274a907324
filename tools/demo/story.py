"""The story: the steps in their order, and the figures at the end."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tools.cluster.runs import Run
from tools.demo.failure import last_words
from tools.demo.output import Output
from tools.demo.pulls import Count
from tools.demo.removal import delete_trust, fingerprints, show_neighbour, show_with_kubectl, wait_for_removal
from tools.demo.rotation import refuse_wrong_secret, retried, rotate_ca, rotate_client_pair
from tools.demo.scene import Scene, set_up
from tools.demo.steps import apply_trust, install_and_start, make_neighbours, show_refusals


def tell(out: Output, run: Run) -> None:
    """Play the whole demo in a run's folder."""
    out.heading("A control plane and a registry, on loopback")
    with set_up(run) as scene:
        out.good(
            f"etcd and kube-apiserver: {scene.installation.plane.url}, as uid {os.getuid()}, with three Node objects"
        )
        image = scene.registry.push()
        out.good(f"registry {scene.registry.name}, with {image.partition('/')[2]}")
        try:
            _play(out, scene, image)
        except Exception:
            last_words(out, run)
            raise


def _play(out: Output, scene: Scene, image: str) -> None:
    install_and_start(out, scene)
    folders = make_neighbours(scene)
    before = fingerprints(folders)
    show_refusals(out, scene, image)
    applied = apply_trust(out, scene, image)
    for_ca = rotate_ca(out, scene, image)
    for_pair = rotate_client_pair(out, scene, image)
    refuse_wrong_secret(out, scene, image)
    show_with_kubectl(out, scene)
    deleted = delete_trust(out, scene, image)
    show_neighbour(out, scene, folders, before)
    removed = wait_for_removal(out, scene, image, deleted, folders, before)
    out.heading("In short")
    out.table(
        [
            ("trust applied, files on three nodes", f"{applied.files:.2f} s"),
            ("trust applied, Ready in status", f"{applied.ready:.2f} s"),
            ("pulls while the CA changed", _figure(for_ca)),
            ("pulls while the client pair changed", _figure(for_pair)),
            ("trust deleted, files gone (30 s grace)", f"{removed:.1f} s"),
            ("the whole demo", f"{out.seconds:.0f} s"),
        ]
    )


def _figure(counts: Sequence[Count]) -> str:
    failed = sum(len(count.failures) for count in counts)
    slowest = max(count.slowest_ms for count in counts)
    return f"{sum(count.pulls for count in counts)}, {failed} failed{retried(counts)}, slowest {slowest:.0f} ms"
