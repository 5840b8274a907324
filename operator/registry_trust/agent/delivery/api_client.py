"""Requests to the API server: TLS by the cluster's CA, the service account's token, and how a refusal is described."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import urllib.parse
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from registry_trust.agent import regular_file
from registry_trust.agent.delivery.connection import Connection, Deadline, Kept
from registry_trust.core.text import escape
from registry_trust.process.unexpected import kind_of

CALL = 20.0
"""Seconds for a whole call from the first packet to the last, and for the first lines of a stream's answer."""

TOKEN_LIMIT = 64 << 10
CA_LIMIT = 1 << 20
"""Bytes of the two files of a service account."""

_TOKEN = re.compile(r"[!-~]+")
"""What may stand in a header; http.client would repeat anything else in its exception."""

_BROKEN = (OSError, http.client.HTTPException, ValueError, RecursionError, AttributeError)
"""What http.client, ssl and json raise where an answer breaks off or is none (AttributeError: inside a chunk)."""

_SUCCESS = range(200, 300)
_BODY_LIMIT = 4 << 20
"""Bytes of a whole answer; a Node with every image in its status stays far below."""

_SERVER_FAILED = 500
"""The first HTTP status with which no connection is kept: behind a load balancer the next server may do better."""

_ANY = "/version"
"""What costs the API server least: one small constant, to everybody, and in no usual audit policy."""


class RequestFailed(Exception):
    """A request that did not succeed.

    Attributes:
        status: the HTTP status; 0 where there was no answer at all.
        retry_after: seconds that the server asks to wait; 0 where it says nothing.
    """

    def __init__(self, message: str, *, status: int = 0, retry_after: float = 0.0) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Stream:
    """An open answer; `close` ends the connection."""

    connection: Connection
    response: http.client.HTTPResponse

    def line(self, limit: int, seconds: float) -> bytes:
        """Return the next line, whole; empty at the end.

        Args:
            limit: bytes of it at most.
            seconds: how long it may take as a whole.

        Raises:
            TimeoutError: it took longer.
            RequestFailed: the stream broke.
        """
        self.connection.deadline.move(seconds)
        try:
            line = self.response.readline(limit)
        except _BROKEN as error:
            # One with a number is the kernel's: nothing has answered at the other end for as long as `keepalive` says.
            if isinstance(error, TimeoutError) and error.errno is None:
                raise
            raise RequestFailed(describe(error)) from error
        if line and not line.endswith(b"\n"):
            raise RequestFailed("the stream broke inside a line")
        return line

    def close(self) -> None:
        """End the connection."""
        self.response.close()
        self.connection.close()


