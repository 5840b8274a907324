"""registries.conf: where containers-image (CRI-O, Podman) goes for a registry, and whether it verifies it there.

Read in go.podman.io/image v5.42 and storage v1.65; the tests ask that library.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from registry_trust.agent.runtime.configuration_files import Glob, Read, UnreadableConfiguration
from registry_trust.core.toml_text import loads

FOLDERS = ("/root/.config/containers", "/etc/containers", "/usr/share/containers")
"""Where root's configuration is looked for, the first wins (go.podman.io/storage v1.65 pkg/configfile)."""

_NAME = "registries.conf"
_ROOTFUL = "registries.rootful.conf"
_PULL_FROM_MIRROR = ("", "all", "digest-only", "tag-only")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place to pull from: `host[:port][/path]`, empty for the reference's own; and whether it is not verified."""

    location: str
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One `[[registry]]` of a file: for references of this prefix, the mirrors are asked first, then the endpoint."""

    path: str
    prefix: str
    endpoint: Endpoint
    mirrors: tuple[Endpoint, ...] = ()

    def leads_to(self, endpoint: Endpoint, registry: str) -> str:
        """Return the registry, whose certificate directory is used, to which an endpoint leads for this one's images.

        The location replaces the prefix and the rest stays, so a port that only the reference has is kept.
        """
        if not endpoint.location:
            return registry
        length = _matched(registry, self.prefix)
        rest = registry[length:] if length >= 0 else ""
        return (endpoint.location + rest).partition("/")[0]


@dataclass(frozen=True, slots=True)
class RegistriesConf:
    """Every entry that counts, by prefix."""

    entries: tuple[Entry, ...] = ()

    def find(self, reference: str) -> Entry | None:
        """Return the entry with the longest prefix of a registry or repository (sysregistriesv2.FindRegistry)."""
        matching = [entry for entry in self.entries if _matched(reference, entry.prefix) >= 0]
        return max(matching, key=lambda entry: len(entry.prefix), default=None)


def read_configuration(mounted: Callable[[str], bool], read: Read, glob: Glob) -> RegistriesConf:
    """Read the first main file and all drop-ins, as containers-image v5.42 does for root.

    Drop-ins come in the order of their names; of one name that of the earlier directory counts. An entry replaces an
    earlier file's of the same prefix as a whole.

    Args:
        mounted: whether what is in a directory of the host can be looked at; others are taken for empty.
        read: returns a file's content, None if there is none.
        glob: returns the paths that match, sorted.

    Raises:
        UnreadableConfiguration: the library would refuse one of the files, too.
    """
    folders = [folder for folder in FOLDERS if mounted(folder)]
    main = next((path for folder in folders if read(path := f"{folder}/{_NAME}") is not None), None)
    dropped: dict[str, str] = {}
    for folder in folders:
        for directory in (f"{_ROOTFUL}.d", f"{_NAME}.d"):
            if directory.startswith(_ROOTFUL) and folder == FOLDERS[0]:
                continue
            for path in [*glob(f"{folder}/{directory}/*.conf"), *glob(f"{folder}/{directory}/.*.conf")]:
                dropped.setdefault(posixpath.basename(path), path)
    entries: dict[str, Entry] = {}
    for path in [*([main] if main else []), *(dropped[name] for name in sorted(dropped))]:
        data = read(path)
        if data is not None:
            entries.update({entry.prefix: entry for entry in _file(path, data)})
    return RegistriesConf(tuple(entries[prefix] for prefix in sorted(entries)))


def _file(path: str, data: bytes) -> Iterable[Entry]:
    try:
        document = loads(data.decode())
    except ValueError as error:
        raise UnreadableConfiguration(f"{path} is not valid TOML: {error}") from error
    if any(_get(_table(path, document, "registries"), key) for key in ("search", "insecure", "block")):
        raise UnreadableConfiguration(f"{path} has the format of version 1, which current CRI-O and Podman refuse")
    found: dict[str, Entry] = {}
    flags: dict[str, tuple[bool, bool]] = {}
    for table in _tables(path, document, "registry"):
        entry = _entry(path, table)
        place = entry.endpoint.location or entry.prefix
        flag = (entry.endpoint.insecure, _boolean(path, table, "blocked"))
        if flags.setdefault(place, flag) != flag:
            raise UnreadableConfiguration(f"{path} names {place} twice, with different values of insecure or blocked")
        found.setdefault(entry.prefix, entry)
    return found.values()


def _entry(path: str, table: Mapping[str, object]) -> Entry:
    location = _location(path, table, "location")
    prefix = _location(path, table, "prefix") or location
    wildcard = prefix.startswith("*.")
    if not prefix or (not location and not wildcard):
        raise UnreadableConfiguration(f"{path} has a registry without a location")
    if wildcard and set(prefix) & set("/@:"):
        raise UnreadableConfiguration(f"{path} has the prefix {prefix}; a wildcard takes no path and no port")
    if _string(path, table, "pull-from-mirror"):
        raise UnreadableConfiguration(f"{path} sets pull-from-mirror for {prefix}; it belongs in a mirror")
    by_digest = _boolean(path, table, "mirror-by-digest-only")
    mirrors = []
    for mirror in _tables(path, table, "mirror"):
        restriction = _string(path, mirror, "pull-from-mirror")
        place = _location(path, mirror, "location")
        if not place or restriction not in _PULL_FROM_MIRROR or (by_digest and restriction):
            raise UnreadableConfiguration(f"{path} has a mirror of {prefix} that can't be used")
        mirrors.append(Endpoint(place, _boolean(path, mirror, "insecure")))
    return Entry(path, prefix, Endpoint(location, _boolean(path, table, "insecure")), tuple(mirrors))


def _matched(reference: str, prefix: str) -> int:
    """Return how many characters of a reference a prefix stands for; -1 if it is not the reference's."""
    length = len(prefix)
    if prefix.startswith("*."):
        head, found, _ = reference.partition(prefix[1:])
        if not found or "/" in head:
            return -1
        length = len(head) + len(found)
    elif not reference.startswith(prefix):
        return -1
    # A colon, too: the prefix of a host without a port is that of the host with any port.
    return length if reference[length : length + 1] in ("", ":", "/", "@") else -1


def _location(path: str, table: Mapping[str, object], key: str) -> str:
    text = _string(path, table, key).rstrip("/")
    if text.startswith(("http://", "https://")):
        raise UnreadableConfiguration(f"{path} has a scheme in {key} = {text}")
    return text


def _get(table: Mapping[str, object], key: str) -> object:
    """Return a value by its key; the library's decoder takes keys in any case."""
    return table.get(key, next((value for name, value in table.items() if name.lower() == key), None))


def _string(path: str, table: Mapping[str, object], key: str) -> str:
    value = _get(table, key)
    if value is None or isinstance(value, str):
        return value or ""
    raise UnreadableConfiguration(f"{path}: {key} is not a string")


def _boolean(path: str, table: Mapping[str, object], key: str) -> bool:
    value = _get(table, key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise UnreadableConfiguration(f"{path}: {key} is not true or false")


def _table(path: str, table: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = _get(table, key)
    if value is None or isinstance(value, dict):
        return value or {}
    raise UnreadableConfiguration(f"{path}: {key} is not a table")


def _tables(path: str, table: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    value = _get(table, key)
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        return value
    raise UnreadableConfiguration(f"{path}: {key} is not a list of tables")
