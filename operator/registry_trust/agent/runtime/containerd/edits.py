"""Edits: changes of containerd's files that make it read a root, each tried here by this module's own reading of them.

The tests carry each one out on a started containerd 1.6.36, 1.7.35, 2.0.14, 2.1.9, 2.2.9, 2.3.4 or 2.4.2.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from registry_trust.agent.runtime.configuration_files import UnreadableConfiguration
from registry_trust.agent.runtime.containerd.configuration import (
    NEW_PLUGIN,
    OLD_PLUGIN,
    SHORT_PLUGIN,
    ContainerdConfiguration,
    effective_path,
    interpret,
)
from registry_trust.agent.runtime.containerd.files import ConfigurationFile, parse
from registry_trust.agent.runtime.node import Version

DROP_IN = "99-registry-trust.toml"
"""Read last in its directory, unless another name there begins with more."""


_PLAIN = re.compile(r"[A-Za-z0-9/._-]+")
"""Paths that may be printed for somebody to type: names come from the node's files and directories."""


class Where(StrEnum):
    """Where the lines of an edit go, in words before the name of the file."""

    END = "at the end of"
    TABLE = "in the table"
    INSTEAD = "instead of the config_path in the table"
    NEW = "in a new file"


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines that set `config_path`, and where they go.

    Attributes:
        version: of the format that the lines begin with; 0 if they go into a file that has lines already.
    """

    path: str
    plugin: str
    root: str
    where: Where
    version: int = 0

    @property
    def table(self) -> str:
        """The header of the table."""
        quote = "" if self.plugin == SHORT_PLUGIN else '"'
        return f"[plugins.{quote}{self.plugin}{quote}.registry]"

    @property
    def setting(self) -> str:
        """The line that counts."""
        return f'config_path = "{self.root}"'

    def lines(self) -> str:
        """Return the lines, each with its end."""
        if self.where in (Where.TABLE, Where.INSTEAD):
            return f"{self.setting}\n"
        head = f"version = {self.version}\n" if self.version else ""
        return f"{head}{self.table}\n  {self.setting}\n"

    def place(self) -> str:
        """Return where they go, in words."""
        table = f" {self.table} of" if self.where in (Where.TABLE, Where.INSTEAD) else ""
        return f"{self.where}{table} {self.path}"

    def words(self, afterwards: str) -> str:
        """Return lines, place and what puts them in force."""
        return f"{self.lines()}{self.place()}{afterwards}"


def find_edit(configuration: ContainerdConfiguration, version: Version, root: str) -> Edit | None:
    """Return an edit of the files as they are, the main file first; None if none is known.

    With it, all files come to `root`, and the CRI plugin loads.
    """
    for file, plugin in _places(configuration, version):
        if not _PLAIN.fullmatch(file.path):
            continue
        newest = file.version if not file.text and not configuration.present else 0
        end = Edit(file.path, plugin, root, Where.END, newest)
        newline = "" if file.text.endswith("\n") or not file.text else "\n"
        if _reads(configuration, version, root, file.path, f"{file.text}{newline}{end.lines()}"):
            return end
        text, had = _set_in_table(file.text, plugin, f"  {end.setting}")
        if _reads(configuration, version, root, file.path, text):
            return replace(end, where=Where.INSTEAD if had else Where.TABLE, version=0)
    return None


def find_drop_in(configuration: ContainerdConfiguration, version: Version, root: str) -> Edit | None:
    """Return an edit by a new file that the main file imports; None if none helps.

    Only for containerd 2: 1.x lets a file's section replace that of the others, with all that is in it.
    """
    if version < (2, 0, 0) or not configuration.files:
        return None
    main = configuration.files[0]
    plugin = NEW_PLUGIN if main.version > 2 else OLD_PLUGIN
    for pattern in main.imports:
        folder, name = posixpath.split(posixpath.normpath(posixpath.join(posixpath.dirname(main.path), pattern)))
        # What is below /run does not outlive a boot.
        if name == "*.toml" and _PLAIN.fullmatch(folder) and not folder.startswith("/run/"):
            edit = Edit(f"{folder}/{DROP_IN}", plugin, root, Where.NEW, main.version or 2)
            if _reads(configuration, version, root, edit.path, edit.lines()):
                return edit
    return None


def _places(configuration: ContainerdConfiguration, version: Version) -> Iterator[tuple[ConfigurationFile, str]]:
    """Yield where a line may go: the main file first, then what is read last."""
    files = configuration.files
    if not files:
        newest = version >= (2, 0, 0)
        absent = ConfigurationFile(configuration.path, "", 3 if newest else 2, {})
        yield absent, NEW_PLUGIN if newest else OLD_PLUGIN
        return
    for file in (files[0], *reversed(files[1:])):
        names = (NEW_PLUGIN, OLD_PLUGIN) if file.version > 2 else (OLD_PLUGIN, NEW_PLUGIN)
        for plugin in (SHORT_PLUGIN, *names) if file.version < 2 else names:
            yield file, plugin


def _reads(configuration: ContainerdConfiguration, version: Version, root: str, path: str, text: str) -> bool:
    try:
        changed = parse(path, text)
        files = _with(configuration.files, changed)
        found = interpret(configuration.path, tuple(_without_what_refuses(each) for each in files), version)
    except UnreadableConfiguration:
        return False
    return effective_path(found, version) == root and not found.refusal()


def _with(files: tuple[ConfigurationFile, ...], changed: ConfigurationFile) -> list[ConfigurationFile]:
    """Return the files with one of them changed, or with a new one where containerd reads it: by its name."""
    if any(each.path == changed.path for each in files):
        return [changed if each.path == changed.path else each for each in files]
    folder = posixpath.dirname(changed.path)
    later = [n for n, each in enumerate(files) if posixpath.dirname(each.path) == folder and each.path > changed.path]
    at = later[0] if later and later[0] else len(files)
    return [*files[:at], changed, *files[at:]]


def _without_what_refuses(file: ConfigurationFile) -> ConfigurationFile:
    """Take away what the message asks to be removed first: mirrors, and TLS settings of single registries."""
    plugins = dict(file.plugins)
    for name in {SHORT_PLUGIN, OLD_PLUGIN, NEW_PLUGIN} & plugins.keys():
        registry = {key: value for key, value in plugins[name].get("registry", {}).items() if key != "mirrors"}
        configs = registry.get("configs", {})
        if configs:
            registry["configs"] = {
                host: {key: value for key, value in each.items() if key != "tls"} for host, each in configs.items()
            }
        plugins[name] = plugins[name] | ({"registry": registry} if registry else {})
        if not registry:
            plugins[name] = {key: value for key, value in plugins[name].items() if key != "registry"}
    return replace(file, plugins=plugins)


def _set_in_table(text: str, plugin: str, line: str) -> tuple[str, bool]:
    """Return the text with the line in that table, and whether it took the place of a `config_path` there."""
    header = re.compile(rf"""^\s*\[\s*plugins\s*\.\s*["']?{re.escape(plugin)}["']?\s*\.\s*registry\s*\]\s*(#.*)?$""")
    result, inside, had = [], False, False
    for each in text.splitlines():
        if each.lstrip().startswith("["):
            inside = bool(header.match(each))
            result += [each, line] if inside else [each]
        elif inside and re.match(r"""\s*["']?config_path["']?\s*=""", each):
            had = True
        else:
            result.append(each)
    return "\n".join(result) + "\n", had
