"""An HTTPS server that gives one answer to everything: what a proxy, a maintenance page or a broken server may say."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.authority import Authority
from tools.cluster.kubeconfig import write_kubeconfig


@contextmanager
def answering(
    folder: Path, body: bytes, *, status: str = "200 OK", headers: str = "", dribble: bool = False
) -> Iterator[Path]:
    """Answer every request with `body`, or with `dribble` a byte now and then without end; yield a kubeconfig."""
    authority = Authority.create("CA of a server with one answer")
    authority.server(["127.0.0.1"]).write(folder, "server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    ended = threading.Event()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}"
    answer = f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body

    def serve(client: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(client, server_side=True) as secured:
            secured.recv(1 << 16)
            if not dribble:
                secured.sendall(answer)
                return
            secured.sendall(head.encode())
            while not ended.wait(0.05):
                secured.sendall(b"X-More: x\r\n")

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while not ended.is_set():
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        server = f"https://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield write_kubeconfig(folder / "one-answer.kubeconfig", server, authority.pem, "a-token")
        finally:
            ended.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
