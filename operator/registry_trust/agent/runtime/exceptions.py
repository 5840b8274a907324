"""Exceptions: what the runtimes' own settings make of registries whose files are in place, by who reads them."""

from __future__ import annotations

from collections.abc import Sequence

from registry_trust.agent.runtime import containers_exceptions, docker_exceptions
from registry_trust.agent.runtime.registries_conf import RegistriesConf
from registry_trust.agent.runtime.runtimes import RuntimeFacts
from registry_trust.core.layout import Reader
from registry_trust.core.plan import Target
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, TargetRow, TargetState


def readers_of(targets: Sequence[Target], target_rows: Sequence[TargetRow]) -> frozenset[Reader]:
    """Return who may read one of the roots that are written."""
    read = {row.path for row in target_rows if row.state is TargetState.READ}
    return frozenset(reader for target in targets if target.path in read for reader in target.possible_readers())


def with_exceptions(
    rows: Sequence[RegistryRow], readers: frozenset[Reader], found: RuntimeFacts
) -> tuple[RegistryRow, ...]:
    """Say it on the row of a registry if its files are in place, and a reader has another use for them, or none."""
    rows = docker_exceptions.with_exceptions(rows, readers, found.docker)
    if Reader.CONTAINERS in readers and isinstance(found.registries_conf, RegistriesConf):
        rows = containers_exceptions.with_exceptions(rows, found.registries_conf)
    return tuple(rows)


def notices(rows: Sequence[RegistryRow], readers: frozenset[Reader], found: RuntimeFacts) -> tuple[str, ...]:
    """Return what is so for some images alone, or can't be known from here."""
    said = docker_exceptions.notices(readers, found.docker, found.docker_in_force)
    if Reader.CONTAINERS not in readers or found.registries_conf is None:
        return said
    if isinstance(found.registries_conf, str):
        problem = f"{found.registries_conf}; so it is not known for which registries CRI-O and Podman verify nothing"
        return (*said, f"{Reason.RUNTIME_UNKNOWN}: {problem}")
    return (*said, *containers_exceptions.notices(rows, found.registries_conf))
