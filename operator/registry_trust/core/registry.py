"""Registry names: which `host[:port]` an image reference can carry, and the directories that runtimes look in."""

from __future__ import annotations

import ipaddress
import re

from registry_trust.core.errors import InvalidField
from registry_trust.core.layout import DOCKER_HUB, NAME_LIMIT, directory_names, longest_registry
from registry_trust.core.reasons import Reason
from registry_trust.core.text import quote

MAXIMUM_LENGTH = longest_registry()
"""Bytes of a registry; with each affix that a layout or the store adds, its directory's name still fits."""

_HUBS_OTHER_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
"""Docker Hub's hosts in lower case; references name `docker.io` alone, and runtimes look for that directory."""

RESERVED_NAMES = frozenset({"_default", "_backup", ".registry-trust", "lost+found"})
"""Names in a `certs.d` root that mean something else: to containerd, to Spegel, to us, and to ext4."""

EMPTY = "is empty; write the host[:port] of an image reference"
CREDENTIALS = "contains credentials (an @); write only host[:port]"
SCHEME = "has a scheme; write only host[:port], without the :// and what is before it"
PATH = "has a path; write only host[:port], without the / and what follows it"
WILDCARD = "contains a *; runtimes do not support wildcards, so name each registry"
BARE_WORD = "has neither a dot nor a port, so image references read it as a repository; add the port"
HUBS_OTHER_NAME = f"is Docker Hub, which image references and runtimes call {DOCKER_HUB}; write {DOCKER_HUB}"
"""What the API server says of the same names, in this order (`api.registry_name`)."""

_AS_IN_DNS = "write the name as it is in DNS"
_IMPOSSIBLE = (
    ("\\", "a backslash", _AS_IN_DNS),
    ("%", "a percent sign", _AS_IN_DNS),
    ("_", "an underscore", "give the registry a DNS name without it"),
)
"""What no host can hold, as messages call it, and what to do."""

_CONTAINERD_SPELLING = re.compile(r"([^_]+)_([0-9]{1,5})_")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_PORT_RULE = "has no port between 1 and 65535 after the colon; use ASCII digits only"


def split(registry: str) -> tuple[str, str]:
    """Split a checked registry into host and port; the port is empty where there is none."""
    if registry.startswith("["):
        host, _, rest = registry.partition("]")
        return host + "]", rest[1:]
    host, _, port = registry.partition(":")
    return host, port


def is_loopback(registry: str) -> bool:
    """Say whether runtimes skip TLS verification for this host by themselves (containerd hosts.go, dockerd)."""
    if not registry.startswith(("localhost", "[::1]", "127.")):
        return False
    host, _ = split(registry)
    return host in ("localhost", "[::1]") or host.startswith("127.")


def check(registry: str, field: str = "", limit: int = MAXIMUM_LENGTH) -> str:
    """Return `registry` unchanged if an image reference can name it, byte for byte, in at most `limit` bytes.

    The grammar is `domain-and-port` of the distribution project's references, anchored, without the underscores that no
    directory of a runtime can carry safely. Upper case stays as it is: no runtime folds it.

    Raises:
        InvalidField: InvalidHost, InvalidPort or ReservedHost, with what to write instead.
    """
    if registry in RESERVED_NAMES:
        raise InvalidField(
            Reason.RESERVED_HOST,
            f"{quote(registry)} is a reserved name in certificate directories, and no image reference can contain "
            "it; write the host[:port] of an image reference",
            field=field,
        )
    _check_characters(registry, field)
    host, port = _divide(registry, field)
    if port is not None:
        _check_port(registry, port, field)
    if host.startswith("["):
        _check_ipv6(registry, host, field)
    else:
        _check_host(registry, host, field, has_port=port is not None)
    if len(registry) > limit:
        longest = max(len(name) for name in directory_names(registry))
        raise _bad(
            registry,
            field,
            f"has {len(registry)} characters, but at most {limit} are allowed: its longest directory name would have "
            f"{longest} bytes, and the limit is {NAME_LIMIT}; use a shorter name",
        )
    if host.lower() in _HUBS_OTHER_NAMES and registry != DOCKER_HUB:
        raise InvalidField(
            Reason.RESERVED_HOST,
            f"{quote(registry)} {HUBS_OTHER_NAME}",
            field=field,
        )
    return registry


def _bad(registry: str, field: str, gist: str) -> InvalidField:
    return InvalidField(Reason.INVALID_HOST, f"{quote(registry)} {gist}", field=field)


def _check_characters(registry: str, field: str) -> None:
    if not registry:
        raise InvalidField(Reason.INVALID_HOST, EMPTY, field=field)
    if "@" in registry:
        # What stands before the @ may be a password: it is not repeated.
        raise InvalidField(Reason.INVALID_HOST, CREDENTIALS, field=field)
    if "://" in registry:
        raise _bad(registry, field, SCHEME)
    for position, character in enumerate(registry):
        code = f"U+{ord(character):04X} at position {position}"
        if ord(character) < 0x20 or ord(character) == 0x7F:
            raise _bad(registry, field, f"contains a control character ({code}); remove it")
        if character.isspace():
            raise _bad(registry, field, f"contains white space ({code}); remove it")
        if ord(character) > 0x7E and _is_in_port(registry, position):
            raise InvalidField(Reason.INVALID_PORT, f"{quote(registry)} {_PORT_RULE}", field=field)
        if ord(character) > 0x7E:
            raise _bad(registry, field, _non_ascii(registry, code))
    _check_punctuation(registry, field)


