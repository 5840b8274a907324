"""Packets are dropped without a word: each kind of stream notices in seconds, whichever side hears nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes import client
from urllib3.exceptions import HTTPError, ReadTimeoutError

from registry_trust.agent.delivery.api_client import APIServer, RequestFailed
from registry_trust.controller.connection import api_client, kopf_session
from registry_trust.process import keepalive
from tools.authority import Authority
from tools.trials.dropped_packets import drop_all

AUTHORITY = Authority.create("cluster CA")
PATIENCE = 60.0
"""Seconds after which a client that has not noticed fails with a timeout of its own; the kernel's has a number."""

FIRST = b'{"type":"ADDED"}\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

Drop = Callable[[socket.socket], None]
"""Called with the client's socket once the first event has come."""


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Server:
    """Serves each request one event of a stream, and then nothing; `connections` are in the order of their coming."""

    def __init__(self, folder: Path) -> None:
        certificate, key = AUTHORITY.server(["localhost"]).write(folder, "server")
        self.ca_file = folder / "ca.crt"
        self.ca_file.write_bytes(AUTHORITY.pem)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listener.getsockname()[1]}"
        self.connections: list[ssl.SSLSocket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain = self._listener.accept()[0]
            except OSError:
                return
            secured = self._context.wrap_socket(plain, server_side=True)
            secured.recv(65536)
            self.connections.append(secured)
            secured.sendall(HEAD + chunk(FIRST))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for each in self.connections:
            each.close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name, value in {"IDLE": 1, "INTERVAL": 1, "COUNT": 2}.items():
        monkeypatch.setattr(keepalive, name, value)
    made = Server(tmp_path)
    try:
        yield made
    finally:
        made.close()


def agent(server: Server, drop: Drop) -> bytes:
    stream = APIServer(server.url, str(server.ca_file), "").open("GET", "/")
    try:
        assert stream.line(1 << 20, PATIENCE) == FIRST
        assert stream.connection.sock is not None
        drop(stream.connection.sock)
        return stream.line(1 << 20, PATIENCE)
    finally:
        stream.close()


def configuration(server: Server) -> client.Configuration:
    made = client.Configuration()
    made.host, made.ssl_ca_cert = server.url, str(server.ca_file)
    return made


def official_client(server: Server, drop: Drop) -> bytes:
    pool: Any = api_client(configuration(server)).rest_client.pool_manager
    response = pool.request("GET", f"{server.url}/", preload_content=False, timeout=PATIENCE)
    try:
        assert response.readline() == FIRST
        drop(response.connection.sock)
        line: bytes = response.readline()
        return line
    finally:
        response.close()


def kopf(server: Server, drop: Drop) -> bytes:
    async def read() -> bytes:
        session: Any = kopf_session(configuration(server), lambda: None)
        async with session.aiohttp_session as http, http.get(f"{server.url}/", params={"watch": "true"}) as response:
            assert await response.content.readline() == FIRST
            drop(response.connection.transport.get_extra_info("socket"))
            reading: Awaitable[bytes] = response.content.readline()
            return await asyncio.wait_for(reading, PATIENCE)

    return asyncio.run(read())


@pytest.mark.parametrize("stream", [agent, official_client, kopf])
@pytest.mark.parametrize("deaf", ["client", "server"])
def test_a_stream_ends_soon_after_one_side_hears_nothing(
    server: Server, stream: Callable[[Server, Drop], bytes], deaf: str
) -> None:
    try:
        line = stream(server, lambda own: drop_all(own if deaf == "client" else server.connections[0]))
    except (RequestFailed, OSError, HTTPError, aiohttp.ClientError) as error:
        own = isinstance(error, (TimeoutError, ReadTimeoutError)) and getattr(error, "errno", None) is None
        assert not own, "the kernel did not notice, and the client's own patience ended it"
    else:
        # Before 3.13, Python takes any error under TLS for the end of the stream.
        assert line == b""
