"""Health pages under pressure: silent, dribbling and slow connections, and a process without free descriptors."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack

import pytest

from registry_trust.process import pages
from tools.cluster.waiting import wait_until
from tools.installation import REPOSITORY, Installation

SERVER = """
import resource, sys, time
from registry_trust.process import pages
from registry_trust.process.secrecy import keep_memory_private
assert keep_memory_private()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
page = lambda: pages.healthy(True, "")
print(pages.serve(("127.0.0.1", 0), {"/healthz": page, "/large": lambda: pages.Page("x" * 10_000_000)})[1], flush=True)
time.sleep(300)
"""


def read(port: int, path: str = "/healthz", timeout: float = 0.8 * pages.LONGEST_REQUEST) -> bytes:
    """Read a page before any of the other connections can have been closed for its age.

    On a machine with nothing else to do it takes milliseconds; a loaded one once took more than a second.
    """
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
            content: bytes = answer.read()
            return content
    except OSError as error:
        raise AssertionError(f"no answer within {timeout} s: {error}") from error


def connect(port: int, sent: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=5)
    client.sendall(sent)
    return client


def dribble(clients: list[socket.socket]) -> int:
    """Send one more byte on each connection; return how many of them the server still holds."""
    held = 0
    for client in clients:
        try:
            client.sendall(b"x")
            client.setblocking(False)
            if client.recv(1) != b"":
                held += 1
        except BlockingIOError:
            held += 1
        except OSError:
            continue
    return held


@pytest.fixture(scope="module")
def port():
    """Start the pages in a process of their own, with few descriptors."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdout=subprocess.PIPE,
        cwd=REPOSITORY / "operator",
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nX: "], ids=["silent", "dribbling"])
def test_two_hundred_connections_that_ask_nothing_keep_nobody_from_an_answer(port: int, sent: bytes):
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(port, sent)) for _ in range(200)]

        for _ in range(20):
            assert read(port) == b"ok\n"
            assert dribble(clients) <= pages.MOST_CONNECTIONS


def test_a_connection_that_never_completes_its_request_is_closed_however_often_it_sends(port: int):
    with connect(port, b"GET /") as client:
        deadline = time.monotonic() + 4 * pages.LONGEST_REQUEST
        while dribble([client]):
            assert time.monotonic() < deadline, "the connection is still held"
            select_wait(client)
    assert read(port) == b"ok\n"


def select_wait(client: socket.socket) -> None:
    """Wait up to a tenth of a second for the server to close."""
    client.settimeout(0.1)
    try:
        client.recv(1, socket.MSG_PEEK)
    except OSError:
        return


def test_clients_that_do_not_read_a_large_answer_do_not_hold_up_the_others(port: int):
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(connect(port, b"GET /large HTTP/1.1\r\n\r\n"))

        assert read(port) == b"ok\n"
    assert len(read(port, "/large")) == 10_000_000


def test_a_process_that_holds_keys_can_be_read_by_nobody_but_root_and_dumps_no_core():
    program = (
        "import os, sys; from registry_trust.process.secrecy import keep_memory_private\n"
        "print(os.stat('/proc/self/environ').st_uid == os.getuid())\n"
        "assert keep_memory_private()\n"
        "print(os.stat('/proc/self/environ').st_uid, open('/proc/self/limits').read())"
    )
    folder = REPOSITORY / "operator"
    account = 65534 if os.geteuid() == 0 else None
    ran = subprocess.run(
        ["python3", "-c", program], cwd=folder, capture_output=True, text=True, timeout=30, check=True, user=account
    )
    before, after, *limits = ran.stdout.splitlines()

    assert before == "True"
    assert after.split()[0] == "0", "the process may be read by others of its user"
    assert any(line.split()[:6] == ["Max", "core", "file", "size", "0", "0"] for line in limits)


def test_the_operator_answers_within_a_second_beside_two_hundred_silent_connections(installation: Installation):
    port = installation.operator_port
    wait_until(lambda: b"ok" in read(port), "the operator serves its pages")

    with ExitStack() as stack:
        for number in range(200):
            stack.enter_context(connect(port, b"" if number % 2 else b"GET /healthz HTTP/1.1\r\n"))
        assert read(port) == b"ok\n"
        assert b"registry_trust" in read(port, "/metrics")
