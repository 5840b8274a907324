"""Asks a dockerd, by its API on a Unix socket, to pull."""

import http.client
import json
import socket
from pathlib import Path
from urllib.parse import quote


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def answers(path: Path) -> bool:
    """Whether a dockerd answers on this socket."""
    connection = _UnixConnection(path, 5)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def pull(path: Path, image: str, timeout: float = 120) -> str:
    """Pulls host[:port]/repository:tag; returns dockerd's error in its own words, empty when the image is there."""
    name, _, tag = image.rpartition(":")
    connection = _UnixConnection(path, timeout)
    try:
        connection.request("POST", f"/images/create?fromImage={quote(name, safe='')}&tag={quote(tag, safe='')}")
        response = connection.getresponse()
        body = response.read().decode()
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        return str(json.loads(body)["message"])
    # Progress comes as one JSON object a line; an error that happens on the way is one of them, after the status 200.
    for line in body.splitlines():
        if error := json.loads(line).get("error"):
            return str(error)
    return ""
