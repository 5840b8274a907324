"""Upgrades: adoption by Helm, another version and back, mixed versions, parts deleted in any order; files stay."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.generate import CHART, NAMESPACE
from registry_trust import __version__
from registry_trust.api.crd import KINDS, build_crd
from registry_trust.core.names import REPORTS_CRD, TRUSTS_CRD
from tests.e2e.pull_loop import on_every_node, pulling, revision
from tests.e2e.three_nodes import ThreeNodes
from tests.page_commands import own_blocks, run_block
from tools.cluster.binaries import binary
from tools.cluster.folders import REPOSITORY
from tools.cluster.images import build_product_image
from tools.cluster.kubectl import KubectlError
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE

PREVIOUS = "e6908dfebe1cc0d418dc2306e0dce67f7ebf1fd3"
"""A commit of this repository, for the version before: its bundle, reports, arguments and CRDs differ from today's."""

RELEASE = "registry-trust"
TARGETS = [
    {"layout": "docker", "path": "/etc/docker/certs.d"},
    {"layout": "containers", "path": "/etc/containers/certs.d"},
]
"""As three_nodes.py gives them to the agents."""
SETTINGS = (f"--set-json=agent.targets={json.dumps(TARGETS)}", "--set-string=agent.maxUnavailable=100%")
ASK = """\
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""
"""What asks a pod's page from a node."""
OPERATOR, AGENT = "deployment/registry-trust-operator", "daemonset/registry-trust-agent"

Read = tuple[str, str, list[tuple[str, int, int, int, str]]]


def read_by_runtimes(nodes: ThreeNodes) -> list[Read]:
    """Return every entry of ours with where it leads, and name, mode, inode, mtime and hash of each file there."""
    return [
        (
            str(entry),
            str(entry.readlink()),
            [
                (path.name, stat.st_mode, stat.st_ino, stat.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
                for path in sorted(entry.iterdir())
                for stat in [path.stat()]
            ],
        )
        for entry in sorted(nodes.entries())
    ]


class Helm:
    """Helm as the administrator of the three nodes."""

    def __init__(self, nodes: ThreeNodes) -> None:
        self.nodes = nodes
        self._home = nodes.cluster.run.subfolder("helm")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(binary("helm")), *arguments, f"--namespace={NAMESPACE}"]
        command += [f"--kubeconfig={self.nodes.cluster.plane.admin_kubeconfig}"]
        home = {name: str(self._home) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
        environment = {**os.environ, **home}
        return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, env=environment)

    def __call__(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr}\n{self.nodes.situation()}"
        return done.stdout

    def objects(self, chart: Path, *arguments: str) -> list[dict[str, Any]]:
        """Return what a chart renders."""
        printed = self("template", RELEASE, str(chart), *SETTINGS, *arguments)
        return [body for body in yaml.safe_load_all(printed) if body]


def rolled_out(nodes: ThreeNodes, *workloads: str) -> None:
    """Wait until only pods of the newest kind run, and are ready; on failure say what they answer."""
    for workload in workloads:
        try:
            nodes.kubectl("-n", NAMESPACE, "rollout", "status", workload, "--timeout=120s", timeout=130)
        except KubectlError as error:
            raise AssertionError(f"{error}\n{readiness(nodes)}\n{nodes.situation()}") from None


