"""The pages of migration, every command as it stands: what the loaders trusted before, they trust after it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry_trust.core.layout import Layout
from tests.page_commands import blocks_of, own_blocks, run_block
from tools.authority import Authority
from tools.cluster import loaders
from tools.installation import Agent, Installation

pytestmark = pytest.mark.tools("loaders")

BY_HAND = "tests/integration/test_migration_pages.py::test_from_a_directory_made_by_hand"

CA, OTHER = Authority.create("a CA of the company"), Authority.create("another CA")


@pytest.fixture(scope="module")
def agent(installation: Installation) -> Agent:
    installation.add_node("worker-1")
    return installation.start_agent("worker-1", [layout.value for layout in Layout])


@pytest.fixture
def walk(request: pytest.FixtureRequest, installation: Installation, tmp_path: Path):
    """Run a page's blocks one after the other, and delete what they made."""

    def every_block(test: str = "") -> str:
        blocks = blocks_of(test) if test else own_blocks(request)
        return "".join(run_block(block.commands, tmp_path, installation.plane.admin_kubeconfig) for block in blocks)

    yield every_block
    installation.plane.kubectl("delete", "registrytrusts", "--all")


def fill(root: Path, entry: str, files: dict[str, bytes]) -> None:
    directory = root / entry
    directory.mkdir(parents=True)
    for name, data in files.items():
        (directory / name).write_bytes(data)


def trust_in(layout: Layout, root: Path, registry: str) -> tuple[set[str], tuple[str, ...]]:
    found = loaders.read(layout, root, registry)
    assert found.ok, found.error
    return set(found.ca_subjects), found.certificates


def test_from_a_directory_made_by_hand(agent, walk, tmp_path):
    pair, root = CA.client("node"), agent.roots["docker"]
    fill(root, "hand.example:5000", {"ca.crt": CA.pem, "client.cert": pair.certificate, "client.key": pair.key})
    fill(root, "hand.example", {"ca.crt": CA.pem + OTHER.pem})
    # What an agent writes at this moment may be renamed before it is copied.
    shutil.copytree(root, tmp_path / "node" / "etc" / "docker" / "certs.d", ignore=shutil.ignore_patterns(".state-*"))
    names = ("hand.example:5000", "hand.example")
    before = [trust_in(Layout.DOCKER, root, name) for name in names]

    walk()

    assert [trust_in(Layout.DOCKER, root, name) for name in names] == before
    assert [(root / name).is_symlink() for name in names] == [True, True]
    assert (tmp_path / "trusts" / "2-secrets.yaml").stat().st_mode & 0o777 == 0o600


def test_from_hosts_toml_of_containerd(agent, walk, tmp_path):
    root = agent.roots["containerd"]
    server = b"https://toml.example:5000"
    own = b'server = "' + server + b'"\n\n[host."' + server + b'"]\n  ca = "/etc/containerd/corp.crt"\n'
    here = own.replace(b"/etc/containerd", bytes(tmp_path / "node/etc/containerd"))
    fill(root, "toml.example:5000", {"hosts.toml": here})
    fill(tmp_path / "node/etc", "containerd", {"corp.crt": CA.pem})
    fill(tmp_path / "node/etc/containerd/certs.d", "toml.example:5000", {"hosts.toml": own})
    before = trust_in(Layout.CONTAINERD, root, "toml.example:5000")

    walk()

    assert before == ({"CN=a CA of the company"}, ())
    assert trust_in(Layout.CONTAINERD, root, "toml.example:5000") == before
    assert (root / "toml.example_5000_").is_symlink()


def test_from_registries_yaml_of_k3s(agent, walk, tmp_path, installation):
    text = b"""
mirrors:
  k3s.example:5000: {endpoint: ["https://k3s.example:5000"]}
configs:
  k3s.example:5000:
    auth: {username: robot, password: hunter2}
    tls: {ca_file: /etc/ssl/registry/ca.crt}
"""
    fill(tmp_path / "node/etc/rancher", "k3s", {"registries.yaml": text})
    fill(tmp_path / "node/etc/ssl", "registry", {"ca.crt": CA.pem})

    said = walk()

    assert (
        "not carried: /etc/rancher/k3s/registries.yaml:2: configs[k3s.example:5000].auth has credentials"
        in said.replace('"', "")
    )
    assert "hunter2" not in said
    assert "robot" not in said


def test_from_the_config_map_of_openshift(agent, walk, installation):
    kubectl = installation.plane.kubectl
    data = {"shift.example..5000": CA.pem.decode(), "updateservice-registry": OTHER.pem.decode()}
    metadata = {"name": "registry-cas", "namespace": "openshift-config"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "openshift-config"}})
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    said = walk()

    assert "not carried: standard input:1 ConfigMap registry-cas key updateservice-registry" in said
    root = agent.roots["containers"]
    assert trust_in(Layout.CONTAINERS, root, "shift.example:5000") == ({"CN=a CA of the company"}, ())


def test_a_second_import_changes_nothing_in_the_cluster(agent, walk, tmp_path, installation):
    fill(tmp_path / "node/etc/docker/certs.d", "twice.example", {"ca.crt": CA.pem})
    walk(BY_HAND)

    run_block(blocks_of(BY_HAND)[0].commands, tmp_path, installation.plane.admin_kubeconfig)

    assert installation.plane.kubectl("diff", "--server-side", "-f", str(tmp_path / "trusts")) == ""