@dataclass(frozen=True, slots=True)
class _Request:
    """One request as it is sent, and the CA certificates (PEM) that its connection was or is to be opened by."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    authorities: str = field(repr=False)


class APIServer:
    """The API server: a connection for each stream, and one that is kept for all calls; thread-safe."""

    def __init__(self, url: str, ca_file: str, token_file: str, *, user_agent: str = "registry-trust-agent") -> None:
        """Describe the server; nothing is opened or read yet.

        Args:
            url: `https://host[:port]`.
            ca_file: PEM file with the CA certificates to trust; empty for the system's.
            token_file: file with the bearer token; it is read for every request, because the kubelet renews it.
            user_agent: what the API server's audit log shows.

        Raises:
            ValueError: the URL is no https URL of a host.
        """
        parts = urllib.parse.urlsplit(_with_brackets(url))
        if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError(f"{url!r} is not an API server URL; write https://host:port")
        self._host = parts.hostname
        self._port = parts.port or 443
        self._ca_file = ca_file
        self._token_file = token_file
        self._user_agent = user_agent
        self._kept = Kept()

    def open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Stream:
        """Send one request and return its open answer, whose status is 2xx; within `CALL` seconds.

        Raises:
            RequestFailed: no connection, another status, or no answer in time.
        """
        request = self._request(method, path, query, headers, body)
        connection = self._connection(request, Deadline(CALL))
        stream = Stream(connection, _ask(connection, request))
        if stream.response.status in _SUCCESS:
            return stream
        body = b""
        try:
            with suppress(*_BROKEN):
                body = stream.response.read(_BODY_LIMIT)
            raise _refusal(stream.response, body)
        finally:
            stream.close()  # The response, too: it keeps the socket where the server announced that it will close.

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> dict[str, Any]:
        """Send one request and return the object in its answer; within `CALL` seconds.

        It goes over the connection of the last call if that is still open, and else over a new one, which is kept. So
        it may be sent twice, and has to be one that means the same then (a GET, or an apply): whether the server closed
        the connection before or after the request came, nobody can tell.

        Raises:
            RequestFailed: no connection, another status than 2xx, no JSON object, or no whole answer in time.
        """
        request = self._request(method, path, query, headers, body)
        deadline = Deadline(CALL)
        connection = self._kept.take(request.authorities)
        if connection is not None:
            connection.use(deadline)
            try:
                return self._answer(connection, request, _ask(connection, request, closed=_Closed))
            except _Closed:
                pass  # While it was idle, or as this request came.
        connection = self._connection(request, deadline)
        return self._answer(connection, request, _ask(connection, request))

    def stay_connected(self) -> None:
        """Use the kept connection, or open one, so the next call finds one: servers close those that are idle.

        Any answer will do, and without one the next call opens its connection itself.
        """
        with suppress(RequestFailed):
            self.call("GET", _ANY)

    def close(self) -> None:
        """End the kept connection."""
        self._kept.close()

    def _answer(self, connection: Connection, request: _Request, response: http.client.HTTPResponse) -> dict[str, Any]:
        """Return the object in an answer, and keep the connection if the answer was read to its end."""
        whole = False
        try:
            body = response.read(_BODY_LIMIT)
            whole = response.isclosed() and not response.will_close
            if response.status not in _SUCCESS:
                raise _refusal(response, body)
            answer = json.loads(body)
        except _BROKEN as error:
            if response.status not in _SUCCESS:
                raise _refusal(response, b"") from error
            raise RequestFailed(describe(error)) from error
        finally:
            if whole and response.status < _SERVER_FAILED:
                self._kept.keep(connection, request.authorities)
            else:
                response.close()
                connection.close()
        if not isinstance(answer, dict):
            raise RequestFailed("the response is not a JSON object")
        return answer

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        body: bytes | None,
    ) -> _Request:
        token = self._token()
        sent = {"Accept": "application/json", "User-Agent": self._user_agent, **(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        return _Request(method, target, sent, body, self._authorities())

    def _connection(self, request: _Request, deadline: Deadline) -> Connection:
        return Connection(self._host, self._port, self._context(request.authorities), deadline)

    def _token(self) -> str:
        if not self._token_file:
            return ""
        try:
            token = regular_file.read(self._token_file, TOKEN_LIMIT).decode("ascii", errors="replace").strip()
        except OSError as error:
            raise RequestFailed(f"{self._token_file} can't be read: {describe(error)}") from error
        if _TOKEN.fullmatch(token) is None:
            raise RequestFailed(f"{self._token_file} does not hold one token of printable characters")
        return token

    def _authorities(self) -> str:
        """Return the PEM text of the CA certificates as the file holds it now; empty for the system's."""
        if not self._ca_file:
            return ""
        try:
            # Text outside the blocks may be of any kind; OpenSSL takes ASCII alone.
            pem = regular_file.read(self._ca_file, CA_LIMIT).decode("ascii", errors="ignore")
        except OSError as error:
            raise RequestFailed(f"{self._ca_file} can't be used: {describe(error)}") from error
        if not pem.strip():
            raise RequestFailed(f"{self._ca_file} is empty")
        return pem

    def _context(self, authorities: str) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cadata=authorities or None)
        except (OSError, ValueError) as error:
            raise RequestFailed(f"{self._ca_file or 'the CA'} can't be used: {describe(error)}") from error
        # Python 3.13 sets this flag, and then refuses cluster CAs without a key-usage extension, which Go accepts.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


class _Closed(RequestFailed):
    """The connection ended before the answer began."""


def _ask(
    connection: Connection, request: _Request, *, closed: type[RequestFailed] = RequestFailed
) -> http.client.HTTPResponse:
    """Send a request and return the head of its answer; the connection is closed if anything fails.

    Raises:
        RequestFailed: no answer; of the class `closed` if the connection ended before one began.
    """
    try:
        connection.request(request.method, request.target, body=request.body, headers=dict(request.headers))
        return connection.getresponse()
    except _BROKEN as error:
        connection.close()
        # A server that is only slow has the request, and keeps it: TimeoutError.
        ended = isinstance(error, (ConnectionError, ssl.SSLError))
        raise (closed if ended else RequestFailed)(describe(error)) from error


def retry_after(value: str | None) -> float:
    """Return the seconds in a Retry-After header; 0 where there is none, or a date (RFC 9110 section 10.2.3)."""
    return float(value) if value and value.isascii() and value.isdigit() else 0.0


def _with_brackets(url: str) -> str:
    """Return the URL with brackets around an IPv6 address, which a pod's KUBERNETES_SERVICE_HOST has not."""
    scheme, separator, authority = url.partition("://")
    host, colon, port = authority.rpartition(":")
    return f"{scheme}{separator}[{host}]{colon}{port}" if ":" in host and "[" not in host else url


def _refusal(response: http.client.HTTPResponse, body: bytes) -> RequestFailed:
    """Return what an answer with another status than 2xx says; a proxy's page says enough by its status line."""
    message = f"{response.status} {response.reason}"
    with suppress(ValueError, RecursionError):
        status = json.loads(body)
        if isinstance(status, dict) and isinstance(status.get("message"), str):
            message = f"{response.status} {status['message']}"
    wait = retry_after(response.headers.get("Retry-After"))
    return RequestFailed(escape(message, 512), status=response.status, retry_after=wait)


def describe(error: Exception) -> str:
    """Return an error in one line: the system's and OpenSSL's own words, and of any other exception the kind alone."""
    if isinstance(error, OSError) and str(error):
        return f"{type(error).__name__}: {escape(str(error))}"
    return kind_of(error)
