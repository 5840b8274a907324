"""Servers of loopback that say whatever a test lets them say."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Talk = Callable[[socket.socket], None]


@contextmanager
def listening(talk: Talk) -> Iterator[int]:
    """Yield the port of a server that talks so with each client; errors of sockets end a talk."""
    ended = threading.Event()

    def serve(client: socket.socket) -> None:
        with suppress(OSError), client:
            client.settimeout(10)
            talk(client)

    def accept() -> None:
        with suppress(OSError):
            while not ended.is_set():
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def secured(context: ssl.SSLContext, talk: Talk) -> Talk:
    """Talk after a handshake and a request."""

    def after(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as inside:
            inside.recv(4096)
            talk(inside)

    return after


def sending(*parts: bytes, repeat: bool = False) -> Talk:
    """Send these, again and again if `repeat`."""

    def talk(client: socket.socket) -> None:
        for part in parts:
            client.sendall(part)
        while repeat:
            client.sendall(parts[-1])

    return talk


def cut_after(size: int, port: int) -> Talk:
    """Pass everything on to and from a registry, and reset the connection after so many bytes of it."""

    def talk(client: socket.socket) -> None:
        left = size
        with socket.create_connection(("127.0.0.1", port)) as far:
            while left:
                for each in select.select([client, far], [], [], 10)[0]:
                    data = each.recv(left if each is far else 65536)
                    if not data:
                        return
                    (client if each is far else far).sendall(data)
                    left -= len(data) if each is far else 0
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return talk
