"""Each distribution's node: the chart's documented values and nothing else, its real containerd, and a real pull."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from registry_trust.agent.runtime.containerd.configuration import (
    ContainerdConfiguration,
    effective_path,
    splits_list,
)
from registry_trust.core.layout import Layout
from registry_trust.core.report import RowState, TargetRow, TargetState
from tests.integration.distribution_host import Host, hosts, is_root
from tests.integration.literal_fixes import carry_out, remove_refused
from tests.rows import message_of
from tools.cluster.loaders import Loaders
from tools.cluster.registry import Registry
from tools.cluster.runs import Run
from tools.distributions.configurations import DROP_INS, IMAGES, K3S, OLD, RKE2, RUNC, RUNTIME
from tools.distributions.settings import SETTINGS
from tools.distributions.shape import CONFIG, LITERAL, ROOT, Shape
from tools.distributions.shapes import READERS, SHAPES
from tools.distributions.starts import SPECIFICATION
from tools.trials.containerd_oracle import VERSIONS

pytestmark = [
    pytest.mark.tools("containerds", "registry", "loaders", "helm"),
    pytest.mark.skipif(not is_root(), reason="containerd needs root: run as root"),
]

Making = Callable[..., Host]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Have one run for all processes."""
    run = Run.create()
    try:
        yield run
    finally:
        run.destroy()


@pytest.fixture(scope="module")
def registry(run: Run) -> Iterator[Registry]:
    """Start a registry that asks for a client certificate, with one image."""
    with Registry(run, "harbor.corp.test") as started:
        started.push()
        yield started


@pytest.fixture
def make(registry: Registry, run: Run, tmp_path: Path) -> Iterator[Making]:
    """Make hosts."""
    with hosts(registry, run, tmp_path) as making:
        yield making


def agrees(host: Host) -> None:
    """Compare the agent's reading of the files with containerd's own."""
    answer, agent = host.ask(), host.agents_reading()
    assert (answer["error"], answer["refused"], answer["disabled"]) == ("", "", False)
    if agent is None:  # The directory is named explicitly, by another path.
        assert host.path(answer["configPath"]).resolve() == host.path(host.shape.reads).resolve()
        return
    assert isinstance(agent, ContainerdConfiguration), agent
    number = VERSIONS[host.version]
    found = (effective_path(agent, number), agent.mirrors, splits_list(agent, number))
    assert found == (answer["configPath"], answer["mirrors"], answer["localPull"])


def is_in_place(host: Host, path: str) -> None:
    """Check that the agent reports that this directory is read, and that the registry's files are there."""
    report = host.turn()
    read = [row.path for row in report.targets if row.state is TargetState.READ]
    assert read == [path], report.targets
    assert [row.state for row in report.registries] == [RowState.CURRENT], report.registries


def unread(host: Host) -> TargetRow:
    """Return the row that says that nothing, or nothing that is mounted, is read."""
    (row,) = host.turn().targets
    assert row.state is TargetState.NOT_READ, row
    return row


def fix_as_printed(host: Host, message: str) -> None:
    """Carry out what is printed, and let the distribution start again, twice: what it writes over must not matter."""
    if "registry.mirrors" in message or "registry.configs" in message:
        for path, text in host.files().items():
            host.write(path, remove_refused(text))
    main = carry_out(message, host.path, host.path(SPECIFICATION))
    if main:
        host.shape = replace(host.shape, main=main)
        host.install(SETTINGS[host.shape.settings].replace("/usr/share/containerd/config.toml", main))
    host.restart()
    host.restart()
    agrees(host)


def root_of(shape: Shape) -> str:
    """Return the directory to which a fix points containerd: the only one that is mounted, or the usual one."""
    folders = {"k3s": f"{K3S}/certs.d", "RKE2": f"{RKE2}/certs.d"}
    return folders.get(shape.settings, ROOT)


