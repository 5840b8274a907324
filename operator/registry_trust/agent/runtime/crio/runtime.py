"""CRI-O on this node, and Podman, which reads alike: its roots, and what registries.conf makes of a registry.

By go.podman.io/image v5.42, which both of them ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from registry_trust.agent.runtime.candidates import DOCKER_ROOT, Candidate, first_mounted
from registry_trust.agent.runtime.crio.registries_conf import Entry, RegistriesConf
from registry_trust.agent.runtime.node import HOME_ROOT, NodeRuntime
from registry_trust.core.layout import Layout, Reader
from registry_trust.core.observed import Target
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState
from registry_trust.core.text import escape, listing

ROOT = "/etc/containers/certs.d"

CHAIN = (
    HOME_ROOT,
    "/etc/containers/certs.rootful.d",
    ROOT,
    "/usr/share/containers/certs.rootful.d",
    "/usr/share/containers/certs.d",
    DOCKER_ROOT,
)
"""Where the library looks as root, in its order (v5.42; earlier ones lack three of them)."""


@dataclass(frozen=True, slots=True)
class Crio:
    """What is known of this node's CRI-O and Podman: registries.conf, or why it can't be read; None: not looked at."""

    configuration: RegistriesConf | str | None = None

    def candidates(self, node: NodeRuntime) -> tuple[Candidate, ...]:
        """Return the root that is written for it: its own, or dockerd's, which comes last."""
        return (first_mounted(node, "CRI-O", (ROOT, DOCKER_ROOT), Target(ROOT, Layout.CONTAINERS, CHAIN)),)

    def with_exceptions(self, rows: Sequence[RegistryRow], readers: frozenset[Reader]) -> tuple[RegistryRow, ...]:
        """Say it on the row of a registry whose files are in place, and that is not verified or is asked elsewhere."""
        configuration = self.configuration
        if Reader.CONTAINERS not in readers or not isinstance(configuration, RegistriesConf):
            return tuple(rows)
        return tuple(_with_exception(row, configuration) if row.state is RowState.CURRENT else row for row in rows)

    def notices(self, rows: Sequence[RegistryRow], readers: frozenset[Reader]) -> tuple[Problem, ...]:
        """Return what is so of some images of a registry, or of some ways to it."""
        if Reader.CONTAINERS not in readers or self.configuration is None:
            return ()
        if isinstance(self.configuration, str):
            problem = f"{self.configuration}; so it is not known which registries CRI-O and Podman do not verify"
            return (Problem(Reason.RUNTIME_UNKNOWN, problem),)
        return _notices(rows, self.configuration)


def _notices(rows: Sequence[RegistryRow], configuration: RegistriesConf) -> tuple[Problem, ...]:
    registries = list(dict.fromkeys(row.registry for row in rows))
    found = [_unverified(entry, registries) for entry in configuration.entries]
    for entry in configuration.entries:
        whole = [registry for registry in registries if configuration.find(registry) is entry]
        part = [registry for registry in registries if entry.prefix.startswith(f"{registry}/")]
        hosts = [entry.leads_to(mirror, registry) for registry in whole for mirror in entry.mirrors]
        hosts += [
            entry.leads_to(endpoint, registry) for registry in part for endpoint in (*entry.mirrors, entry.endpoint)
        ]
        found.append(_elsewhere(entry, [host for host in dict.fromkeys(hosts) if host not in registries]))
    return tuple(Problem(Reason.RUNTIME_IGNORES_TLS, message) for message in found if message)


def _with_exception(row: RegistryRow, configuration: RegistriesConf) -> RegistryRow:
    entry = configuration.find(row.registry)
    if entry is None:
        return row
    host = entry.leads_to(entry.endpoint, row.registry)
    if host != row.registry:
        message = (
            f"{_shown(entry.path)} sends pulls of {_shown(entry.prefix)} to {_shown(entry.endpoint.location)}, and "
            f"CRI-O and Podman use the directory of {_shown(host)} for them; name {_shown(host)} in the trust, too"
        )
    elif entry.endpoint.insecure:
        message = (
            f"{_shown(entry.path)} sets insecure = true for {_shown(entry.prefix)}: CRI-O and Podman do not verify the "
            "registry's certificate, and also try it without TLS; remove that line"
        )
    else:
        return row
    return replace(row, problem=Problem(Reason.RUNTIME_IGNORES_TLS, message))


def _unverified(entry: Entry, registries: Sequence[str]) -> str:
    """Say which registries are not verified for the images of this entry alone; a row says it if it is for all."""
    own = entry.leads_to(entry.endpoint, entry.prefix)
    locations = [
        endpoint.location
        for endpoint in (*entry.mirrors, *([entry.endpoint] if entry.prefix != own else []))
        if endpoint.insecure and endpoint.location.partition("/")[0] in registries
    ]
    if not locations:
        return ""
    return (
        f"{_shown(entry.path)} sets insecure = true for {listing([_shown(place) for place in locations])}: CRI-O and "
        f"Podman do not verify its certificate for the images of {_shown(entry.prefix)}; remove that line"
    )


def _elsewhere(entry: Entry, hosts: Sequence[str]) -> str:
    """Say which hosts the images of a registry come from that no trust names: the files of those are used there."""
    if not hosts:
        return ""
    return (
        f"{_shown(entry.path)} has CRI-O and Podman pull {_shown(entry.prefix)} first, or only, from "
        f"{listing([_shown(host) for host in hosts])}, with the certificates in the directory of that host; if it "
        "has a private CA, name it in a trust, too"
    )


def _shown(text: str) -> str:
    return escape(text, 128)
