"""The pages' answers as values: what is answered to which request, and when a request is not complete yet."""

from __future__ import annotations

import pytest

from registry_trust.process.pages import Page, answer, healthy


def broken() -> Page:
    raise RuntimeError("SECRET")


PAGES = {
    "/healthz": lambda: healthy(True, ""),
    "/readyz": lambda: healthy(False, "no bundle"),
    "/binary": lambda: Page(b"\x00\xff", content_type="application/octet-stream"),
    "/broken": broken,
}


@pytest.mark.parametrize(
    ("request_text", "status", "body"),
    [
        ("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK", b"ok\n"),
        ("GET /healthz?verbose HTTP/1.1\r\n\r\n", "200 OK", b"ok\n"),
        ("GET /healthz HTTP/1.0\n\n", "200 OK", b"ok\n"),
        ("HEAD /healthz HTTP/1.1\r\n\r\n", "200 OK", b""),
        ("GET /readyz HTTP/1.1\r\n\r\n", "503 Service Unavailable", b"no bundle\n"),
        ("GET /binary HTTP/1.1\r\n\r\n", "200 OK", b"\x00\xff"),
        ("GET / HTTP/1.1\r\n\r\n", "404 Not Found", b"not found\n"),
        ("POST /healthz HTTP/1.1\r\n\r\n", "405 Method Not Allowed", b"only GET and HEAD are answered\n"),
        ("GET /healthz\r\n\r\n", "400 Bad Request", b"this is not an HTTP/1 request\n"),
        ("\r\n\r\n", "400 Bad Request", b"this is not an HTTP/1 request\n"),
        ("\x16\x03\x01\x02\r\n\r\n", "400 Bad Request", b"this is not an HTTP/1 request\n"),
        ("GET /" + "a" * 9000, "431 Request Header Fields Too Large", b"the request is too large\n"),
    ],
)
def test_a_request_is_answered(request_text: str, status: str, body: bytes):
    head, _, rest = (answer(request_text.encode("latin-1"), PAGES) or b"").partition(b"\r\n\r\n")

    assert head.splitlines()[0].decode() == f"HTTP/1.1 {status}"
    assert rest == body
    assert b"Connection: close" in head


@pytest.mark.parametrize("received", ["", "GET", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\n"])
def test_a_request_that_is_not_complete_is_waited_for(received: str):
    assert answer(received.encode(), PAGES) is None


def test_a_page_that_raises_is_a_500_without_the_exceptions_text():
    sent = answer(b"GET /broken HTTP/1.1\r\n\r\n", PAGES) or b""

    assert sent.startswith(b"HTTP/1.1 500 ")
    assert b"SECRET" not in sent
