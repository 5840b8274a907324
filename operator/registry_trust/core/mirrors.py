"""Mirrors of others: where a `hosts.toml` that we did not write leads to a registry of ours without its CA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from registry_trust.core.desired import Desired
from registry_trust.core.hosts_toml import load
from registry_trust.core.layout import CA_FILE, DEFAULT, HOSTS_FILE, Reader, entry_name, lookup_names
from registry_trust.core.observed import ObservedRoot, Target, UnverifiedHost
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import escape

_BY_HOSTS_TOML = frozenset({Reader.CONTAINERD, Reader.DOCKERD_CONTAINERD})


def unverified_hosts(data: bytes) -> tuple[UnverifiedHost, ...]:
    """Return the hosts in a `hosts.toml` that containerd verifies by the system's CA certificates alone.

    Each `[host]` has its own `ca`: that of the file's root is for `server` alone (containerd hosts.go, parseHostsFile).
    What containerd would not read leads nowhere.
    """
    try:
        document = load(data)
    except ValueError:
        return ()
    tables = document.get("host")
    named = tables.items() if isinstance(tables, dict) else ()
    found = [(url, f'[host."{url}"]', table) for url, table in named]
    found.append((document.get("server"), "", document))
    return tuple(
        UnverifiedHost(host, place)
        for url, place, table in found
        if isinstance(url, str) and isinstance(table, dict) and not table.get("ca") and not table.get("skip_verify")
        if (host := _tls_host(url))
    )


def mirror_notices(target: Target, desired: Desired, roots: Mapping[str, ObservedRoot]) -> Iterator[Problem]:
    """Say where another process's `hosts.toml` needs a line so pulls through it use a registry's CA."""
    readers = _BY_HOSTS_TOML.intersection(target.possible_readers())
    if not readers or target.standby:
        return
    for root in target.lookup_chain():
        foreign = roots[root].foreign if root in roots else {}
        for name, entry in foreign.items():
            for host in entry.unverified:
                item = desired.registries.get(host.registry)
                ours = entry_name(target.layout, host.registry)
                own_names = {each for reader in readers for each in lookup_names(reader, host.registry)} - {DEFAULT}
                if item is None or not item.material.ca_certificates or name in own_names:
                    continue
                if not roots[target.path].linked(ours):
                    continue
                place = f"to {escape(host.place, 200)}" if host.place else "before its first table"
                yield Problem(
                    Reason.RUNTIME_IGNORES_TLS,
                    f"{escape(f'{root}/{name}', 400)}/{HOSTS_FILE} leads to "
                    f'{host.registry} without its CA; add this line {place}: ca = ["{target.path}/{ours}/{CA_FILE}"]',
                )


def _tls_host(url: str) -> str:
    """Return the host of an https URL or of a name without a scheme; empty if TLS is not used."""
    try:
        parts = urlsplit(url if url.startswith("http") else f"https://{url}")
    except ValueError:
        return ""
    return parts.netloc if parts.scheme == "https" else ""
