"""The bundle's Secret: read whole when it changed under us, written whole, and only over what was read."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace

from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.settings import FIELD_MANAGER
from registry_trust.core.bundle import SECRET_TYPE, Bundle
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.errors import UnusableBundle
from registry_trust.core.reasons import Reason
from registry_trust.core.removal_hold import CONFIRM_ANNOTATION


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """The Secret as it was read or written last.

    `problem` is set where it holds no bundle that could be understood; `bundle` is then an empty one.
    """

    uid: str
    version: str
    bundle: Bundle
    confirmed_serial: int = 0
    problem: UnusableBundle | None = None


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
        body = self._server.get(self._path)
        metadata = body["metadata"]
        try:
            data = {key: base64.b64decode(value) for key, value in (body.get("data") or {}).items()}
            bundle, problem = decode(data), None
        except UnusableBundle as error:
            bundle, problem = Bundle(), error
        except (binascii.Error, ValueError):
            problem = UnusableBundle(Reason.BUNDLE_UNREADABLE, "the bundle's data is not base64")
            bundle = Bundle()
        annotation = (metadata.get("annotations") or {}).get(CONFIRM_ANNOTATION, "")
        return StoredBundle(
            uid=metadata["uid"],
            version=metadata["resourceVersion"],
            bundle=bundle,
            confirmed_serial=int(annotation) if annotation.isdecimal() else 0,
            problem=problem,
        )

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

    def write(self, bundle: Bundle, over: StoredBundle) -> StoredBundle:
        """Write a bundle over the one that was read.

        Raises:
            ApiFailure: 409 where the Secret is not the one that was read any more (another leader, an edit).
        """
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self._name, "namespace": self._namespace, "resourceVersion": over.version},
            "type": SECRET_TYPE,
            "data": {key: base64.b64encode(value).decode("ascii") for key, value in encode(bundle).items()},
        }
        written = self._server.apply(self._path, body, FIELD_MANAGER)
        metadata = written["metadata"]
        return replace(over, uid=metadata["uid"], version=metadata["resourceVersion"], bundle=bundle, problem=None)
