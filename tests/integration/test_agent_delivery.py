"""The agent's requests against servers that dribble, are silent, or answer nonsense; and its threads that meet it."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from registry_trust.agent.delivery import api_client, subscriptions, watch
from registry_trust.agent.delivery.api_client import APIServer, RequestFailed
from registry_trust.agent.delivery.inbox import Inbox
from registry_trust.agent.delivery.subscriptions import BundleSubscription, RuntimeReader, bundle_subject
from registry_trust.agent.delivery.watch import Watch
from registry_trust.agent.supervision import Supervisor
from tools.authority import Authority
from tools.cluster.waiting import wait_until

AUTHORITY = Authority.create("cluster CA")
SERVER = AUTHORITY.server(["localhost"])
TOKEN = "secret-bearer-token"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Behaviour = Callable[[ssl.SSLSocket], None]


@contextmanager
def serving(folder: Path, behave: Behaviour) -> Iterator[APIServer]:
    """Serve each connection with a behaviour, once its request has come; give a client of the server."""
    certificate, key = SERVER.write(folder, "server")
    (folder / "ca.crt").write_bytes(AUTHORITY.pem)
    (folder / "token").write_text(f"{TOKEN}\n")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    listening = socket.create_server(("127.0.0.1", 0))

    def answer(plain: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(65536)
            behave(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield APIServer(
            f"https://localhost:{listening.getsockname()[1]}", str(folder / "ca.crt"), str(folder / "token")
        )
    finally:
        listening.close()


def dribbling(first: bytes, then: bytes) -> Behaviour:
    """Send something at once, and a part of the rest every 20 ms for as long as the client stays."""

    def behave(connection: ssl.SSLSocket) -> None:
        connection.sendall(first)
        pause = threading.Event()
        while True:
            connection.sendall(then)
            pause.wait(0.02)

    return behave


def saying(answer: bytes) -> Behaviour:
    return lambda connection: connection.sendall(answer)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 ", b"2"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"Content-Length: 1000000\r\n\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 1000000\r\n\r\n", b" "),
    ],
    ids=["nothing", "status", "header", "continue", "body", "chunks", "refusal"],
)
def test_a_server_that_dribbles_is_given_up_after_the_time_for_a_whole_call(tmp_path, monkeypatch, first, then) -> None:
    monkeypatch.setattr(api_client, "CALL", 0.5)
    with serving(tmp_path, dribbling(first, then)) as server, pytest.raises(RequestFailed) as caught:
        server.call("GET", "/api/v1/nodes/worker-1")

    assert "TimeoutError" in str(caught.value) or caught.value.status == 503


def test_a_server_that_never_finishes_its_handshake_is_given_up(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(api_client, "CALL", 0.5)
    (tmp_path / "ca.crt").write_bytes(AUTHORITY.pem)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = APIServer(f"https://localhost:{silent.getsockname()[1]}", str(tmp_path / "ca.crt"), "")
        with pytest.raises(RequestFailed, match="TimeoutError"):
            server.call("GET", "/")


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>maintenance</html>",
        HEAD + b"\r\n<html></html>",
        HEAD + b"\r\n[1]",
        HEAD + b"\r\n" + b"[" * 100_000,
        HEAD + b"\r\n" + b"9" * 5000,
        HEAD + b'Content-Length: 100\r\n\r\n{"truncated":',
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Content-Length: -7\r\n\r\n\xff\xfe",
        b"HTTP/1.1 999\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_is_no_json_object_is_a_failed_request(tmp_path, answer) -> None:
    with serving(tmp_path, saying(answer)) as server, pytest.raises(RequestFailed):
        server.call("GET", "/")


def test_what_a_server_says_reaches_the_log_escaped_and_cut(tmp_path) -> None:
    page = b'{"message": "\\u001b[31m' + b"a" * 5000 + b'"}'
    refusal = saying(b"HTTP/1.1 403 Forbidden\r\n\r\n" + page)
    with serving(tmp_path, refusal) as server, pytest.raises(RequestFailed) as caught:
        server.call("GET", "/")

    assert str(caught.value).startswith("403 \\x1b[31ma")
    assert len(str(caught.value)) <= 512


@pytest.mark.parametrize("content", [b"two\nlines", b"a b", b"\xff\xfe", b"", b"x" * 100_000])
def test_a_token_file_that_holds_no_token_is_a_failed_request_and_is_never_quoted(tmp_path, content) -> None:
    with serving(tmp_path, saying(HEAD + b"\r\n{}")) as server:
        (tmp_path / "token").write_bytes(content)
        with pytest.raises(RequestFailed) as caught:
            server.call("GET", "/")

    assert str(tmp_path / "token") in str(caught.value)
    assert "two" not in str(caught.value)


@pytest.mark.parametrize("name", ["token", "ca.crt"])
def test_a_fifo_in_place_of_a_file_is_refused_before_it_is_read(tmp_path, name) -> None:
    with serving(tmp_path, saying(HEAD + b"\r\n{}")) as server:
        (tmp_path / name).unlink()
        os.mkfifo(tmp_path / name)
        with pytest.raises(RequestFailed, match="is not a regular file"):
            server.call("GET", "/")


def test_an_empty_ca_file_does_not_mean_the_systems_authorities(tmp_path) -> None:
    with serving(tmp_path, saying(HEAD + b"\r\n{}")) as server:
        (tmp_path / "ca.crt").write_bytes(b"\n")
        with pytest.raises(RequestFailed, match="is empty"):
            server.call("GET", "/")


# ---- streams and threads ---------------------------------------------------------------------------------------------

EVENT = b'{"type":"%s","object":{"metadata":{"name":"b"%s}}}\n'


@contextmanager
def watching(server: APIServer, deliver: watch.Deliver) -> Iterator[Watch]:
    stop = threading.Event()
    watched = Watch(server, bundle_subject("ns", "b"), deliver, stop, rand=lambda: 0.0)
    thread = threading.Thread(target=watched.run, daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive(), "the watch heard the stop"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (EVENT % (b"ADDED", b""), b""),
        (EVENT % (b"ADDED", b""), b" "),
        (EVENT % (b"ADDED", b""), EVENT % (b"MODIFIED", b"")),
    ],
    ids=["silent", "bytes and no event", "events and no bookmark"],
)
def test_a_stream_without_signs_of_life_begins_again_with_the_object_as_it_is(
    tmp_path, monkeypatch, caplog, first, then
) -> None:
    monkeypatch.setattr(watch, "SILENCE", 0.2)
    monkeypatch.setattr(watch, "UNMARKED", 0.3)
    added = []
    with (
        serving(tmp_path, dribbling(HEAD + b"\r\n" + first, then)) as server,
        watching(server, lambda kind, _: added.append(kind) if kind == "ADDED" else None),
    ):
        wait_until(lambda: len(added) >= 3, "the object came with a third stream", within=30)

    assert "from the server for" in caplog.text


def test_a_stream_that_does_well_is_replaced_all_the_same_after_a_while(tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(watch, "RENEWAL", 0.2)
    added = []
    bookmark = EVENT % (b"BOOKMARK", b"")
    with (
        serving(tmp_path, dribbling(HEAD + b"\r\n" + EVENT % (b"ADDED", b""), bookmark)) as server,
        watching(server, lambda kind, _: added.append(kind)),
    ):
        wait_until(lambda: len(added) >= 3, "the object came with a third stream", within=30)

    assert set(added) == {"ADDED"}
    assert not caplog.text, "that is no failure"


def test_an_object_that_went_while_no_stream_was_open_is_missed_by_the_first_bookmark(tmp_path) -> None:
    inbox = Inbox()
    subscription = BundleSubscription(inbox)
    with (
        serving(tmp_path, saying(HEAD + b"\r\n" + EVENT % (b"BOOKMARK", b""))) as server,
        watching(server, subscription.deliver),
    ):
        wait_until(lambda: "BundleMissing" in str(inbox.look().bundle_problem), "the bundle is missed", within=20)


@pytest.mark.parametrize(
    "line",
    [
        b"<html>",
        b"[" * 100_000,
        b"[]",
        b'{"type":1,"object":2}',
        b'{"type":"ERROR","object":{"code":"x","details":[]}}',
        b'{"type":"ERROR","object":{"details":{"retryAfterSeconds":' + b"9" * 4000 + b"}}}",
        b'{"type":"ADDED","object":{"metadata":7}}',
        b'{"type":"ADDED","object":{"metadata":{"name":"b"},"data":7}}',
        b'{"type":"ADDED","object":{"metadata":{"name":"b"},"data":{"index.json":[]}}}',
    ],
)
def test_no_event_of_any_shape_ends_a_watch(tmp_path, monkeypatch, line) -> None:
    monkeypatch.setattr("registry_trust.agent.backoff.LONGEST_REFUSAL", 0.1)
    inbox, streams = Inbox(), []

    def behave(connection: ssl.SSLSocket) -> None:
        streams.append(1)
        connection.sendall(HEAD + b"\r\n" + line + b"\n")

    with serving(tmp_path, behave) as server, watching(server, BundleSubscription(inbox).deliver):
        wait_until(lambda: len(streams) >= 2, "another stream was opened", within=20)


def test_a_node_of_any_shape_leaves_the_runtime_unknown_and_is_read_again(tmp_path) -> None:
    inbox, asked = Inbox(), []

    def behave(connection: ssl.SSLSocket) -> None:
        asked.append(1)
        connection.sendall(HEAD + b'\r\n{"status": ["' + b"containerd" + b'"]}')

    stop = threading.Event()
    with serving(tmp_path, behave) as server:
        threading.Thread(target=RuntimeReader(server, "n", inbox, stop).run, daemon=True).start()
        wait_until(lambda: len(asked) >= 2, "the Node was read again", within=20)
        stop.set()

    assert inbox.look().runtime == ""


def test_a_runtime_that_the_kubelet_found_restarting_is_asked_for_again_and_the_known_one_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(subscriptions, "UNREPORTED_REFRESH", 0.1)
    inbox, asked, stop = Inbox(), [], threading.Event()

    def behave(connection: ssl.SSLSocket) -> None:
        asked.append(1)
        version = b"2.4.2" if len(asked) == 2 else b"Unknown"
        node = b'{"status": {"nodeInfo": {"containerRuntimeVersion": "containerd://' + version + b'"}}}'
        connection.sendall(HEAD + b"\r\n" + node)

    with serving(tmp_path, behave) as server:
        reader = RuntimeReader(server, "n", inbox, stop)
        threading.Thread(target=reader.run, daemon=True).start()
        wait_until(lambda: inbox.look().runtime == "containerd://2.4.2", "the Node was read again", within=20)
        reader.ask()
        wait_until(lambda: len(asked) >= 4, "the Node was read twice more", within=20)
        stop.set()

    assert inbox.look().runtime == "containerd://2.4.2"


def test_a_thread_that_fails_goes_on_and_is_counted_and_its_exception_is_never_quoted(caplog) -> None:
    stop, runs = threading.Event(), []

    def run() -> None:
        runs.append(1)
        raise OverflowError(f"Bearer {TOKEN}")

    supervisor = Supervisor(stop, rand=lambda: 0.0)
    supervisor.start("reporter", run)
    wait_until(lambda: len(runs) >= 2, "the thread ran again", within=20)

    assert supervisor.failures["reporter"] >= 1
    assert supervisor.dead() == ()
    assert "thread reporter failed and starts again: OverflowError in run (test_agent_delivery.py:" in caplog.text
    assert TOKEN not in caplog.text
    stop.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_ended_shows() -> None:
    class Ending(BaseException):
        pass

    def run() -> None:
        raise Ending

    supervisor = Supervisor(threading.Event())
    supervisor.start("watch-node", run)

    wait_until(lambda: supervisor.dead() == ("watch-node",), "the thread is known to be dead", within=20)
