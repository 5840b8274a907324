"""The bundle's Secret: read whole when it changed under us, written whole, and only over what was read."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.core.bundle import HIGHEST_SERIAL, Bundle
from registry_trust.core.bundle_format import decode
from registry_trust.core.errors import UnusableBundle
from registry_trust.core.names import BUNDLE_TYPE, CONFIRM_ANNOTATION, OPERATOR
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.removal_hold import confirmed_serial


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """The Secret as it was read or written last.

    `problem` is set where it holds no bundle that could be understood; `bundle` is then an empty one.
    """

    uid: str
    version: str
    bundle: Bundle
    confirmed_serial: int = 0
    problem: Problem | None = None


def stored_bundle(secret: Mapping[str, Any]) -> StoredBundle:
    """Return what a Secret holds, whoever wrote it."""
    metadata = secret["metadata"]
    problem: Problem | None = None
    try:
        data = secret.get("data") or {}
        bundle = decode({key: base64.b64decode(value or "", validate=True) for key, value in data.items()})
    except UnusableBundle as error:
        bundle, problem = Bundle(), error.problem
    except ValueError:
        bundle, problem = Bundle(), Problem(Reason.BUNDLE_UNREADABLE, "the bundle's data is not base64")
    if bundle.serial > HIGHEST_SERIAL:
        message = "the bundle's serial is not one that an operator writes"
        bundle, problem = Bundle(), Problem(Reason.BUNDLE_UNREADABLE, message)
    return StoredBundle(
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        bundle=bundle,
        confirmed_serial=confirmed_serial((metadata.get("annotations") or {}).get(CONFIRM_ANNOTATION)),
        problem=problem,
    )


class BundleSecret:
    """Reads and writes the one Secret, by name."""

    def __init__(self, server: ApiServer, namespace: str, name: str) -> None:
        self._server = server
        self._namespace = namespace
        self._name = name
        self._path = f"/api/v1/namespaces/{namespace}/secrets/{name}"

    def read(self) -> StoredBundle:
        """Read and decode the Secret.

        Raises:
            ApiFailure: 404 where it does not exist: the operator may not create it.
        """
        return stored_bundle(self._server.get(self._path))

    def version(self) -> str:
        """Return the Secret's resourceVersion without reading its data; empty where it does not exist.

        Raises:
            ApiFailure: any answer but 200 and 404.
        """
        try:
            body = self._server.get(self._path, metadata_only=True)
        except ApiFailure as error:
            if error.status == 404:
                return ""
            raise
        return str(body["metadata"]["resourceVersion"])

    def write(self, bundle: Bundle, encoded: Mapping[str, bytes], over: StoredBundle) -> StoredBundle:
        """Write a bundle, which is given encoded as well, over the one that was read.

        Raises:
            ApiFailure: 409 where the Secret is not the one that was read any longer (another leader, an edit).
        """
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self._name, "namespace": self._namespace, "resourceVersion": over.version},
            "type": BUNDLE_TYPE,
            "data": {key: base64.b64encode(value).decode("ascii") for key, value in encoded.items()},
        }
        written = self._server.apply(self._path, body, OPERATOR)
        metadata = written["metadata"]
        return replace(over, uid=metadata["uid"], version=metadata["resourceVersion"], bundle=bundle, problem=None)
