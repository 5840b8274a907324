"""Connections: TLS over TCP on which everything has to be done by a deadline, however slowly the bytes come."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

CONNECT_TIMEOUT = 10.0
"""Seconds for one address of the server to answer; the next one is tried after that."""


class Deadline:
    """A moment by which something must be done; it can be moved while that goes on."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.move(seconds)

    def move(self, seconds: float) -> None:
        """Put it this many seconds from now."""
        self._end = self._monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left, more than 0.

        Raises:
            TimeoutError: none are.
        """
        left = self._end - self._monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        return left


class _DeadlineSocket(ssl.SSLSocket):
    """A socket whose reads and writes all end by one deadline; a timeout of the socket alone begins anew with each."""

    deadline: Deadline

    def recv_into(self, *arguments: Any) -> int:
        """Receive; what http.client's file object reads with."""
        self.settimeout(self.deadline.left())
        return super().recv_into(*arguments)

    def send(self, *arguments: Any) -> int:
        """Send; what `sendall` does its work with."""
        self.settimeout(self.deadline.left())
        return super().send(*arguments)


class Connection(http.client.HTTPSConnection):
    """One HTTPS connection that was opened, asked and answered by the deadline, or raises TimeoutError."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, deadline: Deadline) -> None:
        context.sslsocket_class = _DeadlineSocket
        super().__init__(host, port, context=context)
        self._tls = context
        self.deadline = deadline

    def connect(self) -> None:
        """Connect to the first address that answers, and shake hands (CPython's handshake keeps to its timeout)."""
        plain = self._dial()
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.settimeout(self.deadline.left())
            secured = self._tls.wrap_socket(plain, server_hostname=self.host)
            assert isinstance(secured, _DeadlineSocket)  # noqa: S101 - the context's own class, for mypy
            secured.deadline = self.deadline
        except BaseException:
            plain.close()
            raise
        self.sock = secured

    def _dial(self) -> socket.socket:
        failure: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            plain = socket.socket(family, kind, protocol)
            try:
                plain.settimeout(min(CONNECT_TIMEOUT, self.deadline.left()))
                plain.connect(address)
            except OSError as error:
                plain.close()
                failure = error
            else:
                return plain
        raise failure
