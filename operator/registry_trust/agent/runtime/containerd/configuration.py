"""containerd's configuration: which certificate directories its CRI plugin reads, by the rules of each version.

The tests ask containerd 1.6.36, 1.7.35, 2.0.14, 2.1.9, 2.2.9, 2.3.4 and 2.4.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from registry_trust.agent.runtime.configuration_files import Glob, Read, UnreadableConfiguration
from registry_trust.agent.runtime.containerd.files import ConfigurationFile, load, refuse_other_letters
from registry_trust.agent.runtime.node import Version

SHORT_PLUGIN = "cri"
"""The CRI plugin's section in files of format 1, or without a version."""
OLD_PLUGIN = "io.containerd.grpc.v1.cri"
"""The section in format 2."""
NEW_PLUGIN = "io.containerd.cri.v1.images"
"""The section from format 3 (containerd 2.0) on."""

DEFAULT_PATH = "/etc/containerd/certs.d:/etc/docker/certs.d"
"""`config_path` of containerd >= 2.2 on Linux if it and `mirrors` are empty (plugins/cri/images/plugin.go)."""

_V2, _V3, _V4 = 2, 3, 4
"""Versions of the configuration's format."""
_PARTS = 4
"""Of a plugin's name such as io.containerd.grpc.v1.cri, at least."""
_DEFAULT_DOWNLOADS = 3
_MOVED = ("registry", "max_concurrent_downloads", "image_pull_with_sync_fs")
_MOVED_SNAPSHOTS = ("disable_snapshot_annotations", "discard_unpacked_layers")
_TABLES = ("mirrors", "configs", "auths")
_NEEDED = frozenset({OLD_PLUGIN, NEW_PLUGIN, "io.containerd.cri.v1.runtime"})
_TYPES: Mapping[str, type] = {
    "registry": dict,
    "containerd": dict,
    "max_concurrent_downloads": int,
    "image_pull_with_sync_fs": bool,
    "disable_snapshot_annotations": bool,
    "discard_unpacked_layers": bool,
    "use_local_image_pull": bool,
}
_REGISTRY_TYPES: Mapping[str, type] = {"config_path": str} | dict.fromkeys(_TABLES, dict)


@dataclass(frozen=True, slots=True)
class ContainerdConfiguration:
    """What matters of containerd's configuration.

    Attributes:
        path: the main file; `present` says whether it exists (containerd runs without one).
        version: of the main file's format.
        config_path: as configured, empty if it is not.
        mirrors: `registry.mirrors` is set, with which `config_path` has no default.
        tls_hosts: the hosts with `registry.configs.HOST.tls`, which only 1.x knows.
        local_pull: an option is set by which containerd 2.1 and later pull without the transfer service.
        ignored_path: a `config_path` that stands in a file, and does not count for this containerd.
        files: what all of it was read from.
    """

    path: str
    present: bool
    version: int
    config_path: str = ""
    mirrors: bool = False
    local_pull: bool = False
    ignored_path: str = ""
    tls_hosts: tuple[str, ...] = ()
    files: tuple[ConfigurationFile, ...] = field(default=(), repr=False)

    def refusal(self) -> str:
        """Return what makes the CRI plugin refuse to load; empty if nothing does."""
        if not self.config_path:
            return ""
        if self.mirrors:
            return "registry.mirrors"
        return "registry.configs.*.tls" if self.tls_hosts else ""


def read_configuration(path: str, version: Version, read: Read, glob: Glob) -> ContainerdConfiguration:
    """Read the main file and everything that it imports, as containerd of this version does.

    Raises:
        UnreadableConfiguration: a file can't be read or understood, or containerd would not start with them.
    """
    return interpret(path, load(path, read, glob), version)


def interpret(path: str, files: tuple[ConfigurationFile, ...], version: Version) -> ContainerdConfiguration:
    """Return what containerd of this version makes of its files.

    1.x replaces whole plugin sections, and one version decides for all files. 2.0 to 2.2 merge tables by key, and the
    version of the whole decides whether the old section is moved. From 2.3 on each file is moved by itself, then
    merged. (cmd/containerd/server/config: LoadConfig, mergeConfig; asked of 1.6.36 to 2.4.2 by the tests.)

    Raises:
        UnreadableConfiguration: containerd would not start with these files.
    """
    if not files:
        return ContainerdConfiguration(path, present=False, version=_V3 if version >= (2, 0, 0) else _V2)
    for file in files:
        _check_sections(file)
    if version < (2, 0, 0):
        images = _replaced(files, version)
    elif version < (2, 3, 0):
        images = _merged(files)
    else:
        images = _moved_each(files, version)
    return _summarise(path, files, images, version)


