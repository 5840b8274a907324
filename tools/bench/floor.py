"""The floor: what the API server and the disk cost by themselves, without any of registry-trust."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import threading
import time
from pathlib import Path
from typing import Any

from tools.cluster.control_plane import ControlPlane


class Client:
    """A bare HTTPS connection to the API server, as the administrator."""

    def __init__(self, plane: ControlPlane) -> None:
        context = ssl.create_default_context(cafile=str(plane.ca_file))
        context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
        context.load_cert_chain(plane.folder / "admin.crt", plane.folder / "admin.key")
        self._connection = http.client.HTTPSConnection("127.0.0.1", plane.port, context=context)

    def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Send one request with a merge patch or an object as its body; return what came back."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        self._connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": kind})
        answer = self._connection.getresponse()
        result: dict[str, Any] = json.loads(answer.read())
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {result.get('message')}")
        return result

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def stream(self, path: str) -> http.client.HTTPResponse:
        """Start a watch."""
        self._connection.request("GET", path)
        return self._connection.getresponse()


def patch_to_event(plane: ControlPlane, runs: int, size: int) -> list[float]:
    """Return seconds from the PATCH of a Secret to its parsed event at a watcher, once for each run."""
    secrets = "/api/v1/namespaces/default/secrets"
    client = Client(plane)
    data = {"x": base64.b64encode(os.urandom(size)).decode()}
    made = client.request("POST", secrets, {"metadata": {"name": "floor"}, "data": data})
    version = made["metadata"]["resourceVersion"]
    seen: dict[str, float] = {}
    arrived = threading.Condition()

    def watch() -> None:
        query = f"watch=1&fieldSelector=metadata.name%3Dfloor&resourceVersion={version}"
        stream = Client(plane).stream(f"{secrets}?{query}")
        while line := stream.readline():
            number = json.loads(line)["object"]["metadata"].get("annotations", {}).get("n", "")
            with arrived:
                seen[number] = time.perf_counter()
                arrived.notify()

    threading.Thread(target=watch, daemon=True).start()
    taken: list[float] = []
    for run in range(runs):
        started = time.perf_counter()
        client.request("PATCH", f"{secrets}/floor", {"metadata": {"annotations": {"n": str(run)}}})
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
