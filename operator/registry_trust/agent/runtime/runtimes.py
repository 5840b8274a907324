"""The node's runtimes: gathers the facts for the choice of targets, and notices when one of them changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from registry_trust.agent.options import Mount, Options
from registry_trust.agent.runtime import restarts
from registry_trust.agent.runtime.configuration_files import ConfigurationFiles, Signature, UnreadableConfiguration
from registry_trust.agent.runtime.containerd import main_file
from registry_trust.agent.runtime.containerd.configuration import ContainerdConfiguration, effective
from registry_trust.agent.runtime.containerd.runtime import Containerd
from registry_trust.agent.runtime.crio import registries_conf
from registry_trust.agent.runtime.crio.registries_conf import RegistriesConf
from registry_trust.agent.runtime.crio.runtime import Crio
from registry_trust.agent.runtime.dockerd import daemon_json
from registry_trust.agent.runtime.dockerd.daemon_json import DockerConfiguration
from registry_trust.agent.runtime.dockerd.runtime import Dockerd
from registry_trust.agent.runtime.facts import Facts
from registry_trust.agent.runtime.node import OPENSHIFT_LABEL, MountedRoot, NodeRuntime, Sign, parse_version
from registry_trust.agent.runtime.restarts import IN_FORCE, InForce, Known, Seen
from registry_trust.agent.runtime.unit_starts import started
from registry_trust.core.text import escape
from registry_trust.process.unexpected import kind_of

Read = TypeVar("Read")

log = logging.getLogger(__name__)


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
        self._runtime = ""
        self._signs: frozenset[Sign] = frozenset()
        self._containerd: ContainerdConfiguration | str | None = None
        self._docker: DockerConfiguration | str | None = None
        self._registries_conf: RegistriesConf | str | None = None
        self._known: Known | None = None

    def facts(
        self,
        runtime: str,
        labels: Mapping[str, str],
        written: frozenset[str],
        signs: frozenset[Sign] = frozenset(),
    ) -> Facts:
        """Return what is known now.

        Args:
            runtime: the runtime in the Node's status, empty where that is not known.
            labels: the Node's labels.
            written: the mounted roots that hold this installation's store, by path on the host.
            signs: what the Node says of where its containerd's main file is.
        """
        if signs != self._signs:
            self._signs, self._signature = signs, None
        node = self._node(runtime, labels, written)
        try:
            return self._facts(node, runtime)
        except Exception as error:  # noqa: BLE001 - the boundary of what runtimes' files say: then it is not known
            self._signature = None
            problem = _not_understood(error)
            return Facts(node, Containerd(problem), Dockerd(problem))

    def _node(self, runtime: str, labels: Mapping[str, str], written: frozenset[str]) -> NodeRuntime:
        """Return what is known without any file of a runtime."""
        return NodeRuntime(
            roots=tuple(
                MountedRoot(mount.host, _identity(mount), mount.host in written) for mount in self._options.roots
            ),
            folders=tuple(mount.host for mount in self._options.configurations),
            explicit=self._options.targets,
            discover=bool(self._options.configurations),
            runtime=escape(runtime),
            openshift=OPENSHIFT_LABEL in labels,
        )

    def _facts(self, node: NodeRuntime, runtime: str) -> Facts:
        if self._is_stale(runtime):
            self._read(runtime)
        containerd = Containerd(self._containerd, self._in_force(effective(self._containerd, parse_version(runtime))))
        dockerd = Dockerd(self._docker, parse_version(runtime) if node.scheme() == "docker" else None)
        return Facts(node, containerd, dockerd, Crio(self._registries_conf))

    def _in_force(self, settings: object) -> InForce:
        if settings is None:
            return IN_FORCE
        changed, newest = self._containerd_files.newest()
        seen = Seen(settings, self._runtime, self._started(), changed, escape(newest))
        before = self._known
        known = self._known = restarts.learn(before, seen, self._clock())
        if before is not None and known.started != before.started:
            self._changed()  # An upgrade is a restart, too.
        return restarts.in_force(known, seen)

    def _started(self) -> float | None:
        """Return when containerd was started; None also where its own start writes its configuration (k3s, snaps)."""
        known = self._containerd
        if isinstance(known, ContainerdConfiguration) and not main_file.is_stock(known.path):
            return None
        return started(self._options.systemd_units, restarts.UNIT)

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
        mounts, self._runtime = self._options.configurations, runtime
        containerd = self._containerd_files = ConfigurationFiles(mounts)
        docker = self._docker_files = ConfigurationFiles(mounts)
        containers = self._containers_files = ConfigurationFiles(mounts)
        self._containerd = _understood(
            lambda: main_file.read(containerd, self._options, runtime, self._signs),
            "; so it is not known what containerd reads",
        )
        self._docker = _understood(lambda: daemon_json.read(docker, mounts))
        self._registries_conf = _understood(
            lambda: registries_conf.read_configuration(
                lambda folder: any(f"{folder}/".startswith(f"{mount.host}/") for mount in mounts),
                containers.read,
                containers.glob,
            )
        )
        self._signature = self._signed()


def _understood(read: Callable[[], Read], consequence: str = "") -> Read | str:
    """Return what is read, or why it can't be; what is wrong with one runtime's files is no other runtime's fault."""
    try:
        return read()
    except UnreadableConfiguration as error:
        return f"{escape(str(error), 700)}{consequence}"
    except Exception as error:  # noqa: BLE001 - as in `Runtimes.facts`
        return _not_understood(error)


def _not_understood(error: Exception) -> str:
    return f"the agent fails on this configuration ({kind_of(error)}); so it is not known what is read"


def _identity(mount: Mount) -> tuple[int, int] | None:
    try:
        status = Path(mount.here).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