def splits_list(configuration: ContainerdConfiguration, version: Version) -> bool:
    """Say whether a `config_path` with colons is taken for a list.

    It is by 1.x, 2.0 and every local pull. The transfer service, the default from 2.1 on, takes it for the name of one
    directory (containerd issue 12415; so in 2.1 to 2.4).
    """
    return version < (2, 1, 0) or configuration.local_pull


def effective_path(configuration: ContainerdConfiguration, version: Version) -> str:
    """Return the `config_path` that containerd works with; empty if it reads no certificate directory."""
    if configuration.config_path:
        return configuration.config_path
    return DEFAULT_PATH if version >= (2, 2, 0) and not configuration.mirrors else ""


def effective(configuration: ContainerdConfiguration | str | None, version: Version | None) -> object:
    """Return what containerd makes of its files, so that a change of anything else in them is none."""
    if not isinstance(configuration, ContainerdConfiguration) or version is None:
        return configuration
    return effective_path(configuration, version), splits_list(configuration, version), configuration.mirrors


def _replaced(files: Iterable[ConfigurationFile], version: Version) -> Mapping[str, Any]:
    plugins: dict[str, Any] = {}
    names: list[str] = []
    decides = 1
    for file in files:
        plugins.update(file.plugins)
        decides = file.version or decides
        names += [*file.disabled, *file.required]
        if decides > _V2:
            last = file
    if decides > _V2:
        raise UnreadableConfiguration(f"{last.path} has version {decides}, and containerd 1.x supports 2 at most")
    if decides == _V2:
        for name in (*plugins, *names):
            known = version < (1, 7, 0) or name.startswith("io.containerd.")
            if name.count(".") < _PARTS - 1 or not known:
                raise UnreadableConfiguration(
                    f'"{name}" is not a plugin\'s name in version 2, and containerd does not start with it; '
                    f'the CRI plugin is "{OLD_PLUGIN}"'
                )
    section = SHORT_PLUGIN if decides < _V2 else OLD_PLUGIN
    _refuse_disabled(files, {section})
    old = plugins.get(section, {})
    _refuse_lost_runtime(old.get("containerd", {}))
    return _from_old(old, whole=True)


def _refuse_lost_runtime(settings: Mapping[str, Any]) -> None:
    """Refuse runtimes without the default one: in 1.x a table of runtimes replaces the built-in runc."""
    name = "default" if settings.get("default_runtime") else settings.get("default_runtime_name", "runc")
    runtimes = settings.get("runtimes", {})
    if runtimes and name != "default" and name not in runtimes:
        raise UnreadableConfiguration(
            f'containerd.runtimes lacks the default runtime "{name}", and without it containerd\'s CRI plugin does not '
            "load; add it next to the others"
        )


def _merged(files: Iterable[ConfigurationFile]) -> Mapping[str, Any]:
    merged: dict[str, Any] = {}
    decides = _V3
    for file in files:
        if file.version >= _V2:
            decides = file.version
        elif decides > _V3:
            break  # containerd stumbles over this file
        merged = _merge(merged, _renamed(file))
        _refuse_short_names(file)
    if decides > _V3:
        raise UnreadableConfiguration(f"version {decides} is more than the 3 that containerd 2.0 to 2.2 support")
    _refuse_disabled(files, _NEEDED)
    images: Mapping[str, Any] = merged.get(NEW_PLUGIN, {})
    return images if decides >= _V3 else {**images, **_from_old(merged.get(OLD_PLUGIN, {}), whole=False)}


def _moved_each(files: tuple[ConfigurationFile, ...], version: Version) -> Mapping[str, Any]:
    merged: dict[str, Any] = {}
    first = 0
    for file in files:
        first = first or file.version
        if version < (2, 3, 5) and file.version > first:
            raise UnreadableConfiguration(
                f"{file.path} has version {file.version}, more than the {first} of {files[0].path}, and containerd "
                f"2.3.0 to 2.3.4 do not start with that; write it in format {first}, or update containerd"
            )
        if file.version > _V4:
            raise UnreadableConfiguration(f"{file.path} has version {file.version}, which containerd does not know")
        _refuse_short_names(file)
        plugins = _renamed(file)
        images = plugins.get(NEW_PLUGIN, {})
        if file.version < _V4:
            images = images | _from_old(plugins.get(OLD_PLUGIN, {}), whole=False)
        merged = _merge(merged, images)
    _refuse_disabled(files, _NEEDED)
    return merged


