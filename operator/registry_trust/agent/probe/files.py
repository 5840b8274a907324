"""Files: what a runtime's loader takes from a registry's directory, and what its environment says of a proxy."""

from __future__ import annotations

import os
from collections.abc import Mapping

from registry_trust.agent.regular_file import read
from registry_trust.core.carried import Host, NotCarried
from registry_trust.core.hosts_toml import HOSTS_LIMIT, from_files, parse
from registry_trust.core.layout import CERTIFICATE, HOSTS_FILE, KEY, Reader
from registry_trust.core.registry import split
from registry_trust.core.text import escape
from registry_trust.core.verdict.certificates import read as read_certificates
from registry_trust.core.verdict.certificates import split_pem
from registry_trust.core.verdict.judge import Trusted
from registry_trust.core.verdict.sending import ClientFiles
from registry_trust.core.x509.hosts import server_of

_LIMIT = 1 << 20
"""Bytes of one file of certificates."""


class NotAsTheRuntime(Exception):
    """This probe could not do what the runtime does; the text says why."""


def load(registry: str, directory: str, reader: Reader) -> Trusted:
    """Return what a reader loads from a registry's directory, without the system's roots.

    Args:
        registry: `host[:port]`.
        directory: the path, on this host, of the one that the reader uses; empty if it finds none.
        reader: who reads it.

    Raises:
        NotAsTheRuntime: something is there that this probe does not follow, or a file can't be read.
    """
    if not directory:
        return Trusted()
    try:
        host = _host(registry, directory, reader)
        own = [each for path in host.ca or () for each in _some(path)]
        pairs = tuple(ClientFiles(one, two, read_certificates(_some(one))) for one, two in host.client or ())
    except OSError as error:
        raise NotAsTheRuntime(f"{escape(directory)} can't be read: {error.strerror or 'see its files'}") from None
    return Trusted(tuple(own), None, pairs)


def _host(registry: str, directory: str, reader: Reader) -> Host:
    names = [entry.name for entry in os.scandir(directory) if not entry.is_dir(follow_symlinks=False)]
    if HOSTS_FILE not in names or reader not in (Reader.CONTAINERD, Reader.DOCKERD_CONTAINERD):
        if {name.removesuffix(CERTIFICATE) for name in names if name.endswith(CERTIFICATE)} ^ {
            name.removesuffix(KEY) for name in names if name.endswith(KEY)
        }:
            raise NotAsTheRuntime(f"{escape(directory)} has half of a client pair, which stops most runtimes")
        carried = from_files([name for name in names if name != HOSTS_FILE], directory)
        return Host() if carried is None else carried.root
    found = parse(read(f"{directory}/{HOSTS_FILE}", HOSTS_LIMIT), directory)
    if isinstance(found, NotCarried):
        raise NotAsTheRuntime(f"{escape(directory)}: {found.why}")
    plain = {"", *(f"https://{name}{path}" for name in (registry, server_of(registry)) for path in ("", "/", "/v2"))}
    if found.hosts or found.root.url not in plain:
        raise NotAsTheRuntime(f"{escape(directory)} sends pulls to {found.shown()}, and a probe asks no other server")
    if found.root.skip_verify or found.root.header:
        raise NotAsTheRuntime(f"{escape(directory)} switches verification off, or adds headers of its own")
    return found.root


def _some(path: str) -> tuple[bytes, ...]:
    found = certificates(path)
    if not found:
        raise NotAsTheRuntime(f"{escape(path)} has no certificate, which stops some runtimes")
    return found


def certificates(path: str) -> tuple[bytes, ...]:
    """Return the DER of each certificate in a file; raises OSError or NotAsTheRuntime."""
    data = read(path, _LIMIT)
    found = split_pem(data)
    if len(found) != data.count(b"-----BEGIN CERTIFICATE-----") or b"" in found:
        raise NotAsTheRuntime(f"{escape(path)} has certificates in a form that runtimes read in different ways")
    return found


def proxy_of(environment: Mapping[str, str], registry: str) -> str:
    """Return the variable that sends a runtime's requests to a proxy, for this registry; empty if there is none.

    An exception counts only in the plain forms of NO_PROXY; whoever writes another one gets no verdict.
    """
    names = ("HTTPS_PROXY", "https_proxy")
    name = next((each for each in names if environment.get(each)), "")
    if not name:
        return ""
    host, port = server_of(registry).lower(), split(registry)[1] or "443"
    for entry in (environment.get("NO_PROXY") or environment.get("no_proxy") or "").lower().split(","):
        each = entry.strip()
        if each in ("*", host, f"{host}:{port}") or (each and host.endswith(f".{each.lstrip('.')}")):
            return ""
    return name
