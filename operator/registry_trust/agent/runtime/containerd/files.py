"""containerd's files: the main one and all that it imports, in the order in which containerd reads them.

The tests ask containerd 1.6.36, 1.7.35, 2.0.14, 2.1.9, 2.2.9, 2.3.4 and 2.4.2.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry_trust.agent.runtime.configuration_files import Glob, Read, UnreadableConfiguration
from registry_trust.core.toml_text import loads

_MAXIMUM_FILES = 200
_NAMES = ("version", "imports", "plugins", "disabled_plugins", "required_plugins")


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """One file: its path on the host, its text, and what that says; `version` is 0 if the file names none."""

    path: str
    text: str
    version: int
    plugins: Mapping[str, Any]
    disabled: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


def load(path: str, read: Read, glob: Glob) -> tuple[ConfigurationFile, ...]:
    """Return the main file and what it imports, breadth first, each once; nothing if there is no main file.

    Every version resolves imports alike (cmd/containerd/server/config, 1.x: services/server/config: LoadConfig).

    Raises:
        UnreadableConfiguration: a file can't be read or understood; containerd would not start with most of these.
    """
    pending, loaded = [path], dict[str, ConfigurationFile]()
    while pending:
        current = pending.pop(0)
        if current in loaded:
            continue
        if len(loaded) == _MAXIMUM_FILES:
            raise UnreadableConfiguration(f"{path} imports more than {_MAXIMUM_FILES} files")
        data = read(current)
        if data is None:
            if not loaded:
                return ()
            raise UnreadableConfiguration(f"{current} does not exist, and {path} imports it")
        try:
            file = parse(current, data.decode())
        except UnicodeDecodeError as error:
            raise UnreadableConfiguration(f"{current} is not valid TOML: {error}") from error
        loaded[current] = file
        pending += _imports(current, file.imports, glob)
    return tuple(loaded.values())


def parse(path: str, text: str) -> ConfigurationFile:
    """Return what the text of a file says.

    Raises:
        UnreadableConfiguration: it is not TOML, or has values of other types than containerd takes.
    """
    try:
        content = loads(text)
    except ValueError as error:
        raise UnreadableConfiguration(f"{path} is not valid TOML: {error}") from error
    refuse_other_letters(path, content, _NAMES)
    version = content.get("version", 0)
    if type(version) is not int or version < 0:
        raise UnreadableConfiguration(f"{path}: version is not a number of containerd's formats")
    plugins = content.get("plugins", {})
    if not isinstance(plugins, dict) or not all(isinstance(each, dict) for each in plugins.values()):
        raise UnreadableConfiguration(f"{path}: plugins is not a table of tables, and containerd does not start")
    disabled, required, imports = (
        _texts(path, name, content.get(name, [])) for name in ("disabled_plugins", "required_plugins", "imports")
    )
    return ConfigurationFile(path, text, version, plugins, disabled, required, imports)


def refuse_other_letters(path: str, table: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Refuse a known name in other letters: containerd's versions differ in which of those they take for it.

    Raises:
        UnreadableConfiguration: `Version` instead of `version`, and the like.
    """
    for key in table:
        if key not in names and key.lower() in names:
            raise UnreadableConfiguration(f"{path} says {key}; write {key.lower()}, so every containerd reads it")


def _texts(path: str, name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UnreadableConfiguration(f"{path}: {name} is not a list of strings, and containerd does not start")
    return tuple(value)


def _imports(parent: str, imports: tuple[str, ...], glob: Glob) -> list[str]:
    found: list[str] = []
    for pattern in imports:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(parent), posixpath.normpath(pattern)))
        path = f"/{path.lstrip('/')}"
        found += glob(path) if "*" in path else [path]
    return found