def _renamed(file: ConfigurationFile) -> Mapping[str, Any]:
    if file.version >= _V2 or SHORT_PLUGIN not in file.plugins:
        return file.plugins
    if OLD_PLUGIN in file.plugins:
        raise UnreadableConfiguration(f'{file.path} has both [plugins.cri] and [plugins."{OLD_PLUGIN}"]; keep one')
    return {OLD_PLUGIN if name == SHORT_PLUGIN else name: table for name, table in file.plugins.items()}


def _refuse_short_names(file: ConfigurationFile) -> None:
    short = next((name for name in (*file.disabled, *file.required) if "." not in name), "")
    if short and file.version >= _V2:
        raise UnreadableConfiguration(f'{file.path} lists the plugin "{short}", and containerd requires its full name')


def _refuse_disabled(files: Iterable[ConfigurationFile], names: Iterable[str]) -> None:
    for file in files:
        listed = {OLD_PLUGIN if name == SHORT_PLUGIN and OLD_PLUGIN in names else name for name in file.disabled}
        if not listed.isdisjoint(names):
            raise UnreadableConfiguration(
                f"{file.path} disables the CRI plugin, which a node needs, so containerd works with another file: "
                "name that one (chart value agent.containerdConfig, option --containerd-config)"
            )


def _from_old(old: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """Return the new section that an old one stands for.

    containerd 2.x moves the snapshotter's options only if `containerd.runtimes` is there (plugins/cri/images).
    """
    section = {key: old[key] for key in _MOVED if key in old}
    snapshots = old.get("containerd", {})
    if whole or "runtimes" in snapshots:
        section |= {key: snapshots[key] for key in _MOVED_SNAPSHOTS if key in snapshots}
    return section


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = _merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _check_sections(file: ConfigurationFile) -> None:
    for name in (SHORT_PLUGIN, OLD_PLUGIN, NEW_PLUGIN):
        section = file.plugins.get(name, {})
        _check_types(file.path, section, _TYPES)
        registry = section.get("registry", {})
        _check_types(file.path, section.get("containerd", {}), _TYPES)
        _check_types(file.path, registry, _REGISTRY_TYPES)
        for key in _TABLES:
            for each in registry.get(key, {}).values():
                _check_types(file.path, {key: each}, {key: dict})
                _check_types(file.path, each, {"tls": dict, "auth": dict, "endpoint": list})


def _check_types(path: str, table: Mapping[str, Any], types: Mapping[str, type]) -> None:
    refuse_other_letters(path, table, tuple(types))
    for key, value in table.items():
        if key in types and type(value) is not types[key]:
            raise UnreadableConfiguration(
                f"{path}: {key} has a value of the wrong type, with which containerd does not start"
            )


def _summarise(
    path: str, files: tuple[ConfigurationFile, ...], images: Mapping[str, Any], version: Version
) -> ContainerdConfiguration:
    registry = images.get("registry", {})
    mirrors, configs, auths = (bool(registry.get(key)) for key in _TABLES)
    config_path = registry.get("config_path", "")
    said = (
        _config_path(file.plugins.get(name, {})) for file in files for name in (SHORT_PLUGIN, OLD_PLUGIN, NEW_PLUGIN)
    )
    hosts = (host for host, each in registry.get("configs", {}).items() if "tls" in each)
    return ContainerdConfiguration(
        path=path,
        present=True,
        version=files[0].version or 1,
        config_path=config_path,
        mirrors=mirrors,
        # internal/cri/config: CheckLocalImagePullConfigs
        local_pull=any(
            (
                images.get("use_local_image_pull") is True,
                images.get("disable_snapshot_annotations") is False,
                images.get("discard_unpacked_layers") is True,
                mirrors or configs or auths,
                images.get("max_concurrent_downloads", _DEFAULT_DOWNLOADS) != _DEFAULT_DOWNLOADS,
                images.get("image_pull_with_sync_fs") is True,
            )
        ),
        ignored_path="" if config_path else next(filter(None, said), ""),
        tls_hosts=tuple(hosts) if version < (2, 0, 0) else (),
        files=files,
    )


def _config_path(section: Mapping[str, Any]) -> str:
    found: str = section.get("registry", {}).get("config_path", "")
    return found
