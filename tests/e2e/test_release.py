"""A release: the same bytes each time; pushed, pinned, signed, installed out of the registry that it makes trusted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from registry_trust import __version__
from tests.e2e.test_image_python import copy_of_the_repository
from tests.e2e.three_nodes import ThreeNodes
from tools.cluster.binaries import binary
from tools.cluster.cluster import Cluster, what_is_missing
from tools.cluster.folders import REPOSITORY, cache_folder
from tools.cluster.images import own_architecture
from tools.cluster.node_files import PAUSE_IMAGE, NodeOptions
from tools.cluster.nodes import Node
from tools.cluster.waiting import wait_until
from tools.installation import NAMESPACE

pytestmark = pytest.mark.tools("cluster", "cosign")

AT = "1700000000"
"""SOURCE_DATE_EPOCH."""


def build(source: Path, to: Path) -> str:
    """Make a release from one directory; return its checksums."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.release", "build", f"--to={to}"],
        cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": AT, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (to / "SHA256SUMS").read_text()


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Return a release, and the checksums of two: from here, and from another directory with files of another time."""
    if missing := what_is_missing():
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("release")
    elsewhere = copy_of_the_repository(folder / "elsewhere")
    for path in elsewhere.rglob("*"):
        os.utime(path, (0, 0))
    with ThreadPoolExecutor(2) as pool:
        here = pool.submit(build, REPOSITORY, folder / "one")
        there = pool.submit(build, elsewhere, folder / "two")
        return folder / "one", here.result(), there.result()


def test_two_builds_of_a_release_are_the_same_byte_for_byte(builds: tuple[Path, str, str]) -> None:
    folder, here, there = builds

    assert here == there
    names = [line.split()[1] for line in here.splitlines()]
    assert names == sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
    assert {name.partition(__version__)[2] for name in names} >= {
        f"-linux-{own_architecture()}.oci.tar",
        f"-linux-{own_architecture()}.cdx.json",
        "-py3-none-any.whl",
        ".tgz",
        ".yaml",
    }
    done = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=False)
    assert done.returncode == 0


class Workstation:
    """Somebody's machine that reaches registry and API server: programs run in a node's network, with its /etc."""

    def __init__(self, node: Node, cluster: Cluster, home: Path) -> None:
        self.node = node
        self.home = home
        admin = cluster.plane.authority.client("admin", ["system:masters"])
        kubeconfig = cluster.plane.kubeconfig("workstation", admin, inside=True)
        self.environment = {
            **os.environ,
            "HOME": str(home),
            "XDG_CACHE_HOME": str(cache_folder().parent),  # where the programs are built
            "KUBECONFIG": str(kubeconfig),
            "COSIGN_PASSWORD": "of the tests",
            "SOURCE_DATE_EPOCH": AT,
        }

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program and return how it ended."""
        return subprocess.run(
            [*self.node.enter, "env", f"--chdir={self.home}", *map(str, command)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def must(self, *command: str | Path) -> str:
        """Run a program that has to succeed; return all it printed."""
        done = self.run(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def lay_by_hand(node: Node, root: str, nodes: ThreeNodes) -> Path:
    """Write a registry's certificates as docs/install.md has cloud-init do it before a node's first start."""
    registry = nodes.registry
    folder = node.path(root) / (
        registry.name if root.startswith("/etc/docker") else registry.name.replace(":", "_") + "_"
    )
    folder.mkdir(parents=True)
    pair = registry.client()
    (folder / "ca.crt").write_bytes(registry.authority.pem)
    (folder / "client.cert").write_bytes(pair.certificate)
    (folder / "client.key").touch(mode=0o600)
    (folder / "client.key").write_bytes(pair.key)
    return folder


def test_a_release_is_pushed_signed_and_installed_out_of_the_registry_that_it_makes_trusted(
    builds: tuple[Path, str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "dist"
    shutil.copytree(builds[0], folder)
    with Cluster([NodeOptions()]) as cluster:
        nodes = ThreeNodes(cluster, cluster.add_registry("harbor.corp.test", 5000))
        (first,) = cluster.nodes
        at = f"{nodes.registry.name}/platform"
        here = Workstation(first, cluster, tmp_path)
        certificates = lay_by_hand(first, "/etc/docker/certs.d", nodes)

        # Pushed, pinned and signed.
        cosign, helm = binary("cosign"), binary("helm")
        here.must(cosign, "generate-key-pair")
        python = ("env", f"--chdir={REPOSITORY}", sys.executable)
        said = here.must(
            *(*python, "-m", "tools.release", "publish", f"--to={folder}", f"--registry={at}"),
            f"--signing-key={tmp_path / 'cosign.key'}",
        )
        signed = [line.split()[-1] for line in said.splitlines() if line.startswith("[release] signed ")]
        image, chart = signed
        assert image.startswith(f"{at}/registry-trust@sha256:")
        assert chart.startswith(f"{at}/charts/registry-trust@sha256:")
        of_cosign = (
            "--insecure-ignore-tlog=true",
            f"--registry-cacert={certificates / 'ca.crt'}",
            f"--registry-client-cert={certificates / 'client.cert'}",
            f"--registry-client-key={certificates / 'client.key'}",
        )
        for name in signed:
            here.must(cosign, "verify", "--key=cosign.pub", *of_cosign, name)
        here.must(cosign, "generate-key-pair", "--output-key-prefix=other")
        assert here.run(cosign, "verify", "--key=other.pub", *of_cosign, image).returncode != 0

        # Day 0: without the registry's certificates on the node the pods' image can't be pulled, with them it can.
        of_helm = (
            f"--ca-file={certificates / 'ca.crt'}",
            f"--cert-file={certificates / 'client.cert'}",
            f"--key-file={certificates / 'client.key'}",
        )
        here.must(binary("kubectl"), "create", "namespace", NAMESPACE)
        here.must(
            *(helm, "install", "registry-trust", f"oci://{at}/charts/registry-trust", f"--version={__version__}"),
            *(f"--namespace={NAMESPACE}", *of_helm),
        )
        unknown = "x509: certificate signed by unknown authority"
        wait_until(lambda: unknown in json.dumps(pods(nodes)), "node1 can't pull the image", within=90, every=0.5)
        by_hand = lay_by_hand(first, "/etc/containerd/certs.d", nodes)
        cluster.kubectl(
            "-n", NAMESPACE, "delete", "pods", "--all", "--wait=false"
        )  # or wait for the kubelet's back-off
        cluster.kubectl(
            "-n", NAMESPACE, "rollout", "status", "daemonset/registry-trust-agent", "--timeout=120s", timeout=130
        )
        assert images(nodes) == {image}

        # The trust takes over, and a node that joins begins with the same file.
        nodes.sources()
        nodes.trust(existingFilesPolicy="Replace")
        nodes.wait_for("harbor", "Ready")
        assert nodes.entries()
        assert by_hand.is_symlink(), "the entry is in the place of what was written by hand"
        second = join(cluster)
        lay_by_hand(second, "/etc/containerd/certs.d", nodes)
        start(second, cluster)
        wait_until(
            lambda: nodes.kubectl.get("registrytrust", "harbor")["status"]["nodes"].get("current") == 2,
            "the node that joined has the trust",
            within=120,
        )
        assert images(nodes) == {image}
        assert nodes.pull("node2") == ""

        # The archive loads under the name that the repository's chart has.
        (loadable,) = folder.glob("*.oci.tar")
        second.import_image(loadable)
        loaded = second.run_command(second.binaries["ctr"], "-n", "k8s.io", "images", "list", "--quiet")
        assert f"localhost/registry-trust:{__version__}" in loaded.splitlines()


def join(cluster: Cluster) -> Node:
    """Make one more node, which does not run yet."""
    node = Node(cluster.run, cluster.plane, cluster.network, len(cluster.nodes) + 1, NodeOptions())
    node.create()
    cluster.nodes.append(node)
    node.set_hosts({"harbor.corp.test": "10.240.0.101"})
    return node


def start(node: Node, cluster: Cluster) -> None:
    """Boot a node, with the image that every sandbox needs."""
    node.start()
    node.import_image(cluster.run.folder / "pause.tar")
    node.wait_until_ready()
    assert PAUSE_IMAGE in node.run_command(node.binaries["ctr"], "-n", "k8s.io", "images", "list", "--quiet")


def pods(nodes: ThreeNodes) -> list[dict[str, Any]]:
    """Return the pods of registry-trust."""
    found: list[dict[str, Any]] = nodes.kubectl.get("pods", "-n", NAMESPACE)["items"]
    return found


def images(nodes: ThreeNodes) -> set[str]:
    """Return the images that the containers were pulled as."""
    statuses = [one for pod in pods(nodes) for one in pod["status"].get("containerStatuses", [])]
    return {one["imageID"] for one in statuses if one["imageID"]}
