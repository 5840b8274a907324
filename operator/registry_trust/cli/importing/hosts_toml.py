"""A registry's `hosts.toml`: the certificates for the registry itself are found, and what else it says is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from registry_trust.cli.importing.found import Found, Gravity, Notice, Pair, Reading, Text, lost
from registry_trust.cli.importing.node_files import NodeFiles, Unreadable
from registry_trust.core.carried import Host, NotCarried
from registry_trust.core.hosts_toml import HOSTS_LIMIT, parse
from registry_trust.core.layout import DOCKER_HUB, HOSTS_FILE
from registry_trust.core.registry import split
from registry_trust.core.text import escape

LIMIT = HOSTS_LIMIT + 1
"""Bytes that are read of a `hosts.toml`."""

_HUBS_SERVER = "registry-1.docker.io"
_PULLS = frozenset({"pull", "resolve"})
"""What a node needs of a registry; without `capabilities`, containerd has these and more."""
_USUAL_PATHS = ("", "/", "/v2", "/v2/")


def read(data: bytes, registry: str, directory: str, files: NodeFiles) -> Reading:
    """Return what a `hosts.toml` in a registry's directory gives that registry.

    containerd tries each `[host]` table and then `server`, each with its own `ca` and `client` (hosts.go,
    parseHostsFile); those of the registry's own server are imported.
    """
    place = f"{escape(directory)}/{HOSTS_FILE}"
    said = parse(data, directory)
    if isinstance(said, NotCarried):
        fix = f"; {said.fix[:1].lower()}{said.fix[1:]}" if said.fix else ""
        return lost(f"{place}: {said.why}{fix}")
    own = [host for host in said.everything() if _is_own(host, registry)]
    others = [host for host in said.everything() if host not in own]
    settings = [*_settings(own), *_others(others, registry)]
    notices = [Notice(Gravity.SETTING, f"{place}: {setting}") for setting in settings]
    if any(host.skip_verify for host in own if host.verifies()):
        gist = (
            "skip_verify = true: containerd does not check this registry's certificate, and a RegistryTrust always does"
        )
        notices.append(Notice(Gravity.LOST, f"{place}: {gist}; import its CA, e.g. with --from-registry {registry}"))
    found = Found(
        registry,
        place,
        tuple(_texts((path for host in own for path in host.ca or ()), files, notices)),
        tuple(_pairs((pair for host in own for pair in host.client or ()), files, notices)),
        has_settings=bool(settings),
    )
    return Reading((found,) if found.authorities or found.pairs else (), tuple(notices))


def has_certificates(data: bytes, directory: str) -> bool:
    """Say whether a `hosts.toml` names any certificate, leaves one unverified, or can't be read."""
    said = parse(data, directory)
    return isinstance(said, NotCarried) or any(host.ca or host.client or host.skip_verify for host in said.everything())


def _is_own(host: Host, registry: str) -> bool:
    """Say whether a host is the server that containerd uses for the registry without any file."""
    if not host.verifies():
        return False
    name, port = split(registry)
    server = _HUBS_SERVER if registry == DOCKER_HUB else name
    addresses = {f"{server}:{port or 443}", *((server,) if port in ("", "443") else ())}
    return host.address().lower() in {"", *(address.lower() for address in addresses)}


def _settings(own: Sequence[Host]) -> Iterator[str]:
    """Yield what `[host]` or the root say of the registry's own server beside certificates, if a pull depends on it."""
    given = {
        "capabilities": any(not {each.lower() for each in host.capabilities or _PULLS} >= _PULLS for host in own),
        "header": any(host.header for host in own),
        "dial_timeout": any(host.dial_timeout for host in own),
        "a path": any(host.override_path or urlsplit(host.url).path not in _USUAL_PATHS for host in own),
    }
    if any(given.values()):
        yield f"{', '.join(name for name, is_given in given.items() if is_given)} of the registry's own server"


def _others(others: Sequence[Host], registry: str) -> Iterator[str]:
    for host in others:
        certificates = [key for key, values in (("ca", host.ca), ("client", host.client)) if values]
        with_them = f" with its {' and '.join(certificates)}" if certificates else ""
        yield f"{host.shown()} is tried for {registry}{with_them}"


def _texts(paths: Iterator[str], files: NodeFiles, notices: list[Notice]) -> Iterator[Text]:
    for path in dict.fromkeys(paths):
        try:
            yield files.text(path)
        except Unreadable as error:
            notices.append(Notice(Gravity.LOST, str(error)))


def _pairs(paths: Iterator[tuple[str, str]], files: NodeFiles, notices: list[Notice]) -> Iterator[Pair]:
    for certificate, key in dict.fromkeys(paths):
        try:
            yield Pair(files.text(certificate), files.text(key))
        except Unreadable as error:
            notices.append(Notice(Gravity.LOST, str(error)))
