"""The node's runtimes: gathers the facts for the choice of targets, and notices when one of them changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from registry_trust.agent.options import Mount, Options
from registry_trust.agent.runtime import containerd_config, docker_config, registries_conf, restarts
from registry_trust.agent.runtime.configuration_files import ConfigurationFiles, Signature, UnreadableConfiguration
from registry_trust.agent.runtime.containerd_config import ContainerdConfiguration
from registry_trust.agent.runtime.docker_config import DockerConfiguration
from registry_trust.agent.runtime.facts import OPENSHIFT_LABEL, Facts, MountedRoot
from registry_trust.agent.runtime.registries_conf import RegistriesConf
from registry_trust.agent.runtime.restarts import IN_FORCE, InForce, Known, Reader, Seen
from registry_trust.agent.runtime.unit_starts import started
from registry_trust.core.text import escape
from registry_trust.process.unexpected import kind_of

CONTAINERD_FOLDER = "/etc/containerd"
KOPS_FILE = f"{CONTAINERD_FOLDER}/config-kops.toml"
"""kOps starts containerd with `-c` and this file, whatever config.toml says (nodeup/pkg/model/containerd.go)."""
DOCKER_FOLDER = "/etc/docker"
_NEVER_CONTAINERDS = (DOCKER_FOLDER, "/etc/containers", "/usr/share/containers", "/root/.config/containers")
_MAIN_FILES = ("config.toml", "containerd.toml")
"""Names of containerd's main file; the second one is k0s's (/etc/k0s) and MicroK8s's."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """What was found out about this node: for the choice of targets, and the runtimes' own exceptions.

    `registries_conf` is a text if it can't be read.
    """

    facts: Facts
    docker: DockerConfiguration | None = None
    docker_in_force: InForce = IN_FORCE
    registries_conf: RegistriesConf | str | None = None


class Runtimes:
    """Reads the runtimes' configuration again only when a file of it changed (by time, size or inode)."""

    def __init__(
        self,
        options: Options,
        runtime_may_have_changed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._options = options
        self._changed = runtime_may_have_changed
        self._clock = clock
        self._containerd_files = self._docker_files = ConfigurationFiles(options.configurations)
        self._containers_files = ConfigurationFiles(options.configurations)
        self._signature: Signature | None = None
        self._runtime = self._os_image = ""
        self._containerd: ContainerdConfiguration | str | None = None
        self._docker: DockerConfiguration | str | None = None
        self._registries_conf: RegistriesConf | str | None = None
        self._known: dict[str, Known] = {}

    def facts(
        self, runtime: str, labels: Mapping[str, str], written: frozenset[str], os_image: str = ""
    ) -> RuntimeFacts:
        """Return what is known now.

        Args:
            runtime: the runtime in the Node's status, empty where that is not known.
            labels: the Node's labels.
            written: the mounted roots that hold this installation's store, by path on the host.
            os_image: the operating system in the Node's status.
        """
        if os_image != self._os_image:
            self._os_image, self._signature = os_image, None
        try:
            return self._facts(runtime, labels, written)
        except Exception as error:  # noqa: BLE001 - the boundary of what runtimes' files say: then it is not known
            self._signature = None
            problem = _not_understood(error)
            return RuntimeFacts(
                replace(self._mounted(runtime, labels, written), containerd=problem, docker_problem=problem)
            )

    def _mounted(self, runtime: str, labels: Mapping[str, str], written: frozenset[str]) -> Facts:
        """Return what is known without any file of a runtime."""
        return Facts(
            roots=tuple(
                MountedRoot(mount.host, _identity(mount), mount.host in written) for mount in self._options.roots
            ),
            folders=tuple(mount.host for mount in self._options.configurations),
            explicit=self._options.targets,
            discover=bool(self._options.configurations),
            runtime=escape(runtime),
            openshift=OPENSHIFT_LABEL in labels,
        )

    def _facts(self, runtime: str, labels: Mapping[str, str], written: frozenset[str]) -> RuntimeFacts:
        if self._is_stale(runtime):
            self._read(runtime)
        docker = self._docker if isinstance(self._docker, DockerConfiguration) else None
        facts = replace(
            self._mounted(runtime, labels, written),
            containerd=self._containerd,
            containerd_in_force=self._in_force(restarts.CONTAINERD, self._effective(), self._containerd_files),
            docker_problem=self._docker if isinstance(self._docker, str) else "",
            docker_readers=docker_config.readers(docker, _docker_version(runtime)),
        )
        in_force = self._in_force(restarts.DOCKERD, self._docker, self._docker_files)
        return RuntimeFacts(facts, docker, in_force, self._registries_conf)

    def _in_force(self, reader: Reader, settings: object, files: ConfigurationFiles) -> InForce:
        if settings is None:
            return IN_FORCE
        changed, newest = files.newest()
        seen = Seen(settings, self._runtime, self._started(reader), changed, escape(newest))
        before = self._known.get(reader.name)
        known = self._known[reader.name] = restarts.learn(before, seen, self._clock())
        if before is not None and known.started != before.started:
            self._changed()  # An upgrade is a restart, too.
        return restarts.judge(known, seen, reader)

    def _effective(self) -> object:
        """Return what containerd makes of its files, so that a change of anything else in them is none."""
        version = containerd_config.parse_version(self._runtime)
        if not isinstance(self._containerd, ContainerdConfiguration) or version is None:
            return self._containerd
        path = containerd_config.effective_path(self._containerd, version)
        return path, containerd_config.splits_list(self._containerd, version), self._containerd.mirrors

    def _started(self, reader: Reader) -> float | None:
        """Return when a runtime was started; None also where its own start writes its configuration (k3s, snaps)."""
        if reader is restarts.DOCKERD:
            return started(self._options.systemd_units, "docker.service")
        stock = isinstance(self._containerd, str) or (
            self._containerd is not None and self._containerd.path.startswith(f"{CONTAINERD_FOLDER}/")
        )
        return started(self._options.systemd_units, "containerd.service") if stock else None

    def _is_stale(self, runtime: str) -> bool:
        if runtime == self._runtime and self._signature is not None and self._signed() == self._signature:
            return False
        if self._signature is not None and self._signed() != self._signature:
            log.info("the runtime's configuration changed, reading it again")
            self._changed()
        return True

    def _signed(self) -> Signature:
        try:
            return tuple(
                part
                for files in (self._containerd_files, self._docker_files, self._containers_files)
                for part in files.signature()
            )
        except UnreadableConfiguration:
            return ()

    def _read(self, runtime: str) -> None:
        self._containerd_files = ConfigurationFiles(self._options.configurations)
        self._docker_files = ConfigurationFiles(self._options.configurations)
        self._containers_files = ConfigurationFiles(self._options.configurations)
        self._runtime = runtime
        self._containerd = self._docker = None
        version = containerd_config.parse_version(runtime)
        files = self._containerd_files
        try:
            path = self._containerd_file(runtime)
            if path and version is not None and runtime.startswith("containerd://"):
                self._containerd = containerd_config.read_configuration(path, version, files.read, files.glob)
        except UnreadableConfiguration as error:
            self._containerd = f"{escape(str(error), 700)}; so it is not known what containerd reads"
        except Exception as error:  # noqa: BLE001 - as in `facts`; dockerd's file may be a good one all the same
            self._containerd = _not_understood(error)
        try:
            if any(mount.host == DOCKER_FOLDER for mount in self._options.configurations):
                self._docker = docker_config.read_configuration(f"{DOCKER_FOLDER}/daemon.json", self._docker_files.read)
        except UnreadableConfiguration as error:
            self._docker = escape(str(error), 700)
        except Exception as error:  # noqa: BLE001 - as in `facts`
            self._docker = _not_understood(error)
        self._registries_conf = self._read_registries_conf()
        self._signature = self._signed()

    def _read_registries_conf(self) -> RegistriesConf | str:
        mounts = [mount.host for mount in self._options.configurations]
        files = self._containers_files
        try:
            return registries_conf.read_configuration(
                lambda folder: any(f"{folder}/".startswith(f"{mount}/") for mount in mounts), files.read, files.glob
            )
        except UnreadableConfiguration as error:
            return escape(str(error), 700)
        except Exception as error:  # noqa: BLE001 - as in `facts`
            return _not_understood(error)

    def _containerd_file(self, runtime: str) -> str:
        """Return the path of the main file; empty where no folder that could hold it is mounted.

        A file that was named comes first, then a distribution's own folder, then /etc/containerd. k3s and RKE2 (their
        containerd's version says `-k3s`) never read /etc/containerd, so there that folder alone says nothing.

        Raises:
            UnreadableConfiguration: only containerd's unit says which file it is.
        """
        for path in self._options.containerd_files:
            if self._containerd_files.read(path) is not None:
                return path
        if self._os_image.startswith("Flatcar"):
            raise UnreadableConfiguration(
                "on Flatcar the variable CONTAINERD_CONFIG of containerd's unit says which file containerd reads "
                "(/usr/share/containerd/config.toml if nothing changes it); name that file (chart value "
                "agent.containerdConfig, option --containerd-config)"
            )
        stock = False
        for mount in self._options.configurations:
            if mount.host == CONTAINERD_FOLDER:
                stock = True
            elif not mount.host.startswith(_NEVER_CONTAINERDS):
                for name in _MAIN_FILES:
                    if self._containerd_files.read(f"{mount.host}/{name}") is not None:
                        return f"{mount.host}/{name}"
        if not stock or "-k3s" in runtime:
            return ""
        kops = self._containerd_files.read(KOPS_FILE) is not None
        return KOPS_FILE if kops else f"{CONTAINERD_FOLDER}/config.toml"


def _not_understood(error: Exception) -> str:
    return f"the agent fails on this configuration ({kind_of(error)}); so it is not known what is read"


def _docker_version(runtime: str) -> containerd_config.Version | None:
    """Return the version of the node's dockerd; None for one beside another runtime."""
    return containerd_config.parse_version(runtime) if runtime.startswith("docker://") else None


def _identity(mount: Mount) -> tuple[int, int] | None:
    try:
        status = Path(mount.here).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
