"""Watching one object by name: from resource version 0 with bookmarks, without a LIST, as long as the process runs."""

from __future__ import annotations

import http.client
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from registry_trust.agent.backoff import Random, after_refusal, full_jitter
from registry_trust.agent.delivery.api_client import APIServer, RequestFailed, Stream

SILENCE = 150.0
"""Seconds without a byte after which a stream counts as dead: the server sends a bookmark every 60 (with margin)."""

HEALTHY = 60.0
"""Seconds that a stream must live before earlier failures are forgotten."""

LINE_LIMIT = 8 << 20
"""Bytes of one event; a Secret of 1 MiB is 1.4 MiB of base64."""

GONE = 410
"""The resource version is too old: start again at 0."""

log = logging.getLogger(__name__)

Deliver = Callable[[str, dict[str, Any]], None]
"""Takes the type of an event (ADDED, MODIFIED, DELETED) and its object."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The one object to watch: the path of its collection, its name, and how it is called in logs."""

    path: str
    name: str
    title: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def query(self, resource_version: str) -> dict[str, str]:
        """Return the query of a watch that goes on from a resource version."""
        return {
            "watch": "true",
            # The API server charges a watch with this selector as one object, and RBAC by resourceNames allows it.
            "fieldSelector": f"metadata.name={self.name}",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
        }


@dataclass(slots=True)
class Progress:
    """Where a watch stands; `settle` decides what follows the end of a stream."""

    resource_version: str = "0"
    failures: int = 0

    def settle(self, failure: RequestFailed | None, lived: float, rand: Random) -> float:
        """Return the seconds to wait before the next stream.

        Args:
            failure: why the stream ended; None for a clean end by the server, as it does every half hour or so.
            lived: seconds that the stream lived.
            rand: a source of jitter.
        """
        if lived >= HEALTHY:
            self.failures = 0
        if failure is None and lived >= 1:
            return 0.5 + 1.5 * rand()
        self.failures += 1
        if failure is None:
            return full_jitter(self.failures, rand)
        if failure.status == GONE:
            self.resource_version = "0"
        return after_refusal(self.failures, failure.retry_after, rand)


class Watch:
    """A thread that keeps one watch open and hands each change of the object to `deliver`.

    It never gives up and never ends the process: what the node has stays what it is while the API server is away.
    """

    def __init__(
        self,
        server: APIServer,
        subject: Subject,
        deliver: Deliver,
        stop: threading.Event,
        *,
        rand: Random = random.random,
    ) -> None:
        self._server = server
        self._subject = subject
        self._deliver = deliver
        self._stopping = stop
        self._random = rand
        self._trouble = ""
        self.progress = Progress()

    def start(self) -> None:
        """Start the thread."""
        # Not a subclass of Thread: its private names grow (3.13 added `_handle`) and would meet ours.
        threading.Thread(target=self.run, name=f"watch-{self._subject.title}", daemon=True).start()

    def run(self) -> None:
        """Watch until told to stop."""
        while not self._stopping.is_set():
            began = time.monotonic()
            failure: RequestFailed | None = None
            try:
                self._stream()
            except RequestFailed as error:
                failure = error
            except Exception as error:  # A thread that dies silently would leave the node with old files for ever.
                log.exception("watch of the %s: unexpected error", self._subject.title)
                failure = RequestFailed(f"{type(error).__name__}")
            self._tell(failure)
            self._stopping.wait(self.progress.settle(failure, time.monotonic() - began, self._random))

    def _stream(self) -> None:
        stream = self._server.open(
            "GET",
            self._subject.path,
            query=self._subject.query(self.progress.resource_version),
            headers=self._subject.headers,
        )
        try:
            stream.limit_silence(SILENCE)
            self._tell(None)
            while (line := self._line(stream)) and not self._stopping.is_set():
                self._take_line(line)
        finally:
            stream.close()

    def _line(self, stream: Stream) -> bytes:
        try:
            line = stream.response.readline(LINE_LIMIT)
        except TimeoutError as error:
            raise RequestFailed(f"no word from the server for {SILENCE:g} seconds") from error
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            # http.client has no file object any more where the connection broke inside a chunk.
            raise RequestFailed(f"{type(error).__name__}: {error}") from error
        if line and not line.endswith(b"\n"):
            raise RequestFailed("the stream broke inside an event")
        return line

    def _take_line(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            kind, subject = event["type"], event["object"]
            metadata = subject.get("metadata") or {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RequestFailed(f"no watch event ({type(error).__name__})") from error
        if kind == "ERROR":
            details = subject.get("details") or {}
            raise RequestFailed(
                str(subject.get("message", "error in the stream")),
                status=int(subject.get("code") or 0),
                retry_after=float(details.get("retryAfterSeconds") or 0),
            )
        if kind != "BOOKMARK" and metadata.get("name") == self._subject.name:
            self._deliver(kind, subject)
        # Only now: an event that could not be handled comes again.
        self.progress.resource_version = str(metadata.get("resourceVersion") or self.progress.resource_version)

    def _tell(self, failure: RequestFailed | None) -> None:
        """Log a change of the watch's state, once."""
        if failure is None:
            if self._trouble:
                log.info("watch of the %s is back", self._subject.title)
            self._trouble = ""
            return
        trouble = f"{failure.status}" if failure.status else str(failure)
        if failure.status != GONE and trouble != self._trouble:
            log.warning("watch of the %s failed, files stay as they are: %s", self._subject.title, failure)
            self._trouble = trouble
