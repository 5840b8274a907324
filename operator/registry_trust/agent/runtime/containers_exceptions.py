"""CRI-O's and Podman's exceptions: what registries.conf makes of a registry whose files are in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from registry_trust.agent.runtime.registries_conf import Entry, RegistriesConf
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState
from registry_trust.core.text import escape, listing


def with_exceptions(rows: Sequence[RegistryRow], configuration: RegistriesConf) -> tuple[RegistryRow, ...]:
    """Say it on the row of a registry whose files are in place, and that is not verified or is asked elsewhere."""
    return tuple(_with_exception(row, configuration) if row.state is RowState.CURRENT else row for row in rows)


def notices(rows: Sequence[RegistryRow], configuration: RegistriesConf) -> tuple[str, ...]:
    """Return what is so of some images of a registry, or of some ways to it."""
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
    return tuple(f"{Reason.RUNTIME_IGNORES_TLS}: {notice}" for notice in found if notice)


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
    return replace(row, reason=Reason.RUNTIME_IGNORES_TLS, message=message)


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
