"""The connection to the API server: one configuration for the official client and for kopf."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import kopf
import urllib3
from kubernetes import client, config

from registry_trust.process import keepalive
from registry_trust.process.unexpected import kind_of

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0

LONGEST_RETRY_AFTER = 150.0
"""Seconds of a server's Retry-After that are heeded: one that states a day must not make the operator deaf for it."""

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_THREAD = threading.local()


def lenient(context: ssl.SSLContext) -> ssl.SSLContext:
    """Clear VERIFY_X509_STRICT, which Python 3.13 sets by default.

    It refuses cluster CAs without a key-usage extension; Go clients accept them and many clusters have one. Chain,
    name and dates are verified all the same.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let everything that this thread sends and receives meanwhile end by one deadline.

    A timeout of a socket begins again with each call of it, so a server that dribbles would hold a request for ever.
    """
    _THREAD.deadline = time.monotonic() + seconds
    try:
        yield
    finally:
        del _THREAD.deadline


class _BoundedSocket(ssl.SSLSocket):
    """A socket whose reads and writes end by the deadline of the thread that does them."""

    def recv_into(self, *arguments: Any) -> int:
        """Receive; what http.client's file object reads with."""
        self._bound()
        return super().recv_into(*arguments)

    def send(self, *arguments: Any) -> int:
        """Send; what `sendall` does its work with."""
        self._bound()
        return super().send(*arguments)

    def _bound(self) -> None:
        deadline: float | None = getattr(_THREAD, "deadline", None)
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the call took too long")
            self.settimeout(left)


class Connector:
    """Makes clients from a kubeconfig or a pod's account, again once one of the files that it names has changed."""

    def __init__(self, kubeconfig: str) -> None:
        self._kubeconfig = kubeconfig
        self._lock = threading.Lock()
        self._files: tuple[Path, ...] = ()
        self._stamp: object = None
        self._unusable: object = None
        self._api = self._made()

    def stamp(self) -> object:
        """Return what changes with the files; None while one is being replaced.

        The server's CA is rotated while an operator runs for months, and a client certificate, too.
        """
        try:
            found = [file.stat() for file in self._files]
        except OSError:
            return None
        return [(each.st_ino, each.st_mtime_ns, each.st_size) for each in found]

    def api(self) -> client.ApiClient:
        """Return the official client; the last one while the files can't be used."""
        with self._lock:
            stamp = self.stamp()
            if stamp not in (None, self._stamp):
                try:
                    self._api = self._made()
                except Exception as error:  # noqa: BLE001 - the client trusts the file's shape: anything may come out
                    if stamp != self._unusable:
                        _log.warning("CA or kubeconfig not usable; keeping the last", extra={"error": kind_of(error)})
                    self._unusable = stamp
            return self._api

    def _made(self) -> client.ApiClient:
        first = load(self._kubeconfig)
        named = (first.ssl_ca_cert, first.cert_file, first.key_file)
        # Of several kubeconfigs, some need not exist.
        names = [Path(each).expanduser() for each in (*self._kubeconfig.split(os.pathsep), *named) if each]
        self._files = tuple(name for name in names if name.exists())
        stamp = self.stamp()  # Before they are read: a change meanwhile is seen the next time.
        api = api_client(load(self._kubeconfig))
        self._stamp = stamp
        return api


def load(kubeconfig: str) -> Any:
    """Return the official client's configuration: from a kubeconfig file, or from inside a cluster."""
    configuration = client.Configuration()
    configuration.keep_alive = True
    configuration.retries = False
    if kubeconfig:
        config.load_kube_config(  # type: ignore[no-untyped-call]  # the client carries no types here
            config_file=kubeconfig, client_configuration=configuration
        )
    else:
        config.load_incluster_config(  # type: ignore[no-untyped-call]  # as above
            client_configuration=configuration
        )
    return configuration


def _context(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return lenient(context)


def api_client(configuration: Any) -> client.ApiClient:
    """Return an official client on that configuration."""
    api = client.ApiClient(configuration=configuration)
    context = _context(configuration)
    context.sslsocket_class = _BoundedSocket
    api.rest_client.pool_manager = urllib3.PoolManager(
        ssl_context=context, retries=False, maxsize=4, socket_options=keepalive.options()
    )
    return api


def kopf_session(configuration: Any, gap: Callable[[], None]) -> kopf.AiohttpSession:
    """Return kopf's connection, made again at each login, so that a rotated CA or token is seen.

    `gap` is called when kopf goes on with a watch that had ended, from the version where it ended. A server whose etcd
    was restored answers that with nothing, for as long as it has not reached the version: only a new LIST helps.
    """
    listed: set[str] = set()

    async def bounded(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        path = request.url.path
        if "watch" not in request.url.query:
            listed.add(path)
        elif path in listed:
            listed.remove(path)
        else:
            gap()
        response = await handler(request)
        if response.status == 429:
            response.release()
            await asyncio.sleep(retry_after(response.headers.get("Retry-After", "")))
            raise aiohttp.ClientConnectionError("the API server asks to come back later")
        return response

    names = ("authorization", "BearerToken")  # in a cluster, and from a kubeconfig
    header = next((found for name in names if (found := configuration.get_api_key_with_prefix(name))), "")
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=_context(configuration), socket_factory=_kept_alive),
        headers={"Authorization": header} if header else {},
        middlewares=(bounded,),
    )
    return kopf.AiohttpSession(aiohttp_session=session, server=configuration.host)


def _kept_alive(address: tuple[Any, ...]) -> socket.socket:
    """Return a socket for an address as getaddrinfo has it; aiohttp's own would wait for a silent server's packets."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    for option in keepalive.options():
        made.setsockopt(*option)
    return made


def retry_after(value: str) -> float:
    """Return the seconds to wait, at most `LONGEST_RETRY_AFTER`; 1 where the header has no number of them."""
    try:
        seconds = float(value)
    except ValueError:
        return 1.0
    return min(seconds, LONGEST_RETRY_AFTER) if seconds >= 0 else 1.0


def in_cluster_namespace() -> str:
    """Return the namespace of the pod that this process runs in, or an empty string."""
    path = _ACCOUNT / "namespace"
    return path.read_text().strip() if path.exists() else ""