def is_fixed_as_printed(host: Host) -> None:
    """Check that a node that reads nothing does not pull, and does so once the fix is carried out."""
    row = unread(host)
    assert "signed by unknown authority" in host.pull()
    fix_as_printed(host, message_of(row))
    is_in_place(host, root_of(host.shape))
    assert host.pull() == ""


ROWS = [
    pytest.param(shape, version, id=f"{shape.name}, {shape.about}, containerd {version}")
    for shape in SHAPES
    for version in shape.containerd
]


@pytest.mark.parametrize(("shape", "version"), ROWS)
def test_a_node_of_each_distribution_pulls_as_documented(make: Making, shape: Shape, version: str) -> None:
    host = make(shape, version)
    agrees(host)
    if not shape.reads:
        is_fixed_as_printed(host)
        return
    is_in_place(host, shape.reads)
    assert host.pull() == ""


WITH_VALUES = [(shape, version) for shape in SHAPES if shape.settings for version in shape.containerd]


@pytest.mark.parametrize(("shape", "version"), WITH_VALUES, ids=lambda each: getattr(each, "name", each))
def test_without_its_values_a_node_is_never_said_to_read_what_it_does_not(
    make: Making, shape: Shape, version: str
) -> None:
    host = make(replace(shape, settings=""), version)

    states = {row.state for row in host.turn().targets}

    assert states <= {TargetState.UNKNOWN, TargetState.NOT_READ}, host.turn().targets


@pytest.mark.parametrize("shape", READERS, ids=[shape.name for shape in READERS])
def test_the_reader_of_a_node_without_containerd_pulls_as_documented(make: Making, shape: Shape) -> None:
    host = make(shape)
    is_in_place(host, shape.reads)
    layout = Layout.DOCKER if shape.runtime.startswith("docker") else Layout.CONTAINERS
    with Loaders(host.processes, system_roots=False) as loaders:
        pulled = loaders.pull(layout, host.path(shape.reads), host.image, dial=host.registry.dial)
    assert pulled.error == ""


def with_files(name: str, version: str, files: dict[str, str]) -> Shape:
    """Return a distribution's shape for this version of containerd, with these files in addition or instead."""
    shape = next(each for each in SHAPES if each.name == name and version in each.containerd)
    return replace(shape, files={**shape.files, **files})


GPU = f"[{RUNTIME}.containerd.runtimes.gpu]\n{RUNC}\n"
OLD_GPU = f"[{OLD}.containerd.runtimes.runc]\n{RUNC}\n[{OLD}.containerd.runtimes.gpu]\n{RUNC}\n"
MIRROR = f'[{OLD}.registry.mirrors."docker.io"]\nendpoint = ["https://m.example"]\n'
OWN = f"version = 2\n[{OLD}.registry]\nconfig_path = '{ROOT}'\n"

