"""daemon.json: by whose names dockerd looks up a registry, and for which registries it ignores what is written.

As moby's source has it at 27.5, 28.5 and 29.7 (daemon/pkg/registry, daemon/image_store_choice.go).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from registry_trust.agent.options import Mount
from registry_trust.agent.runtime.configuration_files import ConfigurationFiles, Read, UnreadableConfiguration
from registry_trust.agent.runtime.node import Version
from registry_trust.core import registry as registry_names
from registry_trust.core.layout import Layout, Reader, possible_readers

FOLDER = "/etc/docker"

_CLASSIC_DRIVERS = frozenset({"aufs", "btrfs", "devicemapper", "fuse-overlayfs", "overlay", "overlay2", "vfs", "zfs"})
"""Storage drivers of the classic store; one that is named decides for it (moby daemon/image_store_choice.go)."""


@dataclass(frozen=True, slots=True)
class DockerConfiguration:
    """What matters of daemon.json.

    Attributes:
        insecure_registries: hosts with or without port, and networks.
        mirrors: hosts that dockerd asks before Docker Hub.
        containerd_store: whether images are kept by containerd; None if it is left to dockerd's default.
        storage_driver: the storage driver that is named; empty without one.
    """

    path: str
    insecure_registries: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    containerd_store: bool | None = None
    storage_driver: str = ""

    def networks(self) -> tuple[str, ...]:
        """Return the networks among the insecure registries."""
        return tuple(name for name in self.insecure_registries if _network(name) is not None)


def read(files: ConfigurationFiles, mounts: Sequence[Mount]) -> DockerConfiguration | None:
    """Read this node's daemon.json; None where its directory is not mounted.

    Raises:
        UnreadableConfiguration: as `read_configuration`.
    """
    if not any(mount.host == FOLDER for mount in mounts):
        return None
    return read_configuration(f"{FOLDER}/daemon.json", files.read)


def read_configuration(path: str, read: Read) -> DockerConfiguration:
    """Read daemon.json; a missing or empty one is the default.

    dockerd's own options say the same things and can't be seen from here. It refuses to start where both do.

    Raises:
        UnreadableConfiguration: it can't be read, or is no JSON object.
    """
    data = read(path)
    if data is None or not data.strip():
        return DockerConfiguration(path)
    try:
        content = json.loads(data)
    except (ValueError, UnicodeDecodeError) as error:
        raise UnreadableConfiguration(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UnreadableConfiguration(f"{path} is not a JSON object")
    features = content.get("features")
    store = features.get("containerd-snapshotter") if isinstance(features, dict) else None
    return DockerConfiguration(
        path,
        insecure_registries=tuple(_without_scheme(name) for name in _names(path, content, "insecure-registries")),
        mirrors=tuple(_without_scheme(name).partition("/")[0] for name in _names(path, content, "registry-mirrors")),
        containerd_store=store if isinstance(store, bool) else None,
        storage_driver=str(content.get("storage-driver") or ""),
    )


def readers(configuration: DockerConfiguration | None, version: Version | None) -> tuple[Reader, ...]:
    """Return by whose names dockerd of this version looks up a registry; several if its image store is not known.

    Until 27 both stores look for the reference's own name alone (daemon/daemon.go, RegistryHosts). 28 starts with the
    classic store. 29 does so only if its data directory is of an earlier version, which can't be seen from here.
    """
    if version is not None and version < (28,):
        return (Reader.DOCKERD,)
    store = configuration.containerd_store if configuration is not None else None
    if store is None and configuration is not None:
        classic = configuration.storage_driver in _CLASSIC_DRIVERS or (version is not None and version < (29,))
        store = False if classic else None
    if store is None:
        return possible_readers(Layout.DOCKER)
    return (Reader.DOCKERD_CONTAINERD,) if store else (Reader.DOCKERD,)


def ignored(configuration: DockerConfiguration, registries: Iterable[str]) -> tuple[str, ...]:
    """Return those registries that dockerd takes as insecure.

    A name must be equal, port included; an address counts also where a network contains it (moby service config.go).
    """
    names = set(configuration.insecure_registries)
    networks = [network for name in names if (network := _network(name)) is not None]
    return tuple(name for name in registries if name in names or (networks and _within(name, networks)))


def _names(path: str, content: Mapping[str, object], key: str) -> list[str]:
    names = content.get(key, [])
    if not isinstance(names, list):
        raise UnreadableConfiguration(f"{path}: {key} is not a list")
    return [str(name) for name in names]


def _without_scheme(name: str) -> str:
    scheme, separator, rest = name.partition("://")
    return rest if separator and scheme.lower() in ("http", "https") else name


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
