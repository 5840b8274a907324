"""The test cluster itself: a control plane, a registry and the runtimes' loaders that tests may build upon."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry_trust.core.layout import Layout
from tools.authority import Authority, Pair, write_file
from tools.cluster import marked_processes
from tools.cluster.control_plane import ControlPlane
from tools.cluster.folders import REPOSITORY
from tools.cluster.kubectl import Kubectl
from tools.cluster.loaders import Loaders
from tools.cluster.registry import Registry
from tools.cluster.runs import Run, remove_left_overs
from tools.cluster.waiting import wait_until

pytestmark = pytest.mark.tools("control-plane", "registry")

PAIR_WITHOUT_KEY = {
    Layout.DOCKER: "missing key client.key for client certificate client.cert. "
    "CA certificates must use the extension .crt",
    Layout.CONTAINERS: "missing key client.key for client certificate client.cert. "
    "Note that CA certificates should use the extension .crt",
    Layout.CONTAINERD: "failed to load X509 key pair: "
    "tls: found a certificate rather than a key in the PEM for the private key",
}


@dataclass
class Scene:
    """A registry with one image, and a certs.d root in which nothing is yet."""

    registry: Registry
    loaders: Loaders
    image: str
    root: Path

    @property
    def directory(self) -> Path:
        return self.root / self.registry.name

    def write(self, ca: bytes | None, pair: Pair | None) -> None:
        self.directory.mkdir(exist_ok=True)
        if ca:
            write_file(self.directory / "ca.crt", ca)
        if pair:
            pair.write(self.directory, "client", certificate_suffix=".cert")


@pytest.fixture(scope="module")
def registry() -> Iterator[tuple[Registry, Loaders, str]]:
    run = Run.create()
    try:
        with Registry(run) as registry, Loaders(run) as loaders:
            yield registry, loaders, registry.push()
    finally:
        run.destroy()


@pytest.fixture
def scene(registry: tuple[Registry, Loaders, str], tmp_path: Path) -> Scene:
    return Scene(*registry, tmp_path)


def test_an_api_server_that_was_killed_comes_back_with_its_objects(plane: ControlPlane) -> None:
    plane.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kept"}})
    plane.stop_apiserver(crash=True)
    assert not plane.is_ready()
    plane.start_apiserver()
    assert plane.kubectl.get("namespace", "kept")["status"]["phase"] == "Active"


def test_a_token_bound_to_a_node_carries_its_name(plane: ControlPlane) -> None:
    plane.kubectl.apply(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "bound"}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "holder", "namespace": "default"}},
    )
    user = Kubectl(plane.service_account_kubeconfig("default", "holder", node="bound"), plane.folder / "cache")
    said = json.loads(user("auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert said["username"] == "system:serviceaccount:default:holder"
    assert said["extra"]["authentication.kubernetes.io/node-name"] == ["bound"]


@pytest.mark.parametrize("layout", Layout)
def test_a_pull_is_refused_until_the_directory_has_both_ca_and_client_pair(scene: Scene, layout: Layout) -> None:
    def pull() -> str:
        return scene.loaders.pull(layout, scene.root, scene.image, dial=scene.registry.dial).error

    assert pull().endswith("tls: failed to verify certificate: x509: certificate signed by unknown authority")
    scene.write(scene.registry.authority.pem, None)
    assert pull().endswith("remote error: tls: certificate required")
    scene.write(None, scene.registry.client())
    assert pull() == ""


@pytest.mark.parametrize("layout", Layout)
def test_a_loader_counts_what_it_loaded(scene: Scene, layout: Layout) -> None:
    scene.write(scene.registry.authority.pem, scene.registry.client())
    read = scene.loaders.read(layout, scene.root, scene.registry.name)
    assert (read.ok, read.ca_subjects, len(read.certificates)) == (True, ("CN=registry.example.test CA 1",), 1)


@pytest.mark.parametrize("layout", Layout)
def test_a_loader_says_in_its_own_words_what_is_wrong(scene: Scene, layout: Layout) -> None:
    def read() -> str:
        return scene.loaders.read(layout, scene.root, scene.registry.name).error

    mine, other = scene.registry.client(), scene.registry.client()
    scene.write(scene.registry.authority.pem, mine)
    (scene.directory / "client.key").unlink()
    assert read() == PAIR_WITHOUT_KEY[layout]
    scene.write(None, Pair(mine.certificate, other.key))
    assert read().endswith("tls: private key does not match public key")


def test_containerd_refuses_a_ca_file_without_a_certificate_which_the_others_pass_over(scene: Scene) -> None:
    scene.write(b"not PEM\n", scene.registry.client())
    errors = {layout: scene.loaders.read(layout, scene.root, scene.registry.name).error for layout in Layout}
    refusal = f'unable to load CA cert "{scene.directory}/ca.crt"'
    assert errors == {Layout.DOCKER: "", Layout.CONTAINERS: "", Layout.CONTAINERD: refusal}


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"])
@pytest.mark.parametrize("layout", Layout)
def test_a_host_that_runtimes_do_not_verify_is_no_proof(scene: Scene, layout: Layout, host: str) -> None:
    assert "runtimes skip verification there" in scene.loaders.pull(layout, scene.root, f"{host}/app:1").error


def test_a_registry_changes_its_certificates_without_refusing_a_pull(scene: Scene) -> None:
    second = Authority.create("second CA")
    scene.write(scene.registry.authority.pem + second.pem, scene.registry.client())
    spins = [
        scene.loaders.spin_pull(layout, scene.root, scene.image, dial=scene.registry.dial, pause=0.02)
        for layout in Layout
    ]
    wait_until(lambda: all(spin.count().rounds > 3 for spin in spins), "every layout pulls", within=30)
    first = scene.registry.authority
    scene.registry.rotate(authority=second)
    before = [spin.count().rounds for spin in spins]
    wait_until(
        lambda: all(spin.count().rounds > rounds + 3 for spin, rounds in zip(spins, before, strict=True)),
        "every layout pulls with the new certificate",
        within=30,
    )
    assert [spin.stop().errors for spin in spins] == [(), (), ()]
    write_file(scene.directory / "ca.crt", first.pem)
    pulled = scene.loaders.pull(Layout.DOCKER, scene.root, scene.image, dial=scene.registry.dial)
    assert pulled.error.endswith("certificate signed by unknown authority")
    scene.registry.rotate(authority=first)


def test_a_run_whose_owner_was_killed_leaves_nothing(tmp_path: Path) -> None:
    program = """
from tools.cluster.runs import Run
from tools.cluster.processes import start
run = Run.create()
start(run, 'sleeper', ['sleep', '600'], outlives=True)
print(run.name, run.folder, flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPOSITORY, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        name, folder = owner.stdout.readline().split()
        assert name not in remove_left_overs()  # its owner lives
        assert len(marked_processes.marked(marked_processes.RUN, name)) == 1
        owner.send_signal(signal.SIGKILL)
        owner.wait(10)
        assert name in remove_left_overs()
    assert marked_processes.marked(marked_processes.RUN, name) == []
    assert not Path(folder).exists()
