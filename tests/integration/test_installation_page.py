"""Installing and uninstalling by the commands of the pages, on an API server with its controllers and no nodes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page_commands import FENCE, ROOT, own_blocks, run_block
from tools.authority import Authority
from tools.cluster.control_plane import ControlPlane
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, NAMESPACE, TRUST_NAMESPACE, Installation

pytestmark = pytest.mark.tools("control-plane", "kube-controller-manager", "helm")

REGISTRY = "harbor.corp.example:5000"
CRDS = ("registrytrusts.registrytrust.io", "nodetrusts.registrytrust.io")
HEALTH = "resource.customizations.health.registrytrust.io_RegistryTrust"


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """Start a control plane whose controllers delete what is in a namespace that is deleted."""
    with ControlPlane(controller_manager=True) as started:
        yield started


@pytest.fixture
def walk(request: pytest.FixtureRequest, plane: ControlPlane, tmp_path: Path):
    """Run the block of the test that begins like this, in a copy of what the repository installs from."""
    for name in ("charts", "deploy"):
        shutil.copytree(ROOT / name, tmp_path / name)

    def block(begin: str) -> str:
        found = {each.commands for each in own_blocks(request) if each.commands.startswith(begin)}
        (commands,) = found  # the same on two pages is run once
        return run_block(commands, tmp_path, plane.admin_kubeconfig)

    return block


def exists(plane: ControlPlane, *names: str) -> bool:
    return bool(plane.kubectl("get", "--ignore-not-found", *names, "-o", "name"))


def own_place(directory: Path) -> None:
    """Write the page's two files for kustomize."""
    page = (ROOT / "docs" / "install.md").read_text()
    directory.mkdir()
    for name in ("kustomization.yaml", "settings.yaml"):
        (text,) = (text for _, _, text in FENCE.findall(page) if re.match(rf"# {name}(:|\n)", text))
        (directory / name).write_text(text)


def test_helm_kustomize_and_kubectl_install_and_uninstall_as_the_pages_say(plane, walk, tmp_path):
    kubectl = plane.kubectl
    walk("kubectl create namespace")
    namespace = kubectl.get("namespace", NAMESPACE)
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    assert exists(plane, "daemonset", "registry-trust-agent", "-n", NAMESPACE)

    walk("helm uninstall")
    assert not exists(plane, "daemonset", "registry-trust-agent", "-n", NAMESPACE)
    assert exists(plane, "secret", BUNDLE, "-n", NAMESPACE)
    assert exists(plane, "crd", *CRDS)

    walk("kubectl delete namespace")
    assert not exists(plane, "namespace", NAMESPACE)
    assert not exists(plane, "crd", *CRDS)
    assert exists(plane, "namespace", TRUST_NAMESPACE), "the sources stay"

    own_place(tmp_path / "my-directory")
    walk("kubectl kustomize")
    containers = kubectl.get("daemonset", "registry-trust-agent", "-n", "platform-trust")["spec"]["template"]["spec"]
    assert containers["containers"][0]["image"].startswith("harbor.corp.example/platform/registry-trust")
    assert exists(plane, "namespace", "platform-certificates")
    kubectl("delete", "namespace", "platform-trust", "platform-certificates", "--wait=false")

    walk("kubectl apply --server-side -f deploy/registry-trust.yaml")
    walk("kubectl -n registry-trust get events")
    walk("helm install")
    assert exists(plane, "secret", "sh.helm.release.v1.registry-trust.v1", "-n", NAMESPACE)

    kubectl("create", "namespace", "argocd")
    kubectl("create", "configmap", "argocd-cm", "-n", "argocd", "--from-literal=url=https://argocd.example")
    walk("kubectl create configmap argocd-cm")
    data = kubectl.get("configmap", "argocd-cm", "-n", "argocd")["data"]
    assert data == {"url": "https://argocd.example", HEALTH: (ROOT / "deploy" / "argocd" / "health.lua").read_text()}

    installed = Installation(plane)
    installed.add_node("worker-1")
    installed.start_operator()
    try:
        agent = installed.start_agent("worker-1")
        # Nobody ends a pod of a node without a kubelet, and its namespace would never go.
        kubectl("delete", "pods", "--all", "-n", NAMESPACE, "--force", "--grace-period=0")
        pem = Authority.create("a CA of the company").pem.decode()
        installed.trust("harbor", registries=[REGISTRY], caCertificates=[{"inline": pem}])
        wait_until((agent.root() / REGISTRY).is_symlink, "the entry is there")
        # What a trust had stays for half a minute otherwise.
        kubectl("annotate", "secret", BUNDLE, "-n", NAMESPACE, f"registrytrust.io/confirm-removal={10**9}")
        walk("kubectl delete registrytrusts --all")
        assert not (agent.root() / REGISTRY).exists()
    finally:
        installed.stop()
    assert not exists(plane, "namespace", NAMESPACE)
    assert not exists(plane, "crd", *CRDS)
    assert exists(plane, "namespace", TRUST_NAMESPACE), "the sources stay"
