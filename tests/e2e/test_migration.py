"""From a DaemonSet that copies files in a loop: the page, as it stands, under pulls; then certificates rotate."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from registry_trust import __version__
from tests.e2e.three_nodes import ELSEWHERE, SINGLE, ThreeNodes
from tests.page_commands import own_blocks, run_block
from tools.authority import Authority
from tools.cluster.waiting import wait_until
from tools.installation import TRUST_NAMESPACE, secret

OLD = "registry-certificates"
ROOTS = {"containerd": "/etc/containerd/certs.d", "docker": "/etc/docker/certs.d"}
TLS, TLS_TYPE = ("tls.crt", "tls.key"), "kubernetes.io/tls"
LOOP = """
import os, shutil, time
while True:
    for root in ("/containerd", "/docker"):
        folder = f"{root}/{os.environ['REGISTRY']}"
        os.makedirs(folder, exist_ok=True)
        for name in ("ca.crt", "client.cert", "client.key"):
            shutil.copyfile(f"/from/{name}", f"{folder}/.{name}.new")
            os.replace(f"{folder}/.{name}.new", f"{folder}/{name}")
    time.sleep(1)
"""
"""What such DaemonSets do in shell; the image at hand has Python alone.

A careful one: containerd and dockerd would load `.ca.crt`, and a pull fails that lists it just before it is renamed.
"""


def daemon_set(registry: str) -> dict[str, Any]:
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("from", *ROOTS)]
    container = {
        "name": "copy",
        "image": f"localhost/registry-trust:{__version__}",
        "imagePullPolicy": "Never",
        "command": ["/opt/registry-trust/bin/python3", "-c", LOOP],
        "env": [{"name": "REGISTRY", "value": registry}],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": mounts,
    }
    volumes = [{"name": "from", "secret": {"secretName": OLD}}]
    volumes += [{"name": name, "hostPath": {"path": path, "type": "DirectoryOrCreate"}} for name, path in ROOTS.items()]
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": volumes,
    }
    labels = {"app": OLD}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": OLD, "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


@contextmanager
def pulling(nodes: ThreeNodes) -> Iterator[list[str]]:
    """Pull again and again: the kubelets of two nodes, and dockerd on one of them. Yields what each pull said."""
    said: list[str] = []
    stop = threading.Event()
    image = nodes.image()

    def loop(pull: Any) -> None:
        while not stop.is_set():
            said.append(pull(image))

    pulls = (lambda i: nodes.pull(SINGLE, i), lambda i: nodes.pull(ELSEWHERE, i), nodes.node(ELSEWHERE).docker_pull)
    threads = [threading.Thread(target=loop, args=(pull,)) for pull in pulls]
    for thread in threads:
        thread.start()
    try:
        yield said
    finally:
        stop.set()
        for thread in threads:
            thread.join(90)


def more_than(said: list[str], count: int) -> bool:
    return len(said) >= count


@pytest.fixture
def copied(clean: ThreeNodes) -> Iterator[ThreeNodes]:
    """Let the old DaemonSet bring the certificates to all nodes, of which the third reads containerd's usual place."""
    pair, registry = clean.registry.client(), clean.registry.name
    data = {"ca.crt": clean.registry.authority.pem, "client.cert": pair.certificate, "client.key": pair.key}
    clean.node(ELSEWHERE).restart_containerd(config_path=ROOTS["containerd"])
    clean.kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": OLD, "namespace": "kube-system"},
            "stringData": {key: value.decode() for key, value in data.items()},
        },
        daemon_set(registry),
    )
    places = [node.path(root) / registry for node in clean.cluster.nodes for root in ROOTS.values()]
    try:
        wait_until(lambda: all((place / "client.key").exists() for place in places), "files are everywhere", within=120)
        yield clean
    finally:
        clean.kubectl("delete", "daemonset,secret", OLD, "-n", "kube-system", "--ignore-not-found")
        clean.remove_trusts()
        for place in places:
            shutil.rmtree(place, ignore_errors=True)
        clean.node(ELSEWHERE).restart_containerd(config_path="/etc/elsewhere/certs.d")


def test_from_a_daemon_set_that_copies_files_without_a_failing_pull(
    request: pytest.FixtureRequest, copied: ThreeNodes, tmp_path: Path
) -> None:
    registry, kubectl = copied.registry, copied.kubectl
    old, new = registry.authority, Authority.create("harbor CA, after the migration")
    shutil.copytree(
        copied.node(SINGLE).path(ROOTS["containerd"]) / registry.name,
        tmp_path / "node/etc/containerd/certs.d" / registry.name,
    )
    name = registry.name.replace(":", "-")
    with pulling(copied) as said:
        wait_until(lambda: len(said) >= 3, "pulls go on", within=60)
        for block in own_blocks(request):
            run_block(block.commands, tmp_path, kubectl.kubeconfig)
            before = len(said)
            wait_until(partial(more_than, said, before + 3), "pulls go on after each step", within=60)

        entries = [copied.node(SINGLE).path(ROOTS["containerd"]), copied.node(ELSEWHERE).path(ROOTS["docker"])]
        assert all(any(each.is_symlink() for each in root.iterdir()) for root in entries)
        both = {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {"name": f"{name}-ca", "namespace": TRUST_NAMESPACE},
        }
        revision = str(kubectl.get("registrytrust", name)["status"]["revision"])
        kubectl.apply({**both, "data": {"ca.crt": (old.pem + new.pem).decode()}})

        def rotated() -> bool:
            status = kubectl.get("registrytrust", name)["status"]
            nodes = status.get("nodes", {})
            return bool(status["revision"] != revision and nodes.get("current") == nodes.get("selected"))

        wait_until(rotated, "both CAs are on every node", within=60)
        registry.rotate(authority=new)
        wait_until(partial(more_than, said, len(said) + 6), "pulls go on with the new CA", within=60)
        kubectl.apply({**both, "data": {"ca.crt": new.pem.decode()}})
        kubectl.apply(secret(f"{name}-client", dict(zip(TLS, astuple(registry.client()), strict=True)), TLS_TYPE))
        wait_until(partial(more_than, said, len(said) + 6), "pulls go on with the new client certificate", within=60)

    assert [words for words in said if words] == []
