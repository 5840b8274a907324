"""containerd's configuration: which certificate directories its CRI plugin reads, by the rules of each version."""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from registry_trust.agent.runtime.configuration_files import UnreadableConfiguration

Read = Callable[[str], bytes | None]
Glob = Callable[[str], list[str]]
Version = tuple[int, int, int]

OLD_PLUGIN = "io.containerd.grpc.v1.cri"
"""The CRI plugin's section in configuration versions 1 (there: `cri`) and 2."""
NEW_PLUGIN = "io.containerd.cri.v1.images"
"""The section from configuration version 3 (containerd 2.0) on."""

DEFAULT_PATH = "/etc/containerd/certs.d:/etc/docker/certs.d"
"""`config_path` of containerd >= 2.2 on Linux where it and `mirrors` are empty (plugins/cri/images/plugin.go)."""

_V2, _V3, _V4 = 2, 3, 4
"""Versions of the configuration's format."""

_MAXIMUM_FILES = 200
_DEFAULT_DOWNLOADS = 3
_MOVED = ("registry", "max_concurrent_downloads", "image_pull_with_sync_fs")
_MOVED_SNAPSHOTS = ("disable_snapshot_annotations", "discard_unpacked_layers")


@dataclass(frozen=True, slots=True)
class ContainerdConfiguration:
    """What matters of containerd's configuration.

    Attributes:
        path: the main file; `present` says whether it exists (containerd runs without one).
        version: of the main file's format.
        config_path: as configured, empty where it is not.
        mirrors: `registry.mirrors` is set, with which `config_path` has no default.
        local_pull: an option is set by which containerd 2.1 and later pull without the transfer service.
        ignored_path: a `config_path` in a section that this containerd does not read.
    """

    path: str
    present: bool
    version: int
    config_path: str = ""
    mirrors: bool = False
    local_pull: bool = False
    ignored_path: str = ""


def parse_version(runtime: str) -> Version | None:
    """Return the version in `containerd://2.4.2` or `containerd://v1.7.27-k3s1`; None where there is none."""
    match = re.match(r"[a-z-]+://v?(\d+)\.(\d+)(?:\.(\d+))?", runtime)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def read_configuration(path: str, version: Version, read: Read, glob: Glob) -> ContainerdConfiguration:
    """Read the main file and everything that it imports, as containerd of this version does.

    Files are taken breadth first, each once; later ones win. containerd 1.x replaces whole plugin sections, 2.x merges
    tables by key (cmd/containerd/server/config: LoadConfig, mergeConfig; asked of 2.4.2 by `containerd config dump`).

    Raises:
        UnreadableConfiguration: a file can't be read or understood; containerd itself would not start with some of it.
    """
    pending, loaded = [path], set[str]()
    merged: dict[str, Any] = {}
    ignored = ""
    main_version = 0
    while pending:
        current = pending.pop(0)
        if current in loaded:
            continue
        loaded.add(current)
        if len(loaded) > _MAXIMUM_FILES:
            raise UnreadableConfiguration(f"{path} imports more than {_MAXIMUM_FILES} files")
        content = _load(current, read)
        if content is None:
            if current == path:
                return ContainerdConfiguration(path, present=False, version=3 if version >= (2, 0, 0) else 2)
            raise UnreadableConfiguration(f"{current} does not exist, and {path} imports it")
        file_version = _integer(content.get("version"), 1)
        main_version = main_version or file_version
        section, unread = _images_section(content, file_version, version)
        ignored = ignored or unread
        if section is not None:
            merged = _merge(merged, section) if version >= (2, 0, 0) else section
        pending += _imports(current, content, glob)
    return _summarise(path, main_version, merged, ignored)


def splits_list(configuration: ContainerdConfiguration, version: Version) -> bool:
    """Say whether a `config_path` with colons is taken for a list.

    It is by 1.x, 2.0 and every local pull. The transfer service, the default from 2.1 on, takes it for the name of one
    folder (containerd issue 12415; so in 2.1 to 2.4).
    """
    return version < (2, 1, 0) or configuration.local_pull


