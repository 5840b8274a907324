"""A `hosts.toml` of others or of ours: read as every version of containerd reads it, or not at all, with the reason."""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Callable, Collection
from typing import Any

from registry_trust.core.carried import MARK, URL, Carried, Host, NotCarried
from registry_trust.core.layout import AUTHORITIES, CERTIFICATE, KEY
from registry_trust.core.text import quote
from registry_trust.core.toml_text import loads

HOSTS_LIMIT = 1 << 16
"""Bytes of a `hosts.toml` of others; a longer one is not used at all."""

_MOST_HOSTS = 64

_CAPABILITIES = frozenset({"pull", "resolve", "push", "referrers"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)", re.ASCII)
_LONGEST = 1_000_000.0
"""Hours of a duration that every version takes (time.ParseDuration refuses some 2.5 million)."""
_HOST_TABLE = re.compile(r"""[ \t]*\[[ \t]*(?:host|"host"|'host')[ \t]*\.""")

_AT_ROOT = "before its tables"
_WRITE_TABLES = 'Write each host as one table [host."URL"], with its header directly below'

_PathOf = Callable[[str], str]
"""From a path as it is written to the one that is carried; empty for one that is not."""


class _Unknown(Exception):
    """Something that is not carried; the arguments are why and what to do."""


def load(data: bytes) -> dict[str, Any]:
    """Return the document of a `hosts.toml`.

    Raises:
        ValueError: it is not UTF-8 or not TOML, or nobody would write it.
    """
    if len(data) > HOSTS_LIMIT:
        raise ValueError("too large")
    return loads(data.decode())


def parse(data: bytes, directory: str, *, private: bool = False) -> Carried | NotCarried:
    """Return what a `hosts.toml` in `directory` (a path on the host) says, or why it is not carried.

    Relative paths are those of the directory (containerd hosts.go, makeAbsPath).
    """
    try:
        document = load(data)
        if b'"""' in data or b"'''" in data:
            # Without them, a line that begins like the header of a table is one.
            return NotCarried("its hosts.toml has quotes of strings of several lines", "Write each string in one line")
        _require_order(data.decode(), document)
        return _carried(
            document,
            lambda path: path if path.startswith("/") else posixpath.normpath(f"{directory}/{path}"),
            private=private,
        )
    except _Unknown as error:
        why, fix = error.args
        return NotCarried(why, fix)
    except ValueError as error:
        line = re.search(r"at line ([0-9]+)", str(error))
        place = f" (line {line[1]})" if line else ""
        return NotCarried(f"its hosts.toml is not valid TOML{place} or is too large", "Correct the file")


def parse_own(data: bytes, *, private: bool) -> Carried | None:
    """Return what a `hosts.toml` of ours carries: our own paths are the relative ones, and others' are absolute."""
    if MARK.encode() not in data:
        return None  # Most have nothing, and are looked at in each pass.
    try:
        document = tomllib.loads(data.decode())  # Ours: all keys are short, and all headers in one line.
        found = _carried(document, lambda path: path if path.startswith("/") else "", private=private)
    except (ValueError, _Unknown):
        return None
    return None if found.says_nothing() else found


def from_files(names: Collection[str], directory: str) -> Carried | None:
    """Return what containerd loads from a directory without a `hosts.toml` (hosts.go, loadCertFiles).

    `names` are those of everything but directories.
    """
    ca = [f"{directory}/{name}" for name in sorted(names) if name.endswith(AUTHORITIES)]
    client = []
    for name in sorted(names):
        if name.endswith(CERTIFICATE):
            key = f"{name.removesuffix(CERTIFICATE)}{KEY}"
            client.append((f"{directory}/{name}", f"{directory}/{key if key in names else name}"))
    root = Host(ca=tuple(ca) or None, client=tuple(client) or None)
    return Carried(root) if root != Host() else None


def _carried(document: dict[str, Any], path_of: _PathOf, *, private: bool) -> Carried:
    tables = _tables(document).items()
    hosts = tuple(_host(f"in [host] table {n}", table, url, path_of) for n, (url, table) in enumerate(tables, 1))
    root = _host(_AT_ROOT, document, document.get("server", ""), path_of)
    secret = any(host.header for host in (*hosts, root))
    return Carried(root, hosts, "host" not in document, private or secret)


def _tables(document: dict[str, Any]) -> dict[str, Any]:
    tables = document.get("host", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise _Unknown("host in its hosts.toml is not made of tables", _WRITE_TABLES)
    if len(tables) > _MOST_HOSTS:
        raise _Unknown(f"its hosts.toml has more than {_MOST_HOSTS} hosts", "Remove some of them")
    return tables


def _require_order(text: str, document: dict[str, Any]) -> None:
    """Refuse a file whose hosts don't have the same order in every version of containerd.

    2.x takes the headers of tables in their order, one that comes again after another one twice, and no other way to
    write a table; 1.x sorts all tables by their lines (hosts.go, getSortedHosts).
    """
    order = [name for line in text.split("\n") if _HOST_TABLE.match(line) for name in _named_in(line)]
    if [name for before, name in zip([None, *order], order, strict=False) if name != before] != [*_tables(document)]:
        raise _Unknown("the order of the hosts in its hosts.toml depends on containerd's version", _WRITE_TABLES)


def _named_in(line: str) -> list[str]:
    try:
        return list(loads(line)["host"])
    except (ValueError, KeyError):
        return []


def _host(place: str, table: dict[str, Any], url: object, path_of: _PathOf) -> Host:
    """Return a table as a host; `_Unknown` if containerd would not take it, or not every containerd."""
    unknown = sorted(table.keys() - _KEYS - (_ROOT_KEYS if place == _AT_ROOT else set()))
    if unknown:
        raise _Unknown(
            f"its hosts.toml has the key {quote(unknown[0], 60)} {place}, and containerd knows no such key",
            "Remove the key",
        )
    if not isinstance(url, str) or not (URL.fullmatch(url) or (place == _AT_ROOT and not url)):
        # Not repeated: it may hold a password.
        raise _Unknown(
            f"its hosts.toml names a host {place} that is not a plain URL",
            "Write it as https://host:port/path; containerd uses nothing else of it",
        )
    for key, good in _KEYS.items():
        if key in table and not good(table[key]):
            raise _Unknown(f"its hosts.toml has a value for {key} {place} that containerd refuses", f"Correct {key}")
    capabilities, ca, client = table.get("capabilities"), table.get("ca"), table.get("client", [])
    header = table.get("header", {})
    paths = tuple(filter(None, map(path_of, [ca] if isinstance(ca, str) else ca or ())))
    pairs = [
        (pair, pair) if isinstance(pair, str) else pair for pair in ([client] if isinstance(client, str) else client)
    ]
    return Host(
        url,
        None if capabilities is None else tuple(capabilities),
        # An empty list turns on TLS for an http host, and means nothing elsewhere.
        paths if paths or (ca is not None and url.startswith("http://")) else None,
        tuple((path_of(one), path_of(two)) for one, two in pairs if path_of(one) and path_of(two)) or None,
        table.get("skip_verify"),
        tuple((name, (value,) if isinstance(value, str) else tuple(value)) for name, value in header.items()),
        table.get("override_path"),
        table.get("dial_timeout") or None,
    )


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_client(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str) or (_is_texts(one) and len(one) == 2) for one in value)
    return isinstance(value, str)


def _is_header(value: object) -> bool:
    return isinstance(value, dict) and all(
        _HEADER_NAME.fullmatch(name) and (isinstance(one, str) or _is_texts(one)) for name, one in value.items()
    )


def _is_duration(value: str) -> bool:
    parts = _DURATION.findall(value)
    unsigned = value[1:] if value[:1] in ("-", "+") else value
    return unsigned != "" and unsigned == "".join(map("".join, parts)) and all(float(n) < _LONGEST for n, _ in parts)


_ROOT_KEYS = {"server", "host"}
_KEYS: dict[str, Callable[[Any], bool]] = {
    "capabilities": lambda value: _is_texts(value) and all(one.lower() in _CAPABILITIES for one in value),
    "ca": lambda value: isinstance(value, str) or _is_texts(value),
    "client": _is_client,
    "skip_verify": lambda value: isinstance(value, bool),
    "header": _is_header,
    "override_path": lambda value: isinstance(value, bool),
    "dial_timeout": lambda value: isinstance(value, str) and (value in ("", "0") or _is_duration(value)),
}
"""What containerd reads of a host (2.4 hosts.go, hostFileConfig), and which values of it."""
