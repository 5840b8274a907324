"""Pages over HTTP: a few fixed ones, from one thread, that any number of idle or slow connections can't keep busy."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

MOST_CONNECTIONS = 16
"""Connections that are held at a time. One more closes the oldest: who asks at once is answered at once."""

LONGEST_REQUEST = 5.0
"""Seconds from the acceptance of a connection to the last byte of its answer, at most."""

_LARGEST_REQUEST = 8192
"""Bytes of a request's head; a kubelet's has about 200, Prometheus' about 400."""

_NO_DESCRIPTORS_PAUSE = 0.2
"""Seconds without accepting after the system refused a connection; the listening socket stays ready meanwhile."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    body: str | bytes
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"


def healthy(good: bool, problem: str) -> Page:  # noqa: FBT001 - the question itself, and read at a glance
    """Return the page for a probe: 200 with "ok", or 503 with what is wrong."""
    return Page("ok\n") if good else Page(f"{problem}\n", 503)


def serve(address: tuple[str, int], pages: Mapping[str, Callable[[], Page]]) -> tuple[str, int]:
    """Serve pages by their paths in a thread of its own until the process ends; return the address that was bound.

    An empty host is every address, of both families if the kernel has both. A page's function runs in that thread, and
    must not wait for anything; one that raises is answered with 500.

    Raises:
        OSError: the address can't be bound.
    """
    listener = socket.create_server(
        address, family=_family(address[0]), backlog=128, dualstack_ipv6=_is_dual(address[0])
    )
    server = _Server(listener, pages)
    threading.Thread(target=server.run, name="pages", daemon=True).start()
    host, port = listener.getsockname()[:2]
    return str(host), int(port)


def answer(request: bytes, pages: Mapping[str, Callable[[], Page]]) -> bytes | None:
    """Return the whole answer to what was received so far; None while its head is not complete (RFC 9112, 2.1)."""
    if b"\r\n\r\n" not in request and b"\n\n" not in request:
        return None if len(request) < _LARGEST_REQUEST else _encoded(Page("the request is too large\n", 431))
    parts = request.partition(b"\n")[0].split()
    if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):
        return _encoded(Page("this is not an HTTP/1 request\n", 400))
    method, target, _ = parts
    if method not in (b"GET", b"HEAD"):
        return _encoded(Page("only GET and HEAD are answered\n", 405))
    page = pages.get(target.partition(b"?")[0].decode("latin-1"))
    if page is None:
        found = Page("not found\n", 404)
    else:
        try:
            found = page()
        except Exception as error:  # noqa: BLE001 - the thread must go on; an exception's text may hold a secret
            _log.error("page failed: %s", type(error).__name__)
            found = Page("this page failed; see the log\n", 500)
    return _encoded(found, with_body=method == b"GET")


@dataclass(slots=True)
class _Caller:
    """One client: what it sent so far, what is still to be sent to it, and by when it is closed."""

    client: socket.socket
    deadline: float
    received: bytearray = field(default_factory=bytearray)
    unsent: memoryview | None = None


class _Server:
    def __init__(self, listener: socket.socket, pages: Mapping[str, Callable[[], Page]]) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._pages = pages
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._connections: dict[int, _Caller] = {}
        """By file descriptor, the oldest first."""

    def run(self) -> None:
        """Turn for ever. Nothing that a client does, and no lack of descriptors, ends the thread."""
        while True:
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001 - the only thread that answers must go on
                _log.error("serving pages: %s", type(error).__name__)
                time.sleep(_NO_DESCRIPTORS_PAUSE)

    def _turn(self) -> None:
        oldest = next(iter(self._connections.values()), None)
        ready = self._selector.select(None if oldest is None else max(0.0, oldest.deadline - time.monotonic()))
        for key, _ in ready:
            if key.fileobj is not self._listener and (known := self._connections.get(key.fd)) is not None:
                self._step(known)
        if any(key.fileobj is self._listener for key, _ in ready):
            self._accept()
        now = time.monotonic()
        for late in [each for each in self._connections.values() if each.deadline <= now]:
            self._close(late)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:  # EMFILE, ENFILE, ENOBUFS, ENOMEM: accept(2)
            _log.warning("no connection can be accepted: %s", error.strerror)
            time.sleep(_NO_DESCRIPTORS_PAUSE)
            return
        if len(self._connections) >= MOST_CONNECTIONS:
            self._close(next(iter(self._connections.values())))
        client.setblocking(False)
        connection = _Caller(client, time.monotonic() + LONGEST_REQUEST)
        self._connections[client.fileno()] = connection
        self._selector.register(client, selectors.EVENT_READ)
        self._step(connection)  # A probe's request is there already: no number of others can push it out.

    def _step(self, connection: _Caller) -> None:
        try:
            if connection.unsent is None:
                data = connection.client.recv(_LARGEST_REQUEST)
                connection.received += data
                found = answer(bytes(connection.received), self._pages)
                if found is None:
                    if not data:
                        self._close(connection)
                    return
                connection.unsent = memoryview(found)
                self._selector.modify(connection.client, selectors.EVENT_WRITE)
            sent = connection.client.send(connection.unsent)
            connection.unsent = connection.unsent[sent:]
            if not connection.unsent:
                self._close(connection)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)

    def _close(self, connection: _Caller) -> None:
        del self._connections[connection.client.fileno()]
        self._selector.unregister(connection.client)
        with suppress(OSError):  # The client is gone already.
            connection.client.shutdown(socket.SHUT_WR)
        connection.client.close()


def _encoded(page: Page, *, with_body: bool = True) -> bytes:
    body = page.body.encode() if isinstance(page.body, str) else page.body
    head = (
        f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}\r\nContent-Type: {page.content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (body if with_body else b"")


def _is_dual(host: str) -> bool:
    return not host and socket.has_dualstack_ipv6()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host or _is_dual(host) else socket.AF_INET