def effective_path(configuration: ContainerdConfiguration, version: Version) -> str:
    """Return the `config_path` that containerd works with; empty where it reads no certificate directory."""
    if configuration.config_path:
        return configuration.config_path
    return DEFAULT_PATH if version >= (2, 2, 0) and not configuration.mirrors else ""


def lines_to_add(configuration: ContainerdConfiguration, version: Version, root: str) -> str:
    """Return the lines that make containerd read `root`, for the file as it is, and the one restart."""
    old = version < (2, 0, 0) or (configuration.present and configuration.version < _V3)
    if old and configuration.present and configuration.version < _V2:
        section = "[plugins.cri.registry]"
    else:
        section = f'[plugins."{OLD_PLUGIN if old else NEW_PLUGIN}".registry]'
    head = "" if configuration.present else f"version = {2 if old else 3}\n"
    return (
        f'{head}{section}\n  config_path = "{root}"\n'
        f"in {configuration.path} (in that table, if the file has it), then once: systemctl restart containerd"
    )


def _load(path: str, read: Read) -> dict[str, Any] | None:
    data = read(path)
    if data is None:
        return None
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnreadableConfiguration(f"{path} is no valid TOML: {error}") from error


def _imports(parent: str, content: Mapping[str, Any], glob: Glob) -> list[str]:
    found: list[str] = []
    imports = content.get("imports", [])
    for pattern in imports if isinstance(imports, list) else []:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(parent), str(pattern)))
        found += glob(path) if "*" in path else [path]
    return found


def _images_section(
    content: Mapping[str, Any], file_version: int, version: Version
) -> tuple[dict[str, Any] | None, str]:
    """Return the image settings of one file, in the shape of configuration version 3, and a `config_path` not read."""
    plugins = _table(content, "plugins")
    old = plugins.get("cri") if file_version < _V2 else plugins.get(OLD_PLUGIN)
    new = plugins.get(NEW_PLUGIN)
    if version < (2, 0, 0):
        return (_from_old(old, whole=True) if isinstance(old, dict) else None), _config_path(new)
    # containerd 2.3 introduced format version 4, and with it the migration runs for files of version 3, too.
    migrated = file_version < _V3 or version >= (2, 3, 0)
    section: dict[str, Any] | None = dict(new) if isinstance(new, dict) else None
    if isinstance(old, dict) and migrated and file_version < _V4:
        section = {**(section or {}), **_from_old(old, whole=False)}
        return section, ""
    return section, _config_path(old)


def _from_old(old: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """Return the new section that an old one stands for.

    containerd 2.x moves the snapshotter's options only where `containerd.runtimes` is there (plugins/cri/images).
    """
    section = {key: old[key] for key in _MOVED if key in old}
    snapshots = _table(old, "containerd")
    if whole or "runtimes" in snapshots:
        section |= {key: snapshots[key] for key in _MOVED_SNAPSHOTS if key in snapshots}
    return section


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = _merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _summarise(path: str, file_version: int, images: Mapping[str, Any], ignored: str) -> ContainerdConfiguration:
    registry = _table(images, "registry")
    mirrors, configs, auths = (bool(_table(registry, key)) for key in ("mirrors", "configs", "auths"))
    return ContainerdConfiguration(
        path=path,
        present=True,
        version=file_version,
        config_path=_text(registry.get("config_path")),
        mirrors=mirrors,
        # internal/cri/config: CheckLocalImagePullConfigs
        local_pull=any(
            (
                images.get("use_local_image_pull") is True,
                images.get("disable_snapshot_annotations") is False,
                images.get("discard_unpacked_layers") is True,
                mirrors or configs or auths,
                _integer(images.get("max_concurrent_downloads"), _DEFAULT_DOWNLOADS) != _DEFAULT_DOWNLOADS,
                images.get("image_pull_with_sync_fs") is True,
            )
        ),
        ignored_path=ignored,
    )


def _config_path(section: object) -> str:
    return _text(_table(_table({"x": section}, "x"), "registry").get("config_path"))


def _table(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _integer(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
