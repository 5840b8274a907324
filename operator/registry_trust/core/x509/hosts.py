"""Hosts: whether a certificate names a registry, and whether a CA's name constraints allow it (RFC 5280 4.2.1.10)."""

from __future__ import annotations

import ipaddress

from registry_trust.core.layout import DOCKER_HUB
from registry_trust.core.registry import split as split_registry
from registry_trust.core.x509.extensions import Extensions

_HUBS_SERVER = "registry-1.docker.io"
"""Where every runtime goes for `docker.io`."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def server_of(registry: str) -> str:
    """Return the host that runtimes connect to, without brackets."""
    return _HUBS_SERVER if registry == DOCKER_HUB else split_registry(registry)[0].strip("[]")


def _host(registry: str) -> tuple[str, Address | None]:
    """Return the host that a certificate must name, in lower case as DNS compares names, or the address."""
    host = _HUBS_SERVER if registry == DOCKER_HUB else split_registry(registry)[0].lower()
    try:
        return host, ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host, None


def is_named(registry: str, extensions: Extensions) -> bool:
    """Say whether a subjectAltName covers the registry's host; a wildcard stands for one label."""
    host, address = _host(registry)
    if address is not None:
        return str(address) in extensions.ip_addresses
    wildcard = "*." + host.partition(".")[2]
    return host in extensions.dns_names or wildcard in extensions.dns_names


def alternative_name(registry: str) -> str:
    """Return the subjectAltName that a registry's certificate needs, as OpenSSL writes it."""
    host, address = _host(registry)
    return f"DNS:{host}" if address is None else f"IP:{address}"


def is_common_name(registry: str, name: str) -> bool:
    """Say whether a Common Name is the registry's host, by the rules that Go had for it (x509.HostnameError)."""
    host, address = _host(registry)
    wildcard = "*." + host.partition(".")[2]
    return name.lower() in ((host, wildcard) if address is None else (str(address),))


def forbidden_by(registry: str, extensions: Extensions) -> bool:
    """Say whether name constraints keep this CA from issuing for the registry's host."""
    host, address = _host(registry)

    def covers(constraint: str) -> bool:
        network = "/" in constraint
        if address is None or not network:
            domain = constraint.lstrip(".")
            exact = host == domain and not constraint.startswith(".")
            return address is None and not network and (exact or not domain or host.endswith("." + domain))
        return address in ipaddress.ip_network(constraint)

    of_its_kind = [name for name in extensions.permitted if ("/" in name) == (address is not None)]
    if of_its_kind and not any(covers(name) for name in of_its_kind):
        return True
    return any(covers(name) for name in extensions.excluded)
