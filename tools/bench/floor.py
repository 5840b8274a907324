"""The floor: what the API server and the disk cost by themselves, without any of registry-trust."""

from __future__ import annotations

import base64
import http.client
import json
import os
import selectors
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools.cluster.control_plane import ControlPlane

PATIENCE = 120.0
"""Seconds for an answer of the API server: a fleet on two cores keeps it busy."""


def administrator(plane: ControlPlane) -> ssl.SSLContext:
    """Return how the administrator connects; for many connections it is made once."""
    context = ssl.create_default_context(cafile=str(plane.ca_file))
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    context.load_cert_chain(plane.folder / "admin.crt", plane.folder / "admin.key")
    return context


class Client:
    """A bare HTTPS connection to the API server, as the administrator."""

    def __init__(
        self, plane: ControlPlane, context: ssl.SSLContext | None = None, patience: float | None = PATIENCE
    ) -> None:
        """Describe it; nothing is opened yet. `patience` is in seconds, None for a stream that may be silent."""
        context = context or administrator(plane)
        self._connection = http.client.HTTPSConnection("127.0.0.1", plane.port, context=context, timeout=patience)
        self._used = time.monotonic()

    def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Send one request with a merge patch or an object as its body; return what came back."""
        self._renew()
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        self._connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": kind})
        answer = self._connection.getresponse()
        result: dict[str, Any] = json.loads(answer.read())
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {result.get('message')}")
        return result

    def text(self, path: str) -> str:
        """Return a page that is not JSON."""
        self._renew()
        self._connection.request("GET", path)
        return self._connection.getresponse().read().decode()

    def _renew(self) -> None:
        """End a connection that was idle for long, as the server does after 90 seconds; http.client opens another."""
        now = time.monotonic()
        if now - self._used > 60:
            self._connection.close()
        self._used = now

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def stream(self, path: str) -> http.client.HTTPResponse:
        """Start a watch."""
        self._connection.request("GET", path)
        return self._connection.getresponse()


def patch_to_event(plane: ControlPlane, runs: int, size: int, name: str = "floor") -> list[float]:
    """Return seconds from the PATCH of a Secret to its parsed event at a watcher, once for each run."""
    secrets = "/api/v1/namespaces/default/secrets"
    client = Client(plane)
    data = {"x": base64.b64encode(os.urandom(size)).decode()}
    made = client.request("POST", secrets, {"metadata": {"name": name}, "data": data})
    version = made["metadata"]["resourceVersion"]
    seen: dict[str, float] = {}
    arrived = threading.Condition()

    def watch() -> None:
        query = f"watch=1&fieldSelector=metadata.name%3D{name}&resourceVersion={version}"
        stream = Client(plane, patience=None).stream(f"{secrets}?{query}")
        while line := stream.readline():
            number = json.loads(line)["object"]["metadata"].get("annotations", {}).get("n", "")
            with arrived:
                seen[number] = time.perf_counter()
                arrived.notify()

    threading.Thread(target=watch, daemon=True).start()
    taken: list[float] = []
    for run in range(runs):
        started = time.perf_counter()
        client.request("PATCH", f"{secrets}/{name}", {"metadata": {"annotations": {"n": str(run)}}})
        with arrived:
            if not arrived.wait_for(lambda wanted=str(run): wanted in seen, timeout=10):  # type: ignore[misc]  # bound now
                raise RuntimeError("the floor's watcher saw no event for 10 s")
        taken.append(seen[str(run)] - started)
    return taken


def durable_write(folder: Path, runs: int) -> list[float]:
    """Return seconds for three files of 2 KB, each with fsync, and an fsync of their directory, once for each run."""
    taken: list[float] = []
    for run in range(runs):
        target = folder / f"floor-{run}"
        target.mkdir()
        started = time.perf_counter()
        for name in ("a", "b", "c"):
            descriptor = os.open(target / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(descriptor, b"x" * 2000)
            os.fsync(descriptor)
            os.close(descriptor)
        descriptor = os.open(target, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        taken.append(time.perf_counter() - started)
    return taken


def fan_out(plane: ControlPlane, watchers: int) -> tuple[float, float]:
    """Return seconds to connect so many bare watchers, and from a PATCH to its event at the last of them."""
    path = "/api/v1/namespaces/default/configmaps"
    context = administrator(plane)
    admin = Client(plane, context)
    version = admin.request("POST", path, {"metadata": {"name": "fan-out"}})["metadata"]["resourceVersion"]
    query = f"watch=1&fieldSelector=metadata.name%3Dfan-out&resourceVersion={version}"
    began = time.perf_counter()
    clients = [Client(plane, context) for _ in range(watchers)]
    with selectors.DefaultSelector() as waiting:
        for client in clients:
            waiting.register(client.stream(f"{path}?{query}").fileno(), selectors.EVENT_READ)
        connected = time.perf_counter()
        admin.request("PATCH", f"{path}/fan-out", {"data": {"a": "b" * 4000}})
        while waiting.get_map():
            ready = waiting.select(PATIENCE)
            if not ready:
                raise RuntimeError(f"a bare watcher saw no event for {PATIENCE:g} s")
            for key, _ in ready:
                waiting.unregister(key.fd)
        ended = time.perf_counter()
    for client in (admin, *clients):
        client.close()
    return connected - began, ended - connected


def raw_writes(plane: ControlPlane, writes: int, connections: int = 8) -> float:
    """Return seconds for so many small PATCHes of objects over a few connections that are kept."""
    path = "/api/v1/namespaces/default/configmaps"
    context = administrator(plane)
    clients = [Client(plane, context) for _ in range(connections)]
    for number, client in enumerate(clients):
        client.request("POST", path, {"metadata": {"name": f"raw-{number}"}})

    def write(number: int) -> None:
        for count in range(writes // connections + 1):
            clients[number].request("PATCH", f"{path}/raw-{number}", {"data": {"a": f"{count:500}"}})

    began = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(write, range(connections)))
    ended = time.perf_counter()
    for client in clients:
        client.close()
    return ended - began
