"""The host's view: what of the host's file system decides how its runtime reaches a registry."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from registry_trust.agent.probe.network import Address, Resolver, resolve
from registry_trust.agent.regular_file import read

HOSTS = "etc/hosts"
UNITS = "etc/systemd/system"
_UNIT_ENDINGS = (".service", ".conf", ".env")
_PROXY = "HTTPS_PROXY"
_LIMIT = 1 << 20
_MOST_FILES = 2000


def environment(view: Path | None) -> Mapping[str, str]:
    """Return what the host's units set of the variables that matter to a runtime's pulls.

    Whichever unit sets a proxy, each probe counts it as the runtime's: then it gives no verdict, which is never wrong.
    The value is not kept (it can hold a password), and an exception that NO_PROXY makes does not count.
    """
    if view is None:
        return {}
    try:
        found = any(_PROXY in text.upper() for text in _units(view / UNITS))
    except OSError:
        found = True  # It can't be seen, so it may be there.
    return {_PROXY: "set in a unit of systemd"} if found else {}


def _units(directory: Path) -> Iterator[str]:
    """Yield the text of units, their drop-ins and environment files, without comments."""
    count = 0
    for place, _, names in os.walk(directory):
        for name in names:
            if not name.endswith(_UNIT_ENDINGS):
                continue
            count += 1
            if count > _MOST_FILES:
                raise OSError("too many units")
            path = Path(place, name)
            if path.is_file():  # Not a link to nothing, which is how a unit is masked.
                lines = read(str(path), _LIMIT).decode("utf-8", "replace").splitlines()
                yield "\n".join(line for line in lines if not line.lstrip().startswith(("#", ";")))


def addresses(view: Path | None) -> Resolver:
    """Return a resolver that asks the host's own table first, as the C library does by default."""

    def found(host: str, port: int) -> Sequence[Address]:
        own = [] if view is None else [(address, port) for address in _in_table(view / HOSTS, host)]
        return own or resolve(host, port)

    return found


def _in_table(path: Path, host: str) -> list[str]:
    try:
        lines = read(str(path), _LIMIT).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    found: dict[str, None] = {}
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        if host.lower() in (name.lower() for name in names) and _is_address(address):
            found[address] = None
    return list(found)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
