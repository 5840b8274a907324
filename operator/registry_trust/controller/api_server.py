"""Requests to the API server by the official client: JSON objects in and out, each done by a deadline."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any

from kubernetes import client
from prometheus_client import Counter
from urllib3.exceptions import HTTPError

from registry_trust.controller.connection import CONNECT_TIMEOUT, Connector, within
from registry_trust.core.text import clip, escape
from registry_trust.process.unexpected import kind_of

PAGE = 500
"""Objects in one page of a LIST."""

MOST_PAGES = 1_000
"""Pages of one LIST, at most: a server that always names another one must not keep a pass for ever."""

LONGEST_CALL = 60.0
"""Seconds from the first byte of a request to the last one of its answer, at most."""

APPLY = "application/apply-patch+yaml"

_REQUESTS = Counter(
    "registry_trust_api_requests_total",
    "Requests to the API server, but for kopf's watches; code 0 where there was no answer.",
    ["verb", "resource", "code"],
)


@dataclass(frozen=True)
class ApiFailure(Exception):
    """A request that did not succeed.

    Attributes:
        status: the HTTP status, 0 where there was no answer.
        message: what the API server said.
        fields: the paths of what it refused, such as `status.failingNodes[0].reason`; empty where it named none.
    """

    status: int
    message: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.status or 'no answer'}: {self.message}"


class ApiServer:
    """A thin client. Thread-safe as far as the official client's connection pool is.

    `before_write` is called before each request that may change something, and may end the process: a leader that
    was stopped and goes on must not write what it decided before.
    """

    def __init__(
        self, connector: Connector, *, longest: float = LONGEST_CALL, before_write: Callable[[], None] = lambda: None
    ) -> None:
        self._connector = connector
        self._longest = longest
        self._before_write = before_write
        self.date: float | None = None
        """Unix time that the API server's last answer bore (RFC 9110 6.6.1); None before one did."""

    def get(self, path: str, *, metadata_only: bool = False) -> dict[str, Any]:
        """GET one object; with `metadata_only` as PartialObjectMetadata.

        Raises:
            ApiFailure: any answer but 200 with an object of the API, or none.
        """
        kind = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1" if metadata_only else "application/json"
        body = self._request("GET", path, accept=kind)
        if not isinstance(body.get("metadata"), dict):
            raise ApiFailure(0, "the answer is not an object of the API")
        return body

    def list(self, path: str, **query: str) -> tuple[int, list[dict[str, Any]]]:
        """LIST completely, page by page; return the list's resourceVersion and the objects.

        Raises:
            ApiFailure: a page failed; nothing is returned then, so that an incomplete list is never taken for one.
        """
        items: list[dict[str, Any]] = []
        version = 0
        for page in self._pages(path, query):
            version = _list_version(page)
            items.extend(page["items"])
        return version, items

    def list_version(self, path: str) -> int:
        """Return the resourceVersion that a LIST has now, without its objects but for one.

        Raises:
            ApiFailure: any answer but a list.
        """
        return _list_version(self._request("GET", path, {"limit": "1"}))

    def apply(self, path: str, body: Mapping[str, Any], manager: str) -> dict[str, Any]:
        """Server-side apply one object or its status; return it as it is then.

        Raises:
            ApiFailure: 409 where `body` carries a resourceVersion that is not the object's any longer.
        """
        return self._request("PATCH", path, {"fieldManager": manager, "force": "true"}, body, content_type=APPLY)

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST one object.

        Raises:
            ApiFailure: it was not created.
        """
        return self._request("POST", path, None, body)

    def replace(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """PUT one object.

        Raises:
            ApiFailure: 409 where it changed since it was read.
        """
        return self._request("PUT", path, None, body)

    def merge(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """PATCH one object by JSON merge.

        Raises:
            ApiFailure: it was not changed.
        """
        return self._request("PATCH", path, None, body, content_type="application/merge-patch+json")

    def patch(self, path: str, patch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """PATCH one object by a JSON patch (RFC 6902); return it as it is then.

        Raises:
            ApiFailure: it was not changed; 422 where a `test` of the patch failed.
        """
        return self._request("PATCH", path, None, patch, content_type="application/json-patch+json")

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        token = ""
        for _ in range(MOST_PAGES):
            parameters = {**query, "limit": str(PAGE), **({"continue": token} if token else {})}
            page = self._request("GET", path, parameters)
            yield page
            token = page["metadata"].get("continue") or ""
            if not token:
                return
        raise ApiFailure(0, f"the list does not end after {MOST_PAGES} pages")

    def _request(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> dict[str, Any]:
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        if verb != "GET":
            self._before_write()
        status, data = 0, b""
        try:
            api = self._connector.api()
            arguments = api.param_serialize(
                verb,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            with within(self._longest):
                answer = api.call_api(*arguments, _request_timeout=(min(CONNECT_TIMEOUT, self._longest), self._longest))
                data = answer.read()  # type: ignore[no-untyped-call]  # the client carries no types here
            status = int(answer.status)
            self.date = date_of(answer.getheader("Date")) or self.date  # type: ignore[no-untyped-call]
        except client.ApiException as error:
            status = int(error.status or 0)
            raise ApiFailure(status, clip(escape(str(error.reason or "")))) from None
        except (HTTPError, OSError) as error:
            raise ApiFailure(0, clip(escape(f"{type(error).__name__}: {error}"))) from None
        except (HTTPException, ValueError) as error:
            raise ApiFailure(0, kind_of(error)) from None  # Its text may repeat a header, such as the token.
        finally:
            _REQUESTS.labels(verb, resource_of(path), str(status)).inc()
        if not 200 <= status < 300:
            raise ApiFailure(status, _message(data), _refused_fields(data))
        try:
            result = json.loads(data)
        except (ValueError, RecursionError):
            result = None
        if not isinstance(result, dict):
            # A proxy's page, or an answer that was cut off: nobody knows what became of the request.
            raise ApiFailure(0, "the answer is not a JSON object")
        return result


def date_of(header: object) -> float | None:
    """Return the Unix time of a `Date` header; None where it is not one."""
    try:
        return parsedate_to_datetime(str(header)).timestamp()
    except (ValueError, OverflowError):
        return None


def _list_version(page: Mapping[str, Any]) -> int:
    """Return a list's resourceVersion; what has no list of objects beside it says nothing, and not "there is none"."""
    metadata, items = page.get("metadata"), page.get("items")
    if isinstance(metadata, dict) and isinstance(items, list) and all(isinstance(item, dict) for item in items):
        with suppress(KeyError, TypeError, ValueError):
            return int(metadata["resourceVersion"])
    raise ApiFailure(0, "the answer is not a list of objects")


def resource_of(path: str) -> str:
    """Return the kind of object that a path of the API server is about, as a label: never an object's name."""
    _, root, *rest = path.split("/")
    parts = rest[1:] if root == "api" else rest[2:]
    if parts[0] == "namespaces" and len(parts) > 2:
        parts = parts[2:]
    return "/".join([parts[0], *parts[2:]])


def _message(data: bytes) -> str:
    """Return what the API server said, without repeating what was sent to it."""
    try:
        return clip(escape(str(json.loads(data).get("message", "")), 512))
    except (ValueError, AttributeError, RecursionError):
        return "the answer is not JSON"


def _refused_fields(data: bytes) -> tuple[str, ...]:
    """Return the fields that a `Status` object names as causes (meta/v1 StatusDetails)."""
    try:
        causes = json.loads(data)["details"]["causes"]
        return tuple(escape(str(cause["field"])) for cause in causes)
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
