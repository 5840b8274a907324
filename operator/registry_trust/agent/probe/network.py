"""Network: the addresses of a registry by the node's resolver, and one connection, within a deadline."""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CONNECT_SECONDS = 5.0
"""For one address, and for the resolver."""

Address = tuple[str, int]
Resolver = Callable[[str, int], Sequence[Address]]

_METADATA = frozenset({"fd00:ec2::254", "100.100.100.200", "168.63.129.16"})
"""Metadata and control servers of clouds outside of the link-local ranges."""


class Unreachable(Exception):
    """There is no connection; the text says why."""


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """A moment of the monotonic clock by which everything is done."""

    end: float

    def left(self) -> float:
        """Return the seconds that are left; raises Unreachable if none are."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise Unreachable("it took too long")
        return left


def resolve(host: str, port: int) -> Sequence[Address]:
    """Return the addresses of a host; raises Unreachable if there are none, or none in time.

    The C library's resolver can't be interrupted, so it is asked in a thread that is left alone when it is late.
    """
    answers: queue.SimpleQueue[list[Address] | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([(str(address[0]), port) for *_, address in found])
        except (OSError, UnicodeError):
            answers.put(None)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        addresses = answers.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise Unreachable(f"its name was not resolved within {CONNECT_SECONDS:.0f} seconds") from None
    if not addresses:
        raise Unreachable("its name has no address for this node's resolver")
    return addresses


def connect(host: str, port: int, resolver: Resolver, deadline: TimeLimit, *, own_network: bool) -> socket.socket:
    """Return a connection to the first address that answers; raises Unreachable.

    Without `own_network` this process is in a network of its own, where a loopback address is not the node's.
    """
    why = "its name has no address"
    for address in dict.fromkeys(resolver(host, port)):
        if not own_network and ipaddress.ip_address(address[0].partition("%")[0]).is_loopback:
            why = f"its address {address[0]} is the node itself, which can't be reached from here"
            continue
        if not may_be_contacted(address[0]):
            why = f"its address {address[0]} is link-local, a cloud's metadata server, or no host's"
            continue
        try:
            return socket.create_connection(address, timeout=min(CONNECT_SECONDS, deadline.left()))
        except OSError as error:
            why = f"{address[0]}: {error.strerror or 'no connection in time'}"
    raise Unreachable(why)


def may_be_contacted(address: str) -> bool:
    """Say whether a registry can have this address: not one behind which a node's own credentials are."""
    found = ipaddress.ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return not (found.is_link_local or found.is_multicast or found.is_unspecified or str(found) in _METADATA)
