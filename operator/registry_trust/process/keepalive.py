"""Keepalive: the kernel asks whether the other end of a connection is still there, and ends it if nothing answers."""

from __future__ import annotations

import socket

IDLE = 20
"""Seconds without a packet from the other end before the first question."""

INTERVAL = 5
"""Seconds between two questions."""

COUNT = 4
"""Questions without an answer that end a connection: 40 s after the last packet, and before a bookmark is late."""


def options() -> list[tuple[int, int, int]]:
    """Return what `setsockopt` takes, of what this platform has: level, option, value.

    Packets may be dropped without a word (a firewall or a balancer that forgot the connection, a node that lost its
    power). A stream that only reads would then wait as long as it cares to. An empty packet asks each kernel alone: no
    request is made. TCP_USER_TIMEOUT bounds the same for what was sent and never acknowledged, which turns the
    questions off (tcp(7)).
    """
    chosen = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    numbers = {
        "TCP_KEEPIDLE": IDLE,
        "TCP_KEEPALIVE": IDLE,  # what macOS calls it
        "TCP_KEEPINTVL": INTERVAL,
        "TCP_KEEPCNT": COUNT,
        "TCP_USER_TIMEOUT": 1000 * (IDLE + COUNT * INTERVAL),
    }
    chosen += [(socket.IPPROTO_TCP, getattr(socket, name), n) for name, n in numbers.items() if hasattr(socket, name)]
    return chosen
