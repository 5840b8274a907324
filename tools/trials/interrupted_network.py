"""A way to the API server that can be cut in half: a TCP proxy that stops reading, sending and closing."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Carries bytes between 127.0.0.1:`port` and a server; while `hanging` it does nothing at all with any of them."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.hanging = threading.Event()
        self._ended = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End everything."""
        self._ended.set()
        self._thread.join(10)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            if self.hanging.is_set():
                self._ended.wait(0.05)
                continue
            for key, _ in self._selector.select(0.05):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._carry(key.fileobj, key.data)  # type: ignore[arg-type]  # as above

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection(self._to, timeout=5)
        except OSError:
            near.close()
            return
        for one, other in ((near, far), (far, near)):
            self._selector.register(one, selectors.EVENT_READ, other)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            if data := source.recv(1 << 16):
                target.sendall(data)
                return
        except OSError:
            pass
        for each in (source, target):
            with suppress(KeyError, ValueError):
                self._selector.unregister(each)
            each.close()


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Start a proxy to a port of this machine's loopback."""
    proxy = Proxy(("127.0.0.1", port))
    try:
        yield proxy
    finally:
        proxy.close()