def readiness(nodes: ThreeNodes) -> str:
    """Return what each pod of ours answers to the kubelet's question, and its conditions."""
    lines = []
    for pod in nodes.kubectl.get("pods", "-n", NAMESPACE)["items"]:
        name, address = pod["metadata"]["name"], pod.get("status", {}).get("podIP", "")
        conditions = {each["type"]: each["status"] for each in pod.get("status", {}).get("conditions", [])}
        asked = subprocess.run(
            [*nodes.cluster.nodes[0].enter, sys.executable, "-c", ASK, f"http://{address}:8080/readyz"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        lines.append(f"{name}: {conditions} {asked.stdout.strip() or asked.stderr.strip()[-200:]}")
    return "\n".join(lines)


def versions(nodes: ThreeNodes) -> set[tuple[str, str]]:
    """Return component and image of every pod of ours that is not on its way out."""
    pods = nodes.kubectl.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=registry-trust")["items"]
    return {
        (pod["metadata"]["labels"]["app.kubernetes.io/component"], pod["spec"]["containers"][0]["image"].split(":")[1])
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
    }


@pytest.fixture
def previous(clean: ThreeNodes, tmp_path: Path) -> Path:
    """Return the chart of the version before, with its image on every node as registry-trust:previous."""
    archive = subprocess.run(["git", "archive", PREVIOUS], cwd=REPOSITORY, capture_output=True, check=False)
    assert archive.returncode == 0, f"{archive.stderr.decode()}the test needs the whole history: git fetch --unshallow"
    source = tmp_path / "previous"
    source.mkdir()
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive.stdout, check=True)
    image = build_product_image(tmp_path / "previous.tar", "localhost/registry-trust:previous", folder=source)
    for node in clean.cluster.nodes:
        node.import_image(image)
    return source / "charts" / "registry-trust"


@pytest.fixture
def trusted(clean: ThreeNodes) -> ThreeNodes:
    """Give three nodes with one trust on their disks."""
    clean.sources()
    clean.trust()
    on_every_node(clean, "")
    return clean


@pytest.fixture
def helm(trusted: ThreeNodes) -> Iterator[Helm]:
    """Give Helm; afterwards the installation is as kubectl applied it."""
    yield Helm(trusted)
    # Helm forgets the release; new pods then start on all nodes at once.
    trusted.kubectl("delete", "secrets", "-n", NAMESPACE, "-l", "owner=helm")
    trusted.kubectl("delete", "-n", NAMESPACE, AGENT, "--ignore-not-found", "--timeout=60s", timeout=70)
    trusted.install()


def test_helm_adopts_an_installation_and_goes_to_another_version_and_back_under_pulls(
    trusted: ThreeNodes, helm: Helm, previous: Path
) -> None:
    ours = f"--set-string=image.tag={__version__}"
    theirs = "--set-string=image.tag=previous"
    # With its roles, as the chart brings them: the older ones lack what this one may do to Events, and the operator
    # that leads is not ready without that. A rollout ends then only if three of the kubelet's questions come too late.
    operators = tuple(f"--show-only=templates/operator-{each}.yaml" for each in ("rbac", "deployment"))

    def new_pair_arrives() -> None:
        before = revision(trusted)
        trusted.sources()
        # An agent of the previous version that loses a watch without a word notices after 150 s.
        on_every_node(trusted, before, within=240)

    with pulling(trusted) as seen:
        before = read_by_runtimes(trusted)
        assert len(before) >= 3
        refused = helm.run("install", RELEASE, str(CHART), *SETTINGS)
        assert "cannot be imported into the current release: invalid ownership metadata" in refused.stderr
        another = helm.run("install", "another", str(CHART), *SETTINGS, "--take-ownership")
        assert 'this cluster already has registry-trust, applied as "registry-trust"' in another.stderr
        helm(
            "install", RELEASE, str(CHART), *SETTINGS, "--take-ownership", "--force-conflicts", "--wait", "--timeout=2m"
        )
        assert "Succeeded" in helm("test", RELEASE)
        another = helm.run("install", "another", str(CHART), *SETTINGS, "--take-ownership")
        assert "has room for one. To change it, upgrade that installation" in another.stderr
        assert read_by_runtimes(trusted) == before

        helm("upgrade", RELEASE, str(previous), *SETTINGS, theirs, "--force-conflicts")
        rolled_out(trusted, OPERATOR, AGENT)
        assert versions(trusted) == {("operator", "previous"), ("agent", "previous")}
        assert read_by_runtimes(trusted) == before

        trusted.kubectl.apply(*helm.objects(CHART, *operators))
        rolled_out(trusted, OPERATOR)
        assert versions(trusted) == {("operator", __version__), ("agent", "previous")}
        assert read_by_runtimes(trusted) == before
        new_pair_arrives()
        before = read_by_runtimes(trusted)

        helm("upgrade", RELEASE, str(CHART), "--reuse-values", ours, "--force-conflicts")
        rolled_out(trusted, OPERATOR, AGENT)
        assert versions(trusted) == {("operator", __version__), ("agent", __version__)}
        assert read_by_runtimes(trusted) == before

        trusted.kubectl.apply(*helm.objects(previous, theirs, *operators))
        rolled_out(trusted, OPERATOR)
        assert versions(trusted) == {("operator", "previous"), ("agent", __version__)}
        assert read_by_runtimes(trusted) == before
        new_pair_arrives()
        before = read_by_runtimes(trusted)

        helm("rollback", RELEASE, "2", "--force-conflicts")
        rolled_out(trusted, OPERATOR, AGENT)
        assert versions(trusted) == {("operator", "previous"), ("agent", "previous")}
        assert read_by_runtimes(trusted) == before
        new_pair_arrives()

    assert seen.failures == []
    assert seen.done >= 15


def test_an_uninstallation_that_removes_files_leaves_none_on_any_node(
    request: pytest.FixtureRequest, trusted: ThreeNodes, helm: Helm, tmp_path: Path
) -> None:
    (tmp_path / "charts").symlink_to(CHART.parent)
    helm("install", RELEASE, str(CHART), *SETTINGS, "--take-ownership", "--force-conflicts", "--wait", "--timeout=2m")
    assert trusted.entries()

    (block,) = own_blocks(request)
    run_block(block.commands, tmp_path, trusted.kubectl.kubeconfig)

    assert trusted.entries() == []
    assert trusted.kubectl("get", "daemonsets,deployments", "-n", NAMESPACE, "-o", "name") == ""
    assert trusted.kubectl("get", "secret", BUNDLE, "-n", NAMESPACE, "--ignore-not-found") == ""
    assert trusted.kubectl("get", "registrytrust", "harbor", "-o", "name"), "the trusts stay"


def gone(nodes: ThreeNodes, part: str) -> bool:
    """Say whether nothing is left of what was deleted, pods included."""
    if part == "the CRDs":
        return not nodes.kubectl("get", "crd", "--ignore-not-found", *PARTS[part][1:])
    component = PARTS[part][0].rpartition("-")[2]
    return not nodes.kubectl.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/component={component}")["items"]


def bring_back_the_trust(nodes: ThreeNodes) -> None:
    """Apply the CRDs and the trust, as an admin would who has both in a repository, before any operator runs."""
    nodes.kubectl.apply(*(build_crd(kind) for kind in KINDS))
    nodes.kubectl.wait_for_kinds(TRUSTS_CRD, REPORTS_CRD)
    nodes.trust()


PARTS = {"the CRDs": ("crd", TRUSTS_CRD, REPORTS_CRD), "the operator": (OPERATOR,), "the agents": (AGENT,)}


def test_files_survive_that_crds_operator_and_agents_are_deleted_in_any_order(trusted: ThreeNodes) -> None:
    before = read_by_runtimes(trusted)
    for order in itertools.permutations(PARTS):
        for part in order:
            trusted.kubectl("delete", "-n", NAMESPACE, *PARTS[part], "--timeout=60s", timeout=70)
            wait_until(partial(gone, trusted, part), f"{part} are gone", within=60)
            assert read_by_runtimes(trusted) == before, f"{part} of {order}"
        bring_back_the_trust(trusted)
        trusted.install()
        on_every_node(trusted, "", within=60)
        assert read_by_runtimes(trusted) == before, f"everything is back after {order}"
