"""Requests to the API server: TLS by the cluster's CA, the service account's token, and how a refusal is described."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONNECT_TIMEOUT = 10.0
"""Seconds for the connection and for the answer's first line."""

_SUCCESS = range(200, 300)
_BODY_LIMIT = 4 << 20
"""Bytes of a whole answer; a Node with every image in its status stays far below."""


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

    connection: http.client.HTTPSConnection
    response: http.client.HTTPResponse
    socket: socket.socket

    def limit_silence(self, seconds: float) -> None:
        """Make every later read fail after this many seconds without a byte."""
        self.socket.settimeout(seconds)

    def close(self) -> None:
        """End the connection."""
        self.response.close()
        self.connection.close()


class APIServer:
    """The API server, one connection for each request; thread-safe, because it keeps nothing open."""

    def __init__(self, url: str, ca_file: str, token_file: str, *, user_agent: str = "registry-trust-agent") -> None:
        """Describe the server; nothing is opened or read yet.

        Args:
            url: `https://host[:port]`.
            ca_file: PEM file with the CA certificates to trust; empty for the system's.
            token_file: file with the bearer token; it is read at every connection, because the kubelet renews it.
            user_agent: what the API server's audit log shows.

        Raises:
            ValueError: the URL is no https URL of a host.
        """
        parts = urllib.parse.urlsplit(_with_brackets(url))
        if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError(f"{url!r} is no URL of an API server; write https://host:port")
        self._host = parts.hostname
        self._port = parts.port or 443
        self._ca_file = ca_file
        self._token_file = token_file
        self._user_agent = user_agent

    def open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Stream:
        """Send one request and return its open answer, whose status is 2xx.

        Raises:
            RequestFailed: no connection, or another status.
        """
        try:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=CONNECT_TIMEOUT, context=self._context()
            )
            token = Path(self._token_file).read_text(encoding="ascii").strip() if self._token_file else ""
        except (OSError, ValueError) as error:
            raise RequestFailed(_describe(error)) from error
        sent = {"Accept": "application/json", "User-Agent": self._user_agent, **(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        try:
            connection.request(method, target, body=body, headers=sent)
            plug = connection.sock  # http.client drops it where the server announces that it will close.
            response = connection.getresponse()
            if response.status not in _SUCCESS:
                raise _refusal(response)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise RequestFailed(_describe(error)) from error
        except RequestFailed:
            connection.close()
            raise
        return Stream(connection, response, plug)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> dict[str, Any]:
        """Send one request and return the object in its answer.

        Raises:
            RequestFailed: no connection, another status than 2xx, or no JSON object.
        """
        stream = self.open(method, path, query=query, headers=headers, body=body)
        try:
            answer = json.loads(stream.response.read(_BODY_LIMIT))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise RequestFailed(_describe(error)) from error
        finally:
            stream.close()
        if not isinstance(answer, dict):
            raise RequestFailed("the answer is no JSON object")
        return answer

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca_file or None)
        # Python 3.13 sets this flag, and then refuses cluster CAs without a key-usage extension, which Go accepts.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def retry_after(value: str | None) -> float:
    """Return the seconds in a Retry-After header; 0 where there is none, or a date (RFC 9110 section 10.2.3)."""
    return float(value) if value and value.isascii() and value.isdigit() else 0.0


def _with_brackets(url: str) -> str:
    """Return the URL with brackets around an IPv6 address, which a pod's KUBERNETES_SERVICE_HOST has not."""
    scheme, separator, authority = url.partition("://")
    host, colon, port = authority.rpartition(":")
    return f"{scheme}{separator}[{host}]{colon}{port}" if ":" in host and "[" not in host else url


def _refusal(response: http.client.HTTPResponse) -> RequestFailed:
    wait = retry_after(response.headers.get("Retry-After"))
    message = f"{response.status} {response.reason}"
    try:
        status = json.loads(response.read(64 << 10))
        if isinstance(status, dict) and isinstance(status.get("message"), str):
            message = f"{response.status} {status['message']}"
    except (OSError, http.client.HTTPException, ValueError):
        pass  # A proxy's page: the status line says enough.
    return RequestFailed(message, status=response.status, retry_after=wait)


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
