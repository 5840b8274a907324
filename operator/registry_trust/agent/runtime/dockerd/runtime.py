"""dockerd on this node: its one root, and the registries for which it ignores what is written there.

By moby's source at 27.5, 28.5 and 29.7 (daemon/pkg/registry, daemon/hosts.go).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from registry_trust.agent.runtime.candidates import DOCKER_ROOT, Candidate, first_mounted
from registry_trust.agent.runtime.dockerd import daemon_json
from registry_trust.agent.runtime.dockerd.daemon_json import DockerConfiguration
from registry_trust.agent.runtime.node import NodeRuntime, Version
from registry_trust.core import registry as registry_names
from registry_trust.core.layout import DOCKER_HUB, Layout, Reader
from registry_trust.core.observed import Target
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState
from registry_trust.core.text import escape, listing

_IF_CLASSIC = (
    "if it uses its classic image store, which is not known here (a new installation of Docker 29 does not, an "
    "upgraded one does)"
)
_DOCKERD = frozenset({Reader.DOCKERD, Reader.DOCKERD_CONTAINERD})


@dataclass(frozen=True, slots=True)
class Dockerd:
    """What is known of this node's dockerd, be it the node's runtime or beside it.

    Attributes:
        configuration: daemon.json; a text where it can't be read, None where its directory is not mounted.
        version: None for a dockerd beside another runtime.
    """

    configuration: DockerConfiguration | str | None = None
    version: Version | None = None

    def readers(self) -> tuple[Reader, ...]:
        """Return by whose names it looks up a registry; several if its image store is not known."""
        return daemon_json.readers(self._known(), self.version)

    def candidates(self, node: NodeRuntime) -> tuple[Candidate, ...]:
        """Return its root."""
        target = Target(DOCKER_ROOT, Layout.DOCKER, (DOCKER_ROOT,), readers=self.readers())
        problem = self.configuration if isinstance(self.configuration, str) else ""
        return (first_mounted(node, "dockerd", (DOCKER_ROOT,), target, problem),)

    def with_exceptions(self, rows: Sequence[RegistryRow], readers: frozenset[Reader]) -> tuple[RegistryRow, ...]:
        """Say it on the row of a registry whose files are in place, if dockerd has another use for them, or none."""
        readers = _DOCKERD & readers
        if not readers:
            return tuple(rows)
        docker = self._known() or DockerConfiguration("")
        insecure = set(daemon_json.ignored(docker, [row.registry for row in rows]))
        return tuple(
            _with_exception(row, docker, readers, insecure) if row.state is RowState.CURRENT else row for row in rows
        )

    def notices(self, readers: frozenset[Reader]) -> tuple[Problem, ...]:
        """Return what may be so of dockerd, and can't be known from here."""
        docker = self._known()
        if docker is None or not docker.networks() or not _DOCKERD & readers:
            return ()
        networks = listing([escape(network, 64) for network in docker.networks()])
        message = (
            f"{docker.path} lists {networks} under insecure-registries; dockerd treats every registry whose name "
            "resolves to such an address as insecure, and names are not resolved here"
        )
        return (Problem(Reason.RUNTIME_IGNORES_TLS, message),)

    def _known(self) -> DockerConfiguration | None:
        return self.configuration if isinstance(self.configuration, DockerConfiguration) else None


def _with_exception(
    row: RegistryRow, docker: DockerConfiguration, readers: frozenset[Reader], insecure: set[str]
) -> RegistryRow:
    if row.registry in insecure:
        message = (
            f"{docker.path} lists it under insecure-registries: dockerd does not verify it, and its classic image "
            "store does not read a certificate directory for it; remove it from the list and restart dockerd (a "
            "reload is enough only if the list stays in the file, even as [])"
        )
    elif registry_names.is_loopback(row.registry):
        message = "dockerd treats every registry on the node itself (localhost, 127.0.0.0/8, [::1]) as insecure"
    elif row.registry in docker.mirrors and Reader.DOCKERD_CONTAINERD in readers:
        message = (
            f"{docker.path} names it as a mirror of Docker Hub, and with the containerd image store (the default of a "
            "new dockerd 29) such pulls use the directory of docker.io and not this one; name docker.io in the trust, "
            "too, or name the mirror in the image"
        )
    elif row.registry == DOCKER_HUB and Reader.DOCKERD in readers:
        certain = readers == {Reader.DOCKERD}
        message = (
            f"dockerd reads no certificate directory for {DOCKER_HUB} "
            f"{'with its classic image store' if certain else _IF_CLASSIC}; put the CA into the node's system store "
            "and restart dockerd, or name a mirror"
        )
    else:
        return row
    return replace(row, problem=Problem(Reason.RUNTIME_IGNORES_TLS, message))
