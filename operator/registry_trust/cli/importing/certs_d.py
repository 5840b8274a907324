"""A `certs.d` directory, or one registry's directory in it, read as the runtime of its layout reads it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from registry_trust.cli.host import layout_of
from registry_trust.cli.importing import hosts_toml
from registry_trust.cli.importing.found import Found, Gravity, Notice, Pair, Reading, Text, lost
from registry_trust.cli.importing.node_files import NodeFiles, Unreadable
from registry_trust.core import registry as registry_names
from registry_trust.core.errors import InvalidField
from registry_trust.core.layout import (
    AUTHORITIES,
    CERTIFICATE,
    ENDINGS,
    HOSTS_FILE,
    KEY,
    STORE,
    Layout,
    Reader,
    lookup_names,
)
from registry_trust.core.text import escape, listing, quote

_EVERY_REGISTRY = "_default"
_OTHERS = frozenset({"_backup", "lost+found"})
_CONTAINERD_SPELLING = re.compile(r"(.+)_([0-9]{1,5}|[0-9A-Fa-f]{0,4}\])_")
_ALMOST = re.compile(r"\.(pem|cer|der|ca|crt\.pem|CRT|CERT|KEY)$")
"""How files of certificates are called that no runtime loads."""


def read(path: str, files: NodeFiles, layout: Layout | None) -> Reading:
    """Return what is found in a directory.

    Args:
        path: of a `certs.d` directory, or of one registry's directory in one.
        files: the node's.
        layout: who reads it; None to tell by its path and by what is in it.
    """
    try:
        names = files.names(path)
    except Unreadable as error:
        return lost(str(error))
    directories = [name for name in names if files.is_directory(f"{path}/{name}")]
    loose = [name for name in names if name not in directories]
    if any(name.endswith(ENDINGS) or name == HOSTS_FILE for name in loose):
        parent, name = posixpath.split(path)
        return _entry(parent, name, files, layout or _told(parent, [name], files))
    chosen = layout or _told(path, directories, files)
    readings = [_entry(path, name, files, chosen) for name in _looked_up(directories, chosen)]
    readings += [Reading(notices=(notice,)) for notice in _about(path, directories, chosen)]
    return Reading.joined(readings)


def _told(path: str, names: Sequence[str], files: NodeFiles) -> Layout:
    """Return the layout of a root: by its usual path, or by what only containerd knows in it."""
    usual = layout_of(Path(path))
    if usual is not None:
        return usual
    of_containerd = any(
        name == _EVERY_REGISTRY or _CONTAINERD_SPELLING.fullmatch(name) or files.exists(f"{path}/{name}/{HOSTS_FILE}")
        for name in names
        if not name.startswith(".")
    )
    return Layout.CONTAINERD if of_containerd else Layout.DOCKER


def _looked_up(names: Sequence[str], layout: Layout) -> list[str]:
    """Return the directories in which a runtime looks; containerd uses the first spelling that is there."""
    visible = [name for name in names if not name.startswith(".") and name not in _OTHERS]
    return [name for name in visible if not _passed_over(name, names, layout)]


def _passed_over(name: str, names: Sequence[str], layout: Layout) -> bool:
    spellings = lookup_names(Reader.CONTAINERD, name) if layout is Layout.CONTAINERD else (name,)
    return name in spellings and spellings[0] != name and spellings[0] in names


def _about(path: str, names: Sequence[str], layout: Layout) -> Iterator[Notice]:
    for name in names:
        shown = escape(f"{path}/{name}")
        if name == STORE:
            yield Notice(Gravity.NOTE, f"{shown} is registry-trust's own, and so are the entries that lead there")
        elif name in _OTHERS or name.startswith("."):
            yield Notice(Gravity.NOTE, f"{shown} is not a registry's directory, and no runtime reads it")
        elif _passed_over(name, names, layout):
            first = lookup_names(Reader.CONTAINERD, name)[0]
            yield Notice(Gravity.NOTE, f"{shown} is not read by containerd, because {quote(first)} is there too")


def registry_of(name: str, layout: Layout) -> str:
    """Return the registry that a directory is for.

    Raises:
        InvalidField: no image reference can name it.
    """
    spelling = _CONTAINERD_SPELLING.fullmatch(name) if layout is Layout.CONTAINERD else None
    return registry_names.check(f"{spelling[1]}:{spelling[2]}" if spelling else name)


def _entry(root: str, name: str, files: NodeFiles, layout: Layout) -> Reading:
    path = f"{root}/{name}"
    if files.link(path).startswith(f"{STORE}/"):
        return Reading()
    if name == _EVERY_REGISTRY and layout is Layout.CONTAINERD:
        return _for_every_registry(path, files)
    try:
        registry = registry_of(name, layout)
        names = files.names(path)
        # A file of no bytes is none to containerd (hosts.go, loadHostDir).
        toml = hosts_toml.LIMIT if layout is Layout.CONTAINERD and HOSTS_FILE in names else 0
        data = files.read(f"{path}/{HOSTS_FILE}", toml) if toml else b""
    except InvalidField as error:
        return lost(f"{escape(path)}: {error.problem}")
    except Unreadable as error:
        return lost(str(error))
    if data:
        return hosts_toml.read(data, registry, path, files)
    return _docker_files(registry, path, names, files, layout)


def _for_every_registry(path: str, files: NodeFiles) -> Reading:
    """Say what becomes of containerd's `_default`: mirrors in it stay, and certificates in it go to no trust."""
    shown = escape(path)
    try:
        names = files.names(path)
        data = files.read(f"{path}/{HOSTS_FILE}", hosts_toml.LIMIT) if HOSTS_FILE in names else b""
    except Unreadable as error:
        return lost(str(error))
    if not hosts_toml.has_certificates(data, path) if data else not any(name.endswith(ENDINGS) for name in names):
        gist = "is for every registry that has no directory of its own; it stays where it is"
        return Reading(notices=(Notice(Gravity.SETTING, f"{shown} {gist}"),))
    return lost(
        f"{shown} has certificates for every registry that has no directory of its own, and a RegistryTrust names its "
        "registries; import the certificates of those that need them"
    )


