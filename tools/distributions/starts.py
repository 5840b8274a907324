"""Starts: what distributions that write containerd's main file themselves do to their files at each start; pure."""

from __future__ import annotations

import json
import posixpath
import tomllib
from collections.abc import Mapping
from typing import Any

from tools.distributions.configurations import SNAP, rancher
from tools.distributions.shape import Shape, Start

SPECIFICATION = "/specification.json"
"""Where a host keeps what the cluster's specification adds (kOps' configAdditions), outside the host's own paths."""
_CRI = "io.containerd.grpc.v1.cri"
_ITS_OWN = '{{ template "base" . }}'


def started(shape: Shape, version: str, files: Mapping[str, str], default: str) -> dict[str, str]:
    """Return what a start of the distribution writes, by path on the host.

    Args:
        shape: the node's.
        version: of containerd, such as "1.7".
        files: what is on the host, by path.
        default: what this containerd prints as its default configuration.
    """
    if shape.start is Start.TEMPLATE:
        folder, old = posixpath.dirname(shape.main), version < "2"
        base = rancher(folder, 2 if old else 3)
        template = files.get(f"{folder}/{'config.toml.tmpl' if old else 'config-v3.toml.tmpl'}", _ITS_OWN)
        return {shape.main: template.replace(_ITS_OWN, base)}
    if shape.start is Start.SNAP:
        template = files[f"{SNAP}/args/containerd-template.toml"]
        return {shape.main: template.replace("${SNAP_DATA}", SNAP)}
    if shape.start is Start.MERGE:
        return _merge(files, default)
    if shape.start is Start.SPECIFICATION:
        document = tomllib.loads(shape.files[shape.main])
        for key, value in json.loads(files.get(SPECIFICATION, "{}")).items():
            _set(document, list(_parts(key)), value)
        return {shape.main: as_toml(document)}
    return {}


def _merge(files: Mapping[str, str], default: str) -> dict[str, str]:
    """As k0s does up to 1.35: drop-ins with a CRI section are patches of its own one; the others are imported."""
    whole = {"version": 2, "plugins": {_CRI: tomllib.loads(default)["plugins"][_CRI]}}
    imports = []
    for path, text in sorted(files.items()):
        if posixpath.dirname(path) == "/etc/k0s/containerd.d" and path.endswith(".toml"):
            drop_in = tomllib.loads(text)
            if _CRI in drop_in.get("plugins", {}):
                whole = _patched(whole, drop_in)
            else:
                imports.append(path)
    main = {"version": 2, "imports": [*imports, "/run/k0s/containerd-cri.toml"]}
    return {"/run/k0s/containerd-cri.toml": as_toml(whole), "/etc/k0s/containerd.toml": as_toml(main)}


def _patched(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    both = {key: (base[key], value) for key, value in patch.items() if key in base}
    nested = {key: _patched(*pair) for key, pair in both.items() if all(isinstance(each, Mapping) for each in pair)}
    return {**base, **patch, **nested}


def _parts(key: str) -> list[str]:
    """Return the parts of a dotted key, of which one may be in quotes."""
    before, _, rest = key.partition('"')
    quoted, _, after = rest.partition('"')
    return [*before.strip(".").split("."), quoted, *after.strip(".").split(".")]


def _set(table: dict[str, Any], parts: list[str], value: object) -> None:
    for part in parts[:-1]:
        table = table.setdefault(part, {})
    table[parts[-1]] = value


def as_toml(table: Mapping[str, Any], at: str = "") -> str:
    """Return a document as TOML: tables, and values that are the same in JSON."""
    lines, tables = [], []
    for key, value in table.items():
        if isinstance(value, Mapping):
            name = f"{at}.{_key(key)}" if at else _key(key)
            tables.append(f"[{name}]\n{as_toml(value, name)}")
        else:
            lines.append(f"{_key(key)} = {json.dumps(value)}\n")
    return "".join([*lines, *tables])


def _key(name: str) -> str:
    return name if name.replace("-", "_").isidentifier() else json.dumps(name)
