"""The node's runtimes: gathers the facts for the choice of targets, and notices when one of them changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from registry_trust.agent.options import Mount, Options
from registry_trust.agent.runtime import containerd_config, docker_config
from registry_trust.agent.runtime.configuration_files import ConfigurationFiles, Signature, UnreadableConfiguration
from registry_trust.agent.runtime.containerd_config import ContainerdConfiguration
from registry_trust.agent.runtime.docker_config import DockerConfiguration
from registry_trust.agent.runtime.targets import OPENSHIFT_LABEL, Facts, MountedRoot
from registry_trust.core.text import escape

CONTAINERD_FOLDER = "/etc/containerd"
DOCKER_FOLDER = "/etc/docker"
_MAIN_FILES = ("config.toml", "containerd.toml")
"""Names of containerd's main file; the second one is k0s's (/etc/k0s) and MicroK8s's."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """What was found out about this node: for the choice of targets, and dockerd's own exceptions."""

    facts: Facts
    docker: DockerConfiguration | None = None


class Runtimes:
    """Reads the runtimes' configuration again only when a file of it changed (by time, size or inode)."""

    def __init__(self, options: Options, runtime_may_have_changed: Callable[[], None] = lambda: None) -> None:
        self._options = options
        self._changed = runtime_may_have_changed
        self._files = ConfigurationFiles(options.configurations)
        self._signature: Signature | None = None
        self._runtime = ""
        self._containerd: ContainerdConfiguration | str | None = None
        self._docker: DockerConfiguration | str | None = None

    def facts(self, runtime: str, labels: Mapping[str, str], written: frozenset[str]) -> RuntimeFacts:
        """Return what is known now.

        Args:
            runtime: the runtime in the Node's status, empty where that is not known.
            labels: the Node's labels.
            written: the mounted roots that hold this installation's store, by path on the host.
        """
        if self._is_stale(runtime):
            self._read(runtime)
        docker = self._docker if isinstance(self._docker, DockerConfiguration) else None
        facts = Facts(
            roots=tuple(
                MountedRoot(mount.host, _identity(mount), mount.host in written) for mount in self._options.roots
            ),
            explicit=self._options.targets,
            discover=bool(self._options.configurations),
            runtime=escape(runtime),
            containerd=self._containerd,
            docker_problem=self._docker if isinstance(self._docker, str) else "",
            openshift=OPENSHIFT_LABEL in labels,
        )
        return RuntimeFacts(facts, docker)

    def _is_stale(self, runtime: str) -> bool:
        try:
            signature: Signature = self._files.signature()
        except UnreadableConfiguration:
            signature = ()
        if runtime == self._runtime and signature == self._signature:
            return False
        if self._signature is not None and signature != self._signature:
            log.info("the runtime's configuration changed, reading it again")
            self._changed()
        return True

    def _read(self, runtime: str) -> None:
        self._files = ConfigurationFiles(self._options.configurations)
        self._runtime = runtime
        self._containerd = self._docker = None
        version = containerd_config.parse_version(runtime)
        try:
            path = self._containerd_file(runtime)
            if path and version is not None and runtime.startswith("containerd://"):
                self._containerd = containerd_config.read_configuration(
                    path, version, self._files.read, self._files.glob
                )
        except UnreadableConfiguration as error:
            self._containerd = f"{escape(str(error), 700)}; so it is not known what containerd reads"
        try:
            if any(mount.host == DOCKER_FOLDER for mount in self._options.configurations):
                self._docker = docker_config.read_configuration(f"{DOCKER_FOLDER}/daemon.json", self._files.read)
        except UnreadableConfiguration as error:
            self._docker = escape(str(error), 700)
        try:
            self._signature = self._files.signature()
        except UnreadableConfiguration:
            self._signature = ()

    def _containerd_file(self, runtime: str) -> str:
        """Return the path of the main file; empty where no folder that could hold it is mounted.

        A distribution's own folder comes before /etc/containerd. k3s and RKE2 (their containerd's version says `-k3s`)
        never read /etc/containerd, so there that folder alone says nothing.
        """
        stock = False
        for mount in self._options.configurations:
            if mount.host == CONTAINERD_FOLDER:
                stock = True
            elif mount.host != DOCKER_FOLDER:
                for name in _MAIN_FILES:
                    if self._files.read(f"{mount.host}/{name}") is not None:
                        return f"{mount.host}/{name}"
        return f"{CONTAINERD_FOLDER}/config.toml" if stock and "-k3s" not in runtime else ""


def _identity(mount: Mount) -> tuple[int, int] | None:
    try:
        status = Path(mount.here).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
