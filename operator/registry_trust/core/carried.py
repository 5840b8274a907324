"""Carried: what a `_default` of others says to containerd, as a value that an entry of ours takes along unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from registry_trust.core.text import escape, listing

URL = re.compile(
    r"(?:(https?)://|(?!http))([A-Za-z0-9._-]+(?::[0-9]+)?|\[[0-9A-Fa-f:.]+\](?::[0-9]+)?)"
    r"(/[A-Za-z0-9._~!$&'()*+,;=:%/-]*)?"
)
"""Scheme, host and path of a host as containerd takes it; one that begins with `http` otherwise is no host to it."""


MARK = "# With what _default says, which others wrote."
"""The line by which a `hosts.toml` of ours is known for one that carries something."""


@dataclass(frozen=True, slots=True)
class Host:
    """One host that containerd tries: a `[host]` table by its `url`, or the root of the file by `server`.

    None is a key that is not there, which can mean another thing than an empty one. `client` are certificates and keys;
    a file with both is named twice.
    """

    url: str = ""
    capabilities: tuple[str, ...] | None = None
    ca: tuple[str, ...] | None = None
    client: tuple[tuple[str, str], ...] | None = None
    skip_verify: bool | None = None
    header: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), repr=False)
    override_path: bool | None = None
    dial_timeout: str | None = None

    def plus(self, ca: Sequence[str], client: Sequence[tuple[str, str]]) -> Host:
        """Return this host with certificates of ours, which are tried first."""
        return replace(
            self,
            ca=(*ca, *(self.ca or ())) if ca else self.ca,
            client=(*client, *(self.client or ())) if client else self.client,
        )

    def verifies(self) -> bool:
        """Say whether containerd uses TLS there: `ca` at an `http` host would make it try `https` first."""
        return not self.url.startswith("http://")

    def address(self) -> str:
        """Return host and port, as they stand in `url`; empty for a root without `server`."""
        match = URL.fullmatch(self.url)
        return match[2] if match else ""

    def shown(self) -> str:
        """Return scheme and host, as messages show them; a path could be anything."""
        shown = f"{'https' if self.verifies() else 'http'}://{escape(self.address())}"
        return f"{shown} (not verified)" if self.skip_verify and self.verifies() else shown


@dataclass(frozen=True, slots=True)
class Carried:
    """What `_default` says: its hosts in order, then its root.

    `bare` is a file without a `host` table, `private` one that others may not read.
    """

    root: Host = field(default_factory=Host)
    hosts: tuple[Host, ...] = ()
    bare: bool = False
    private: bool = field(default=False, compare=False)

    def everything(self) -> tuple[Host, ...]:
        """Return all that containerd tries, in its order."""
        return (*self.hosts, self.root)

    def says_nothing(self) -> bool:
        """Say whether a registry's hosts are the same without it."""
        return not self.hosts and self.root == Host()

    def refused_by(self) -> str:
        """Return which containerd takes no such file and reads the certificate files beside it; empty if each does."""
        if self.bare:
            return "1.6, and 1.7 before 1.7.32 (it has no [host] table)"
        if any("[" in host.url for host in self.hosts):
            return "1.x (it has brackets in the name of a host)"
        if any("referrers" in map(str.lower, host.capabilities or ()) for host in self.everything()):
            return 'before 2.2 (it has the capability "referrers")'
        return ""

    def without_secrets(self) -> Carried:
        """Return the same with the values of headers left out: what is hashed may be guessed."""
        hosts = tuple(_without_secrets(host) for host in self.hosts)
        return replace(self, root=_without_secrets(self.root), hosts=hosts)

    def shown(self) -> str:
        """Return what it leads to, as messages show it."""
        hosts = listing([host.shown() for host in self.hosts], 3)
        last = f"{self.root.shown()} instead of the registry" if self.root.url else ""
        if hosts or last:
            return ", then ".join(filter(None, (hosts, last)))
        return "its certificates" if self.root.ca or self.root.client else "its settings"


@dataclass(frozen=True, slots=True)
class NotCarried:
    """Why a `_default` is not carried, and what to do; `soon`: it is read again in a moment. `last` is what it said."""

    why: str
    fix: str = ""
    soon: bool = False
    last: Carried | None = None


def toml_lines(root: Host, hosts: Sequence[Host], *, bare: bool = False) -> list[str]:
    """Return the lines of a `hosts.toml` that every containerd reads alike.

    `[host]` stands before its tables: containerd 1.6, and 1.7 before 1.7.32, refuse a file without it. `bare` leaves it
    out, so they refuse this one as well as the one that is carried.
    """
    lines = [f"server = {_quoted(root.url)}"] if root.url else []
    lines += [*_keys(root), "", *([] if bare else ["[host]", ""])]
    for host in hosts:
        lines += [f"[host.{_quoted(host.url)}]", *_keys(host), ""]
    return lines


def _without_secrets(host: Host) -> Host:
    return replace(host, header=tuple((name, ("",) * len(values)) for name, values in host.header))


def _keys(host: Host) -> Iterator[str]:
    if host.capabilities is not None:
        yield f"capabilities = {_list(map(_quoted, host.capabilities))}"
    if host.ca is not None:
        yield f"ca = {_list(map(_quoted, host.ca))}"
    if host.client is not None:
        yield f"client = {_list(_list(map(_quoted, pair)) for pair in host.client)}"
    if host.skip_verify is not None:
        yield f"skip_verify = {str(host.skip_verify).lower()}"
    if host.override_path is not None:
        yield f"override_path = {str(host.override_path).lower()}"
    if host.dial_timeout is not None:
        yield f"dial_timeout = {_quoted(host.dial_timeout)}"
    if host.header:
        values = (f"{_quoted(name)} = {_list(map(_quoted, values))}" for name, values in host.header)
        yield f"header = {{ {', '.join(values)} }}"


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(values)}]"


def _quoted(text: str) -> str:
    """Return a basic string of printable ASCII, which both of containerd's parsers read alike."""
    return '"' + "".join(map(_character, text)) + '"'


def _character(one: str) -> str:
    if " " <= one <= "~":
        return f"\\{one}" if one in '"\\' else one
    return f"\\u{ord(one):04X}" if ord(one) < 0x10000 else f"\\U{ord(one):08X}"