def _docker_files(registry: str, path: str, names: Sequence[str], files: NodeFiles, layout: Layout) -> Reading:
    """Return what Docker's three endings mean in a directory, as every runtime reads them."""
    notices: list[Notice] = []
    authorities: list[Text] = []
    pairs: list[Pair] = []
    unused = [name for name in names if _ALMOST.search(name)]
    if unused:
        gist = f"{escape(path)}: no runtime loads {listing([quote(name) for name in unused])}"
        notices.append(Notice(Gravity.NOTE, f"{gist}: only names that end in {', '.join(ENDINGS)} are read"))
    if layout is not Layout.CONTAINERD and HOSTS_FILE in names:
        gist = "is read by containerd, not in this layout; give --layout containerd if containerd reads this directory"
        notices.append(Notice(Gravity.NOTE, f"{escape(path)}/{HOSTS_FILE} {gist}"))
    for name in names:
        stem, dot, _ = name.rpartition(".")
        partner = stem + {CERTIFICATE: KEY, KEY: CERTIFICATE}.get(name[len(stem) :], "")
        try:
            if name.endswith(AUTHORITIES):
                authorities.append(files.text(f"{path}/{name}"))
            elif name.endswith(CERTIFICATE) and (partner in names or layout is Layout.CONTAINERD):
                key = partner if partner in names else name  # containerd then looks for the key in the same file
                pairs.append(Pair(files.text(f"{path}/{name}"), files.text(f"{path}/{key}")))
            elif name.endswith((CERTIFICATE, KEY)) and dot and partner not in names:
                gist = f"there is no {quote(partner)} next to it, and one without the other is of no use"
                notices.append(Notice(Gravity.LOST, f"{escape(path)}/{escape(name)}: {gist}"))
        except Unreadable as error:
            notices.append(Notice(Gravity.LOST, str(error)))
    found = Found(registry, escape(path), tuple(authorities), tuple(pairs))
    return Reading((found,) if authorities or pairs else (), tuple(notices))
