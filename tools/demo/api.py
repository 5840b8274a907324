"""Reads and applies objects over one connection, so that the delays that are measured hold no start of a program."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any

from tools.cluster.control_plane import ControlPlane

Object = Mapping[str, Any]


class RefusedError(AssertionError):
    """The API server said no; the message has its words."""


class API:
    """The API server as the administrator sees it."""

    def __init__(self, plane: ControlPlane) -> None:
        context = ssl.create_default_context(cafile=str(plane.ca_file))
        context.load_cert_chain(plane.folder / "admin.crt", plane.folder / "admin.key")
        self._connection = http.client.HTTPSConnection("127.0.0.1", plane.port, context=context, timeout=15)

    def get(self, path: str) -> dict[str, Any]:
        """Return the object at that path.

        Raises:
            RefusedError: any answer but 200.
        """
        return self._ask("GET", path)

    def apply(self, path: str, body: Object) -> dict[str, Any]:
        """Server-side apply, as `kubectl apply --server-side` does it.

        Raises:
            RefusedError: the API server refused.
        """
        return self._ask("PATCH", f"{path}?fieldManager=demo&force=true", body)

    def _ask(self, method: str, path: str, body: Object | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/apply-patch+yaml"} if body is not None else {}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        content = json.loads(answer.read())
        if answer.status not in (http.HTTPStatus.OK, http.HTTPStatus.CREATED):
            raise RefusedError(f"{method} {path}: {answer.status}: {content.get('message', '')}")
        return dict(content)