def _check_punctuation(registry: str, field: str) -> None:
    if "/" in registry:
        raise _bad(registry, field, PATH)
    if "*" in registry:
        raise _bad(registry, field, WILDCARD)
    spelling = _CONTAINERD_SPELLING.fullmatch(registry)
    if spelling:
        written = quote(f"{spelling.group(1)}:{spelling.group(2)}")
        raise _bad(registry, field, f"is a directory name as containerd spells it; write {written}")
    if "%" in registry and registry.startswith("["):
        raise _bad(registry, field, "has a zone after the %, which no image reference can carry; remove it")
    for character, name, cure in _IMPOSSIBLE:
        if character in registry and not _is_in_port(registry, registry.index(character)):
            raise _bad(
                registry, field, f"contains {name}, which is not allowed in the host of an image reference; {cure}"
            )


def _is_in_port(registry: str, position: int) -> bool:
    """Say whether a character stands after the only colon of a name without brackets."""
    return registry.count(":") == 1 and registry.index(":") < position


def _non_ascii(registry: str, code: str) -> str:
    host, _, port = registry.rpartition(":") if registry.count(":") == 1 else (registry, "", "")
    hint = "use the ASCII (xn--) form of the name"
    try:
        encoded = host.encode("idna").decode("ascii")
    except UnicodeError:
        encoded = ""
    if encoded and encoded.isascii() and "xn--" in encoded:
        hint = f"write {quote(encoded + (':' + port if port.isascii() and port else ''))}"
    return f"contains a non-ASCII character ({code}); {hint}"


def _divide(registry: str, field: str) -> tuple[str, str | None]:
    if registry.startswith("["):
        host, bracket, rest = registry.partition("]")
        if not bracket:
            raise _bad(registry, field, "has a [ without a ]; write [IPv6] or [IPv6]:port")
        if rest and not rest.startswith(":"):
            raise _bad(registry, field, "has text after the ]; write [IPv6] or [IPv6]:port")
        return host + "]", rest[1:] if rest else None
    if "[" in registry or "]" in registry:
        raise _bad(registry, field, "has an unbalanced bracket; write [IPv6] or [IPv6]:port")
    if registry.count(":") > 1:
        try:
            ipaddress.IPv6Address(registry)
        except ValueError:
            raise InvalidField(
                Reason.INVALID_PORT, f"{quote(registry)} has more than one port; write host:port", field=field
            ) from None
        raise _bad(registry, field, f"is an IPv6 address without brackets; write {quote(f'[{registry}]')}")
    host, colon, port = registry.partition(":")
    if not host:
        raise _bad(registry, field, "has no host; write host:port")
    return host, port if colon else None


def _check_port(registry: str, port: str, field: str) -> None:
    def bad(gist: str) -> InvalidField:
        return InvalidField(Reason.INVALID_PORT, f"{quote(registry)} {gist}", field=field)

    if not port:
        raise bad("ends in a colon without a port; remove the colon or add the port")
    if port.isdigit() and port.startswith("0") and port.strip("0"):
        raise bad(f"has a port with a leading zero, which would be a different directory; write {port.lstrip('0')}")
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise bad(_PORT_RULE)


def _check_ipv6(registry: str, host: str, field: str) -> None:
    inner = host[1:-1]
    try:
        address = ipaddress.IPv6Address(inner)
    except ValueError:
        raise _bad(registry, field, "has no IPv6 address between the brackets; write [IPv6] or [IPv6]:port") from None
    if address.ipv4_mapped is not None:
        raise _bad(registry, field, "is an IPv4-mapped address; write the IPv4 address itself")
    if str(address) != inner.lower():
        canonical = registry.replace(inner, str(address))
        raise _bad(registry, field, f"is not the canonical form of the address; write {quote(canonical)}")


def _check_host(registry: str, host: str, field: str, *, has_port: bool) -> None:  # noqa: C901 - as above
    if host.endswith("."):
        raise _bad(registry, field, "ends in a dot, which image references can't carry; remove it")
    labels = host.split(".")
    for label in labels:
        if not label:
            raise _bad(
                registry,
                field,
                "has an empty label (two dots in a row, or a dot at the start); write one dot between labels",
            )
        if len(label) > 63:
            raise _bad(registry, field, f"has a label longer than the 63 characters DNS allows; {_AS_IN_DNS}")
        if not _LABEL.fullmatch(label):
            gist = f"has the label {quote(label)}; a label has letters, digits and -, but no - at either end"
            raise _bad(registry, field, gist)
    if len(host) > 253:
        raise _bad(registry, field, f"is longer than the 253 characters DNS allows; {_AS_IN_DNS}")
    # A word with upper case can't be a repository, so references read it as a host (distribution/reference).
    if len(labels) == 1 and not has_port and host != "localhost" and host == host.lower():
        raise _bad(registry, field, BARE_WORD)
    if all(label.isdigit() or label.startswith("0x") for label in labels):
        try:
            canonical = str(ipaddress.IPv4Address(host))
        except ValueError:
            canonical = ""
        if canonical != host:
            raise _bad(registry, field, "is not a canonical IPv4 address (four numbers of 0-255, no leading zeros)")
