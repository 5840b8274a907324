"""Runtimes: what an agent says of roots that are not read, and of what a runtime makes of a registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from functools import partial
from typing import TypeVar

from registry_trust.agent.options import ExplicitTarget, Mount, Options
from registry_trust.agent.runtime.configuration_files import ConfigurationFiles, UnreadableConfiguration
from registry_trust.agent.runtime.containerd import main_file
from registry_trust.agent.runtime.containerd.configuration import ContainerdConfiguration, read_configuration
from registry_trust.agent.runtime.containerd.runtime import Containerd
from registry_trust.agent.runtime.crio import registries_conf
from registry_trust.agent.runtime.crio.registries_conf import RegistriesConf
from registry_trust.agent.runtime.crio.runtime import Crio
from registry_trust.agent.runtime.dockerd import daemon_json
from registry_trust.agent.runtime.dockerd.daemon_json import DockerConfiguration
from registry_trust.agent.runtime.dockerd.runtime import Dockerd
from registry_trust.agent.runtime.facts import Facts
from registry_trust.agent.runtime.node import MountedRoot, NodeRuntime, Sign, parse_version
from registry_trust.agent.runtime.restarts import IN_FORCE, InForce, Seen, in_force, learn
from registry_trust.agent.runtime.targets import choose
from registry_trust.core.layout import Layout, Reader
from registry_trust.core.problem import Problem
from registry_trust.core.report import RegistryRow, RowState, TargetRow
from tools.messages.cluster import NOW, REGISTRY

Read = TypeVar("Read")

CONFIG = "/etc/containerd/config.toml"
DOCKER, ROOT, CONTAINERS = "/etc/docker/certs.d", "/etc/containerd/certs.d", "/etc/containers/certs.d"
LITERAL = f"{ROOT}:{DOCKER}"
DAEMON_JSON = "/etc/docker/daemon.json"
REGISTRIES_CONF = "/etc/containers/registries.conf"
IMAGES = '[plugins."io.containerd.cri.v1.images".registry]'
OLD = '[plugins."io.containerd.grpc.v1.cri".registry]'
K3S = "/var/lib/rancher/k3s/agent/etc/containerd"


def table(section: str, name: str) -> str:
    return f"{section.removesuffix(']')}.{name}]"


def mounted(*paths: str) -> tuple[MountedRoot, ...]:
    return tuple(MountedRoot(path, (1, number)) for number, path in enumerate(paths))


EVERY_ROOT = mounted(DOCKER, CONTAINERS, ROOT, LITERAL)
"""What the chart mounts."""

WRONG: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("1.7.27", {CONFIG: "version = 3"}),
    ("1.7.27", {CONFIG: 'version = 2\ndisabled_plugins = ["cri"]'}),
    ("1.7.27", {CONFIG: 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]'}),
    ("1.7.27", {CONFIG: 'disabled_plugins = ["cri"]'}),
    ("2.2.0", {CONFIG: "version = 4"}),
    ("2.2.0", {CONFIG: 'version = 3\ndisabled_plugins = ["cri"]'}),
    ("2.2.0", {CONFIG: '[plugins.cri]\n[plugins."io.containerd.grpc.v1.cri"]'}),
    ("2.4.2", {CONFIG: "version = 5"}),
    (
        "2.3.0",
        {
            CONFIG: 'version = 2\nimports = ["/etc/containerd/conf.d/*.toml"]',
            "/etc/containerd/conf.d/a.toml": "version = 3",
        },
    ),
    ("2.4.2", {CONFIG: "version = 3\n[plugins."}),
    ("2.4.2", {CONFIG: f"version = 3\n{IMAGES}\nconfig_path = 1"}),
    ("2.4.2", {CONFIG: f"version = 3\n{IMAGES}\nConfig_Path = 'a'"}),
    ("2.4.2", {CONFIG: "version = 'three'"}),
    ("2.4.2", {CONFIG: "version = 3\nimports = 'a'"}),
    ("2.4.2", {CONFIG: "plugins = 1"}),
)
"""Version and files with which containerd, or its CRI plugin, does not start."""

UNREAD: tuple[tuple[str, str, tuple[MountedRoot, ...]], ...] = (
    ("1.7.27", "version = 2", EVERY_ROOT),
    ("2.4.2", f"version = 3\n{IMAGES}\nconfig_path = '/elsewhere'", EVERY_ROOT),
    ("2.4.2", f"version = 3\n{table(IMAGES, 'mirrors.a')}", EVERY_ROOT),
    ("2.4.2", f"version = 3\n{IMAGES}\nconfig_path = ':'", EVERY_ROOT),
    ("2.2.0", "version = 3", mounted(ROOT)),
    ("1.7.27", f"version = 2\n{table(OLD, 'configs.a.tls')}", EVERY_ROOT),
    ("1.7.27", f"version = 2\n{OLD}\nconfig_path = '{ROOT}'\n{table(OLD, 'mirrors.a')}", EVERY_ROOT),
    ("1.7.27", f"{OLD}\nconfig_path = '{ROOT}'", EVERY_ROOT),
    ("2.4.2", f"version = 3\n{IMAGES}\nconfig_path = '{LITERAL}'", EVERY_ROOT),
)
"""Version, main file and mounted roots with which a root is not read, or not as it may seem."""

MANAGED: tuple[tuple[str, str, str, str], ...] = (
    ("1.7.27", f"{K3S}/config.toml", "version = 2", f"{K3S}/certs.d"),
    ("2.1.9", f"{K3S}/config.toml", f'version = 3\nimports = ["{K3S}/config-v3.toml.d/*.toml"]', f"{K3S}/certs.d"),
    ("1.7.27", "/etc/k0s/containerd.toml", "version = 2", ROOT),
    (
        "1.7.27",
        "/var/snap/microk8s/current/args/containerd.toml",
        "version = 2",
        "/var/snap/microk8s/current/args/certs.d",
    ),
    ("1.7.27", "/etc/containerd/config-kops.toml", "version = 2", ROOT),
    ("1.7.27", "/usr/share/containerd/config.toml", "version = 2", ROOT),
)
"""Version, main file of a distribution, its text, and the root that is mounted there."""

WRONG_DOCKER_SETTINGS = ("[]", "{", '{"insecure-registries": 1}')
"""What dockerd does not start with."""

DOCKER_SETTINGS = (
    f'{{"insecure-registries": ["{REGISTRY}"]}}',
    '{"insecure-registries": ["10.0.0.0/8"]}',
    f'{{"registry-mirrors": ["https://{REGISTRY}"], "features": {{"containerd-snapshotter": true}}}}',
    '{"storage-driver": "overlay2"}',
    "{}",
)

REGISTRIES = (
    f'[[registry]]\nlocation = "{REGISTRY}"\ninsecure = true',
    f'[[registry]]\nprefix = "{REGISTRY}"\nlocation = "proxy.corp.example"',
    f'[[registry]]\nlocation = "{REGISTRY}"\n[[registry.mirror]]\nlocation = "mirror.corp.example"',
    f'[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "{REGISTRY}"\ninsecure = true',
)

WRONG_REGISTRIES = (
    "[[registry]",
    "[registries.search]\nregistries = ['a']",
    "registry = 1",
    "registries = 1",
    "[[registry]]\nlocation = 1",
    "[[registry]]\nlocation = 'a.example'\ninsecure = 'yes'",
    "[[registry]]\nlocation = 'https://a.example'",
    "[[registry]]",
    "[[registry]]\nprefix = '*.a.example:5000'",
    "[[registry]]\nlocation = 'a.example'\npull-from-mirror = 'all'",
    "[[registry]]\nlocation = 'a.example'\n[[registry.mirror]]",
    "[[registry]]\nlocation = 'a.example'\n[[registry]]\nlocation = 'a.example'\nblocked = true",
)
"""What CRI-O and Podman refuse."""


def said() -> Iterator[Problem]:
    """Yield what is said of targets, registries and the runtimes as a whole."""
    for version, text, roots in UNREAD:
        yield from _problems(_facts(version, containerd({CONFIG: text}, version), roots))
    for version, path, text, root in MANAGED:
        yield from _problems(_facts(version, containerd({path: text}, version, path), mounted(root)))
    for version, files in WRONG:
        yield from _problems(_facts(version, _or_why(partial(containerd, files, version)), EVERY_ROOT))
    for sign in Sign:
        yield from _problems(_facts("2.4.2", _or_why(partial(elsewhere, sign)), EVERY_ROOT))
    yield from _problems(_facts("2.4.2", None, EVERY_ROOT))
    settings = ContainerdConfiguration(CONFIG, present=True, version=3, config_path=ROOT)
    yield from _problems(_facts("2.4.2", settings, EVERY_ROOT, changed(NOW.timestamp() - 3600)))
    for runtime in ("", "fancy://1.0", "docker://29.0.0", "cri-o://1.34.0"):
        yield from _problems(Facts(NodeRuntime(mounted(ROOT), runtime=runtime)))
    yield from _problems(Facts(NodeRuntime(discover=False)))
    yield from _problems(Facts(NodeRuntime(EVERY_ROOT, runtime="docker://27.5.1", openshift=True)))
    twice = tuple(ExplicitTarget(layout, path) for layout, path in ((Layout.DOCKER, DOCKER), (Layout.CONTAINERD, ROOT)))
    same = tuple(MountedRoot(path, (1, 1)) for path in (DOCKER, ROOT))
    yield from _problems(Facts(NodeRuntime(same, explicit=twice, discover=False)))
    yield from _of_docker()
    yield from _of_registries_conf()


def containerd(files: Mapping[str, str], version: str, main: str = CONFIG) -> ContainerdConfiguration:
    parsed = parse_version(f"containerd://{version}")
    assert parsed is not None
    return read_configuration(main, parsed, *_reading(files))


def elsewhere(sign: Sign) -> ContainerdConfiguration | None:
    mounts = (Mount(main_file.FOLDER, "/nowhere"),)
    options = Options("worker-1", "registry-trust", configurations=mounts)
    return main_file.read(ConfigurationFiles(mounts), options, "containerd://2.4.2", frozenset({sign}))


def changed(started: float | None) -> InForce:
    """Return what is known of containerd if its configuration changed after its first look."""
    first = learn(None, Seen("a", "r", started), NOW.timestamp())
    seen = Seen("b", "r", started, NOW.timestamp() + 60, CONFIG)
    return in_force(learn(first, seen, NOW.timestamp() + 60), seen)


def _reading(files: Mapping[str, str]) -> tuple[Callable[[str], bytes | None], Callable[[str], list[str]]]:
    def read(path: str) -> bytes | None:
        return files[path].encode() if path in files else None

    return read, lambda pattern: sorted(path for path in files if fnmatch(path, pattern))


def _or_why(read: Callable[[], Read]) -> Read | str:
    try:
        return read()
    except UnreadableConfiguration as error:
        return str(error)


def _facts(
    version: str,
    configuration: ContainerdConfiguration | str | None,
    roots: tuple[MountedRoot, ...],
    force: InForce = IN_FORCE,
) -> Facts:
    return Facts(NodeRuntime(roots, runtime=f"containerd://{version}"), Containerd(configuration, force))


def _problems(facts: Facts) -> Iterator[Problem]:
    yield from (row.problem for row in _rows(facts) if row.problem is not None)


def remarks() -> Iterator[str]:
    """Yield what is said of targets without a problem."""
    for version, text, roots in UNREAD:
        yield from _remarks_on_targets(_facts(version, containerd({CONFIG: text}, version), roots))
    for text in WRONG_DOCKER_SETTINGS:
        dockerd = Dockerd(_or_why(partial(_docker, text)))
        yield from _remarks_on_targets(Facts(NodeRuntime(EVERY_ROOT, runtime="docker://27.5.1"), dockerd=dockerd))
    settings = ContainerdConfiguration(CONFIG, present=True, version=3, config_path=ROOT)
    yield from _remarks_on_targets(_facts("2.4.2", settings, EVERY_ROOT, changed(None)))
    yield from _remarks_on_targets(
        _facts("2.4.2", settings, (*EVERY_ROOT, MountedRoot("/old/certs.d", (1, 9), written=True)))
    )
    named = ExplicitTarget(Layout.CONTAINERS, CONTAINERS)
    yield from _remarks_on_targets(Facts(NodeRuntime(mounted(CONTAINERS), explicit=(named,), discover=False)))


def _remarks_on_targets(facts: Facts) -> Iterator[str]:
    yield from (row.remark for row in _rows(facts) if row.remark)


def _rows(facts: Facts) -> tuple[TargetRow, ...]:
    return tuple(candidate.row for candidate in choose(facts))


def _of_docker() -> Iterator[Problem]:
    rows = tuple(RegistryRow(name, RowState.CURRENT) for name in (REGISTRY, "localhost:5000", "docker.io"))
    for text in DOCKER_SETTINGS:
        configuration = _docker(text)
        for readers in ({Reader.DOCKERD}, {Reader.DOCKERD, Reader.DOCKERD_CONTAINERD}):
            yield from _remarks(Facts(dockerd=Dockerd(configuration)), rows, frozenset(readers))


def _docker(text: str) -> DockerConfiguration:
    return daemon_json.read_configuration(DAEMON_JSON, _reading({DAEMON_JSON: text})[0])


def _of_registries_conf() -> Iterator[Problem]:
    rows = (RegistryRow(REGISTRY, RowState.CURRENT),)
    for text in (*REGISTRIES, *WRONG_REGISTRIES):
        crio = Crio(_or_why(partial(_registries, text)))
        yield from _remarks(Facts(crio=crio), rows, frozenset({Reader.CONTAINERS}))


def _registries(text: str) -> RegistriesConf:
    read, glob = _reading({REGISTRIES_CONF: text})
    return registries_conf.read_configuration(lambda folder: True, read, glob)


def _remarks(facts: Facts, rows: tuple[RegistryRow, ...], readers: frozenset[Reader]) -> Iterator[Problem]:
    marked = facts.with_exceptions(rows, readers)
    yield from (row.problem for row in marked if row.problem is not None)
    yield from facts.notices(rows, readers)
