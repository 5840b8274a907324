"""dockerd's configuration: the registries for which it ignores certificate directories."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass

from registry_trust.agent.runtime.configuration_files import UnreadableConfiguration
from registry_trust.agent.runtime.containerd_config import Read
from registry_trust.core import registry as registry_names

ROOT = "/etc/docker/certs.d"
"""Where dockerd looks; no option moves it (moby daemon/pkg/registry/config.go), rootless mode apart."""


@dataclass(frozen=True, slots=True)
class DockerConfiguration:
    """What matters of daemon.json: `insecure_registries` are hosts with or without port, and networks."""

    path: str
    insecure_registries: tuple[str, ...] = ()


def read_configuration(path: str, read: Read) -> DockerConfiguration:
    """Read daemon.json; a missing or empty one is the default.

    Raises:
        UnreadableConfiguration: it can't be read, or is no JSON object.
    """
    data = read(path)
    if data is None or not data.strip():
        return DockerConfiguration(path)
    try:
        content = json.loads(data)
    except (ValueError, UnicodeDecodeError) as error:
        raise UnreadableConfiguration(f"{path} is no valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UnreadableConfiguration(f"{path} is no JSON object")
    insecure = content.get("insecure-registries", [])
    if not isinstance(insecure, list):
        raise UnreadableConfiguration(f"{path}: insecure-registries is no list")
    return DockerConfiguration(path, tuple(str(name) for name in insecure))


def ignored(configuration: DockerConfiguration, registries: Iterable[str]) -> tuple[str, ...]:
    """Return those registries for which dockerd reads no certificate directory, since it takes them as insecure.

    A name must be equal, port included; an address counts also where a network contains it (moby service config.go).
    """
    names = set(configuration.insecure_registries)
    networks = [network for name in names if (network := _network(name)) is not None]
    return tuple(name for name in registries if name in names or _within(name, networks))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def _within(registry: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        address = ipaddress.ip_address(registry_names.split(registry)[0].strip("[]"))
    except ValueError:
        return False
    return any(address in network for network in networks)
