"""The `registries.yaml` of k3s and RKE2: certificates of `configs` are found; mirrors and credentials are named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from registry_trust.api.fields import show
from registry_trust.api.parse import kind_of
from registry_trust.cli.importing.found import Found, Gravity, Notice, Pair, Reading
from registry_trust.cli.importing.node_files import NodeFiles, Unreadable
from registry_trust.core.errors import InvalidField
from registry_trust.core.registry import check
from registry_trust.core.text import clip

KEYS = ("mirrors", "configs", "auths")
"""What k3s reads of it (wharfie, pkg/registries); anything else it ignores."""

_EVERY_REGISTRY = "*"


def read(value: Mapping[str, Any], place: str, files: NodeFiles) -> Reading:
    """Return what a `registries.yaml` gives its registries.

    Args:
        value: the document.
        place: where it was read, printable.
        files: the node's, in which the paths of `tls` are.
    """
    readings = [_config(name, config, place, files, value) for name, config in _entries(value, "configs")]
    notices = [*_wrong(value, place), *_about_mirrors(value, place)]
    notices += [
        Notice(Gravity.SETTING, f"{place}: auths[{show(name)}] has credentials; they stay in that file")
        for name, _ in _entries(value, "auths")
    ]
    return Reading.joined([*readings, Reading(notices=tuple(notices))])


def _wrong(value: Mapping[str, Any], place: str) -> Iterator[Notice]:
    for key, child in value.items():
        if key not in KEYS:
            yield Notice(Gravity.NOTE, clip(f"{place}: {show(key)} is not a key that k3s reads"))
        elif child is not None and not isinstance(child, Mapping):
            yield Notice(Gravity.LOST, f"{place}: {key} is {kind_of(child)}, where registries are expected")


def _entries(value: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    entries = value.get(key)
    return list(entries.items()) if isinstance(entries, Mapping) else []


def _config(name: str, config: Any, place: str, files: NodeFiles, whole: Mapping[str, Any]) -> Reading:
    at = f"{place}: configs[{show(name)}]"
    if config is None:
        return Reading()
    if not isinstance(config, Mapping):
        return Reading(notices=(Notice(Gravity.LOST, f"{at} is {kind_of(config)}, where auth and tls are expected"),))
    notices: list[Notice] = []
    if config.get("auth") is not None:
        notices.append(Notice(Gravity.SETTING, f"{at}.auth has credentials; they stay in that file"))
    tls = config.get("tls")
    if tls is None or tls == {}:
        return Reading(notices=tuple(notices))
    if not isinstance(tls, Mapping):
        notices.append(Notice(Gravity.LOST, f"{at}.tls is {kind_of(tls)}, where paths of files are expected"))
        return Reading(notices=tuple(notices))
    found = _trusted(name, tls, at, files, notices, has_settings=_has_settings(name, config, whole))
    return Reading((found,) if found else (), tuple(notices))


def _trusted(
    name: str, tls: Mapping[str, Any], at: str, files: NodeFiles, notices: list[Notice], *, has_settings: bool
) -> Found | None:
    if name == _EVERY_REGISTRY:
        gist = "is for every registry, and a RegistryTrust names its registries; import the certificates of each"
        notices.append(Notice(Gravity.LOST, f"{at} {gist}"))
        return None
    if tls.get("insecure_skip_verify"):
        gist = "k3s does not check this registry's certificate, and a RegistryTrust always does; import its CA"
        notices.append(Notice(Gravity.LOST, f"{at}.tls.insecure_skip_verify: {gist}"))
    try:
        registry = check(name)
    except InvalidField as error:
        notices.append(Notice(Gravity.LOST, f"{at}: {error.problem}"))
        return None
    paths = {key: _path(tls, key, at, notices) for key in ("ca_file", "cert_file", "key_file")}
    authorities, pairs = [], []
    try:
        if paths["ca_file"]:
            authorities.append(files.text(paths["ca_file"]))
        if paths["cert_file"] and paths["key_file"]:
            pairs.append(Pair(files.text(paths["cert_file"]), files.text(paths["key_file"])))
        elif paths["cert_file"] or paths["key_file"]:
            missing = "key_file" if paths["cert_file"] else "cert_file"
            notices.append(Notice(Gravity.LOST, f"{at}.tls has no {missing}, and one without the other is of no use"))
    except Unreadable as error:
        notices.append(Notice(Gravity.LOST, f"{at}.tls: {error}"))
    found = Found(registry, at, tuple(authorities), tuple(pairs), has_settings)
    return found if authorities or pairs else None


def _path(tls: Mapping[str, Any], key: str, at: str, notices: list[Notice]) -> str:
    path = tls.get(key)
    if path in (None, ""):
        return ""
    if isinstance(path, str) and path.startswith("/"):
        return path
    notices.append(Notice(Gravity.LOST, f"{at}.tls.{key} is not the absolute path of a file on the node"))
    return ""


def _has_settings(name: str, config: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    mirrors = whole.get("mirrors")
    mirror = mirrors.get(name) if isinstance(mirrors, Mapping) else None
    return config.get("auth") is not None or (mirror is not None and bool(_mirrored(name, mirror)))


def _about_mirrors(value: Mapping[str, Any], place: str) -> Iterator[Notice]:
    for name, mirror in _entries(value, "mirrors"):
        said = _mirrored(name, mirror)
        if said:
            yield Notice(Gravity.SETTING, clip(f"{place}: mirrors[{show(name)}]: {said}; it stays in that file"))


def _mirrored(name: str, mirror: Any) -> str:
    """Return what a mirror does, or nothing if its only endpoint is the registry itself (as k3s' own pages have it)."""
    if mirror is None:
        return ""
    if not isinstance(mirror, Mapping):
        return f"it is {kind_of(mirror)}"
    endpoints = mirror.get("endpoint") or []
    listed = endpoints if isinstance(endpoints, list) else [endpoints]
    others = [each for each in listed if not isinstance(each, str) or _server(each) != name]
    rewrites = " with rewrites" if mirror.get("rewrite") else ""
    if others:
        return f"{len(others)} other endpoint{'s are' if len(others) != 1 else ' is'} tried first{rewrites}"
    return "names are rewritten" if rewrites else ""


def _server(endpoint: str) -> str:
    """Return host and port of an https endpoint without a path of its own; nothing for others."""
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    except ValueError:
        return ""
    return parts.netloc if parts.scheme == "https" and parts.path in ("", "/", "/v2", "/v2/") else ""
