"""Connections: TLS over TCP on which everything has to be done by a deadline, however slowly the bytes come."""

from __future__ import annotations

import http.client
import random
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from registry_trust.process import keepalive

CONNECT_TIMEOUT = 10.0
"""Seconds for one address of the server to answer; the next one is tried after that."""

LIFE = 3600.0
"""Seconds (jittered) that a connection is kept: only a new one finds an API server that was added or restarted."""


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
    """A socket whose reads and writes all end by one deadline; a timeout of the socket alone begins again with each."""

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
        self._retires = time.monotonic() + LIFE * (0.75 + random.random() / 2)  # noqa: S311 - spreads load

    def connect(self) -> None:
        """Connect to the first address that answers, and shake hands (CPython's handshake keeps to its timeout)."""
        plain = self._dial()
        try:
            plain.settimeout(self.deadline.left())
            secured = self._tls.wrap_socket(plain, server_hostname=self.host)
            assert isinstance(secured, _DeadlineSocket)  # noqa: S101 - the context's own class, for mypy
            secured.deadline = self.deadline
        except BaseException:
            plain.close()
            raise
        self.sock = secured

    def use(self, deadline: Deadline) -> None:
        """Let everything from now on be done by another deadline."""
        self.deadline = deadline
        if isinstance(self.sock, _DeadlineSocket):
            self.sock.deadline = deadline

    def is_good(self) -> bool:
        """Say whether the next request may use this connection.

        An idle one at which there is something to read is not: the server has closed it (kube-apiserver does after 90
        seconds, secure_serving.go; proxies have times of their own), or sends what nobody asked for.
        """
        if self.sock is None or time.monotonic() >= self._retires:
            return False
        poll = select.poll()  # select(2) takes no descriptor above 1023
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)

    def _dial(self) -> socket.socket:
        failure: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            plain = socket.socket(family, kind, protocol)
            try:
                for option in keepalive.options():
                    plain.setsockopt(*option)
                plain.settimeout(min(CONNECT_TIMEOUT, self.deadline.left()))
                plain.connect(address)
            except OSError as error:
                plain.close()
                failure = error
            else:
                return plain
        raise failure


class Kept:
    """At most one idle connection, for the next request; thread-safe.

    Of two requests at the same time each has a connection of its own, and one of the two is kept.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: tuple[Connection, str] | None = None

    def take(self, authorities: str) -> Connection | None:
        """Return the idle connection, which is nobody else's then; None if there is none that is good.

        Args:
            authorities: the CA certificates as they are now; a connection that was opened by others is closed.
        """
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is None:
            return None
        connection, opened_by = idle
        if opened_by == authorities and connection.is_good():
            return connection
        connection.close()
        return None

    def keep(self, connection: Connection, authorities: str) -> None:
        """Keep a connection whose last answer was read to its end, instead of the one that was kept so far."""
        with self._lock:
            idle, self._idle = self._idle, (connection, authorities)
        if idle is not None:
            idle[0].close()

    def close(self) -> None:
        """End the idle connection."""
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is not None:
            idle[0].close()
