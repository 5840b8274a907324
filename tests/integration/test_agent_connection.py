"""The agent's kept connection: one for all calls, given up in time, and never a reason to trust or to send more."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from registry_trust.agent.delivery import api_client, connection
from registry_trust.agent.delivery.api_client import APIServer, RequestFailed
from tools.authority import Authority
from tools.cluster.waiting import wait_until

AUTHORITY = Authority.create("cluster CA")
OTHER = Authority.create("another CA")
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Server:
    """A server that counts: `requests` are the heads that came, by connection; a test moves what it answers."""

    folder: Path
    answer: Callable[[int, int], bytes] = lambda _connection, _request: FINE
    """What to answer to a request by the numbers of its connection and of itself there; nothing ends the connection."""
    requests: list[list[bytes]] = field(default_factory=list)
    open: list[ssl.SSLSocket] = field(default_factory=list)
    client: APIServer = field(init=False)

    def asked(self) -> list[int]:
        """Return how many requests came over each connection."""
        return [len(each) for each in self.requests]

    def hang_up(self) -> None:
        """Close every connection, as a server does with idle ones."""
        for each in self.open:
            with suppress(OSError):  # One that the client has closed.
                each.shutdown(socket.SHUT_RDWR)

    def serve(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        """Answer one connection's requests."""
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as secured:
            number, heads = len(self.requests), list[bytes]()
            self.requests.append(heads)
            self.open.append(secured)
            while head := secured.recv(65536):
                heads.append(head)
                said = self.answer(number, len(heads) - 1)
                if not said:
                    return
                secured.sendall(said)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    with serving(made):
        yield made


@contextmanager
def serving(server: Server) -> Iterator[None]:
    """Let the server listen, and give it a client."""
    folder = server.folder
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*AUTHORITY.server(["localhost"]).write(folder, "server"))
    (folder / "ca.crt").write_bytes(AUTHORITY.pem)
    (folder / "token").write_text("first-token")

    def accept() -> None:
        with suppress(OSError):
            while True:
                plain = listening.accept()[0]
                threading.Thread(target=server.serve, args=(plain, context), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        url = f"https://localhost:{listening.getsockname()[1]}"
        server.client = APIServer(url, str(folder / "ca.crt"), str(folder / "token"))
        try:
            yield
        finally:
            server.client.close()
            server.hang_up()


def ended(server: Server) -> bool:
    """Say whether the client can see that its kept connection is over."""
    idle = server.client._kept._idle
    return idle is not None and not idle[0].is_good()


def test_calls_share_a_connection_with_the_token_as_it_is_at_each_and_a_stream_has_its_own(server: Server) -> None:
    for token in ("first-token", "renewed-token"):
        (server.folder / "token").write_text(token)
        server.client.call("GET", "/")
    stream = server.client.open("GET", "/")
    server.client.stay_connected()
    stream.close()

    assert server.asked() == [3, 1]
    assert b"Bearer first-token" in server.requests[0][0]
    assert b"Bearer renewed-token" in server.requests[0][1]
    assert server.requests[0][2].startswith(b"GET /version ")


def test_a_connection_that_other_authorities_opened_is_not_used_again(server: Server) -> None:
    server.client.call("GET", "/")
    (server.folder / "ca.crt").write_bytes(AUTHORITY.pem + OTHER.pem)
    server.client.call("GET", "/")
    assert server.asked() == [1, 1]

    (server.folder / "ca.crt").write_bytes(OTHER.pem)
    with pytest.raises(RequestFailed, match="CERTIFICATE_VERIFY_FAILED"):
        server.client.call("GET", "/")
    assert server.asked() == [1, 1]


@pytest.mark.parametrize("unasked", [b"", b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"])
def test_an_idle_connection_that_the_server_closed_or_spoke_on_is_replaced(server: Server, unasked: bytes) -> None:
    server.client.call("GET", "/")
    if unasked:
        server.open[0].sendall(unasked)
    else:
        server.hang_up()
    wait_until(lambda: ended(server), "the end has arrived", within=20)
    server.client.call("GET", "/")

    assert server.asked() == [1, 1]


def test_a_connection_that_ends_as_a_request_comes_costs_one_more_request_and_no_third(server: Server) -> None:
    server.client.call("GET", "/")
    server.answer = lambda connection, _: FINE if connection else b""
    assert server.client.call("PATCH", "/") == {}
    assert server.asked() == [2, 1]

    server.answer = lambda _, __: b""
    with pytest.raises(RequestFailed, match=r"RemoteDisconnected|EOF"):
        server.client.call("PATCH", "/")
    assert server.asked() == [2, 2, 1]


def test_a_server_that_is_slow_on_a_kept_connection_is_not_asked_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.client.call("GET", "/")
    released = threading.Event()
    server.answer = lambda _, __: FINE if released.wait(20) else b""
    monkeypatch.setattr(api_client, "CALL", 0.3)
    with pytest.raises(RequestFailed, match="TimeoutError"):
        server.client.call("GET", "/")
    released.set()

    assert server.asked() == [2]
    monkeypatch.undo()
    server.client.call("GET", "/")
    assert server.asked() == [2, 1]


def test_a_connection_is_kept_for_an_hour_or_so(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LIFE", 0.0)
    server.client.call("GET", "/")
    server.client.call("GET", "/")

    assert server.asked() == [1, 1]


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (b"HTTP/1.1 429 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy", True),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", True),
        (b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", False),
        (b"HTTP/1.1 429 Busy\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + b" " * 5_000_000, False),
        (b"nonsense\r\n\r\n", False),
    ],
)
def test_a_connection_is_kept_exactly_if_an_answer_was_read_to_its_end(
    server: Server, answer: bytes, *, kept: bool
) -> None:
    server.answer = lambda connection, request: answer if (connection, request) == (0, 0) else FINE
    with suppress(RequestFailed):
        server.client.call("GET", "/")
    server.client.call("GET", "/")

    assert server.asked() == ([2] if kept else [1, 1])


def test_two_calls_at_once_have_a_connection_each_and_one_is_kept(server: Server) -> None:
    both = threading.Barrier(2, timeout=20)

    def answer(_connection: int, request: int) -> bytes:
        if request == 0:
            both.wait()
        return FINE

    server.answer = answer
    threads = [threading.Thread(target=server.client.call, args=("GET", "/")) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    for _ in range(3):
        server.client.call("GET", "/")

    assert sorted(server.asked()) == [1, 4]