TWISTS = {
    "k3s 1.7 with a template of its own": ("1.7", "k3s", {f"{K3S}/config.toml.tmpl": f"version = 2\n{OLD_GPU}"}),
    "k3s 2.1 with a template of its own": ("2.1", "k3s", {f"{K3S}/config-v3.toml.tmpl": f"version = 3\n{GPU}"}),
    "k3s 2.2 with a template of its own": ("2.2", "k3s", {f"{K3S}/config-v3.toml.tmpl": f"version = 3\n{GPU}"}),
    "k3s 2.1 with a template that imports": (
        "2.1",
        "k3s",
        {
            f"{K3S}/config-v3.toml.tmpl": f'version = 3\nimports = ["{K3S}/config-v3.toml.d/*.toml"]\n{GPU}',
            f"{K3S}/config-v3.toml.d/gpu.toml": f"version = 3\n{GPU}",
        },
    ),
    "RKE2 1.7 with mirrors in a template": (
        "1.7",
        "RKE2",
        {f"{RKE2}/config.toml.tmpl": f"version = 2\n{OLD_GPU}{MIRROR}"},
    ),
    "RKE2 2.1 whose drop-in empties the path": (
        "2.1",
        "RKE2",
        {f"{RKE2}/config-v3.toml.d/50.toml": f"version = 3\n[{IMAGES}.registry]\nconfig_path = ''\n"},
    ),
    "kubeadm 1.7 with a GPU operator's drop-in": (
        "1.7",
        "kubeadm",
        {CONFIG: f"{DROP_INS}{OWN}", "/etc/containerd/conf.d/99-nvidia.toml": f"version = 2\n{OLD_GPU}"},
    ),
    "kubeadm 2.1 with a drop-in of a higher format": (
        "2.1",
        "kubeadm",
        {CONFIG: f"{DROP_INS}{OWN}", "/etc/containerd/conf.d/99-nvidia.toml": f"version = 3\n{GPU}"},
    ),
    "kubeadm 2.0 with mirrors": ("2.0", "kubeadm", {CONFIG: f"version = 2\n{MIRROR}"}),
    "kubeadm 1.6 with TLS settings of a registry": (
        "1.6",
        "kubeadm",
        {CONFIG: f"version = 2\n[{OLD}.registry.configs.'h.example'.tls]\ninsecure_skip_verify = true\n"},
    ),
    "k0s 1.7 with a drop-in for another runtime": (
        "1.7",
        "k0s",
        {"/etc/k0s/containerd.d/gvisor.toml": f"version = 2\n[{OLD}.containerd.runtimes.runsc]\n{RUNC}\n"},
    ),
    "Flatcar 2.0 with a drop-in of its own": (
        "2.0",
        "Flatcar",
        {"/etc/containerd/conf.d/10.toml": f"version = 2\n[{OLD}.registry]\nconfig_path = ''\n"},
    ),
}
"""Nodes of a distribution that somebody changed so nothing is read, or nothing that is mounted."""


@pytest.mark.parametrize(("version", "name", "files"), TWISTS.values(), ids=TWISTS.keys())
def test_the_fix_for_a_node_that_somebody_changed_holds_over_a_start(
    make: Making, version: str, name: str, files: dict[str, str]
) -> None:
    host = make(with_files(name, version, files), version)
    agrees(host)
    is_fixed_as_printed(host)


LISTED = f"[{IMAGES}.registry]\nconfig_path = '{LITERAL}'\n"

STILL = {
    "AKS 2.1 with a drop-in that it does not import": (
        "2.1",
        "AKS",
        {"/etc/containerd/conf.d/a.toml": f"version = 3\n[{IMAGES}.registry]\nconfig_path = '/elsewhere'\n"},
        ROOT,
    ),
    "k0s 2.2 with its documented directory": (
        "2.2",
        "k0s",
        {"/etc/k0s/containerd.d/registry.toml": f"version = 3\n[{IMAGES}.registry]\nconfig_path = '{ROOT}'\n"},
        ROOT,
    ),
    "k3s 2.2 with a drop-in for a runtime": (
        "2.2",
        "k3s",
        {f"{K3S}/config-v3.toml.d/gpu.toml": f"version = 3\n{GPU}"},
        f"{K3S}/certs.d",
    ),
    "k3s 1.7 with a template made of its own one": (
        "1.7",
        "k3s",
        {f"{K3S}/config.toml.tmpl": '{{ template "base" . }}\n' + f"[{OLD}.containerd.runtimes.gpu]\n{RUNC}\n"},
        f"{K3S}/certs.d",
    ),
    "a kubeadm node that lists two directories and pulls locally": (
        "2.4",
        "kubeadm",
        {
            CONFIG: f"version = 3\n[{IMAGES}]\nmax_concurrent_downloads = 5\n{LISTED}",
        },
        ROOT,
    ),
}
"""Nodes that somebody changed, and the directory that is read there all the same."""


@pytest.mark.parametrize(("version", "name", "files", "path"), STILL.values(), ids=STILL.keys())
def test_a_node_that_somebody_changed_without_consequence_pulls(
    make: Making, version: str, name: str, files: dict[str, str], path: str
) -> None:
    host = make(with_files(name, version, files), version)
    agrees(host)
    is_in_place(host, path)
    assert host.pull() == ""
