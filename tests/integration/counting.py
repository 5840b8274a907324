"""Counting: passes TCP connections on to a server, and counts those that were opened."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass
class Counted:
    """The port to connect to, and the number of connections so far."""

    port: int
    connections: int = 0


@contextmanager
def counting(port: int, address: str = "127.0.0.1") -> Iterator[Counted]:
    """Pass every connection to a port of this machine, at one of its addresses, on to another one of loopback."""

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client = listening.accept()[0]
                counted.connections += 1
                server = socket.create_connection(("127.0.0.1", port))
                opened.extend((client, server))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    opened: list[socket.socket] = []
    with socket.create_server((address, 0)) as listening:
        counted = Counted(listening.getsockname()[1])
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield counted
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join(10)
            for each in opened:
                each.close()
