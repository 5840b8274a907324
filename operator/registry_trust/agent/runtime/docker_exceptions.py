"""dockerd's exceptions: where it reads the right root, and ignores what is written there for some registries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from registry_trust.agent.runtime import docker_config
from registry_trust.agent.runtime.docker_config import DockerConfiguration
from registry_trust.agent.runtime.runtimes import RuntimeFacts
from registry_trust.core import registry as registry_names
from registry_trust.core.layout import Layout
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState, TargetRow, TargetState
from registry_trust.core.text import escape, listing


def with_docker_exceptions(
    rows: Sequence[RegistryRow], targets: Sequence[TargetRow], found: RuntimeFacts
) -> tuple[RegistryRow, ...]:
    """Say it on the row of a registry where its files are in place and dockerd has another use for them, or none."""
    docker = found.docker
    if docker is None or not _is_read(targets):
        return tuple(rows)
    insecure = set(docker_config.ignored(docker, [row.registry for row in rows]))
    return tuple(_with_exception(row, docker, insecure) if row.state is RowState.CURRENT else row for row in rows)


def docker_notices(targets: Sequence[TargetRow], found: RuntimeFacts) -> tuple[str, ...]:
    """Return what may be so of dockerd, and can't be known from here."""
    docker = found.docker
    if docker is None or not _is_read(targets):
        return ()
    notices = []
    if docker.networks():
        networks = listing([escape(network, 64) for network in docker.networks()])
        notices.append(
            f"{Reason.RUNTIME_IGNORES_TLS}: {docker.path} lists {networks} under insecure-registries; dockerd takes "
            "every registry as insecure whose name leads to an address in there, and no name is looked up here"
        )
    if found.docker_in_force.remark:
        notices.append(found.docker_in_force.remark)
    return tuple(notices)


def _is_read(targets: Sequence[TargetRow]) -> bool:
    return any(row.layout == Layout.DOCKER.value and row.state is TargetState.READ for row in targets)


def _with_exception(row: RegistryRow, docker: DockerConfiguration, insecure: set[str]) -> RegistryRow:
    if row.registry in insecure:
        message = (
            f"{docker.path} lists it under insecure-registries: dockerd verifies nothing of it, and its classic image "
            "store reads no certificate directory for it; take it out of the list and restart dockerd, or reload it: "
            "that takes a list which is [], and keeps the old one where there is none"
        )
    elif registry_names.is_loopback(row.registry):
        message = "dockerd takes every registry on the node itself (localhost, 127.0.0.0/8, [::1]) as insecure"
    elif row.registry in docker.mirrors and docker.containerd_store is not False:
        message = (
            f"{docker.path} names it as a mirror of Docker Hub, and with the containerd image store (the default of a "
            "new dockerd 29) such pulls use the directory of docker.io and not this one; name the mirror in the image, "
            'or set "features": {"containerd-snapshotter": false}'
        )
    else:
        return row
    return replace(row, reason=Reason.RUNTIME_IGNORES_TLS, message=message)
