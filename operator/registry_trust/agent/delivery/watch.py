"""Watching one object by name: always from resource version 0, without a LIST, as long as the process runs."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from registry_trust.agent.backoff import Random, after_refusal, full_jitter
from registry_trust.agent.delivery.api_client import APIServer, RequestFailed, Stream, retry_after
from registry_trust.core.text import escape
from registry_trust.process.unexpected import kind_of

SILENCE = 80.0
"""Seconds for the next event, whole: the server sends a bookmark every 60 (cacher.go, defaultBookmarkFrequency).

The kernel notices packets that are dropped (`process.keepalive`); a proxy that has lost its other side acknowledges on,
and nothing but this ends such a stream."""

UNMARKED = 240.0
"""Seconds that a stream may bring anything but a bookmark: then it is not the API server's own."""

RENEWAL = 600.0
"""Seconds (jittered) that a stream lives at most, however well it does."""

HEALTHY = 60.0
"""Seconds that a stream must live before earlier failures are forgotten."""

LINE_LIMIT = 8 << 20
"""Bytes of one event; a Secret of 1 MiB is 1.4 MiB of base64."""

ABSENT = "ABSENT"
"""Our own type of event: a stream brought a bookmark before the object, so there is none."""

log = logging.getLogger(__name__)

Deliver = Callable[[str, dict[str, Any]], None]
"""Takes the type of an event (ADDED, MODIFIED, DELETED; ABSENT without an object) and its object."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The one object to watch: the path of its collection, its name, and how it is called in logs."""

    path: str
    name: str
    title: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def query(self) -> dict[str, str]:
        """Return the query of a watch.

        It begins at 0 each time: the server sends the object as it is now, and nobody waits for a resource version that
        an etcd restored from a backup has not reached again. Such a watch brings nothing, and no error.
        """
        return {
            "watch": "true",
            # The API server charges a watch with this selector as one object, and RBAC by resourceNames allows it.
            "fieldSelector": f"metadata.name={self.name}",
            "resourceVersion": "0",
            "allowWatchBookmarks": "true",
        }


@dataclass(slots=True)
class Pulse:
    """The signs of life of one stream, in monotonic seconds."""

    renewal: float
    """When it is to be replaced in any case."""
    marked: float
    """When the last bookmark came; at first, when the stream began."""

    def patience(self, now: float) -> float:
        """Return the seconds that the next event may take; 0 or less ends the stream now."""
        return min(SILENCE, self.marked + UNMARKED - now, self.renewal - now)

    def fault(self, now: float) -> str:
        """Say why a stream whose patience is over has failed; empty where only its time was up."""
        if now >= self.renewal:
            return ""
        if now >= self.marked + UNMARKED:
            return f"no bookmark from the server for {UNMARKED:g} seconds"
        return f"no data from the server for {SILENCE:g} seconds"


@dataclass(slots=True)
class Progress:
    """How a watch fared so far; `settle` decides what follows the end of a stream."""

    failures: int = 0

    def settle(self, failure: RequestFailed | None, lived: float, rand: Random) -> float:
        """Return the seconds to wait before the next stream.

        Args:
            failure: why the stream ended; None for a clean end.
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
        return after_refusal(self.failures, failure.retry_after, rand)


class Watch:
    """Keeps one watch open and hands each change of the object to `deliver`.

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
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._subject = subject
        self._deliver = deliver
        self._stopping = stop
        self._random = rand
        self._monotonic = monotonic
        self._trouble = ""
        self._progress = Progress()

    def run(self) -> None:
        """Watch until told to stop."""
        while not self._stopping.is_set():
            began = self._monotonic()
            failure: RequestFailed | None = None
            try:
                self._stream()
            except RequestFailed as error:
                failure = error
            except Exception as error:  # noqa: BLE001 - whatever a stream brings, the next one is opened after a pause
                failure = RequestFailed(kind_of(error))
            self._tell(failure)
            self._stopping.wait(self._progress.settle(failure, self._monotonic() - began, self._random))

    def _stream(self) -> None:
        stream = self._server.open(
            "GET", self._subject.path, query=self._subject.query(), headers=self._subject.headers
        )
        try:
            self._tell(None)
            now = self._monotonic()
            self._follow(stream, Pulse(now + RENEWAL * (0.8 + 0.4 * self._random()), now))
        finally:
            stream.close()

    def _follow(self, stream: Stream, pulse: Pulse) -> None:
        seen = False
        while not self._stopping.is_set():
            patience = pulse.patience(self._monotonic())
            try:
                line = stream.line(LINE_LIMIT, patience) if patience > 0 else None
            except TimeoutError:
                line = None
            if line is None:
                if fault := pulse.fault(self._monotonic()):
                    raise RequestFailed(fault)
                return
            if not line:
                return
            kind, subject = _event(line)
            if kind == "BOOKMARK":
                pulse.marked = self._monotonic()
                if not seen:  # Bookmarks come after the object as it was when the stream began.
                    self._deliver(ABSENT, {})
                seen = True
            elif (subject.get("metadata") or {}).get("name") == self._subject.name:
                seen = True
                self._deliver(kind, subject)

    def _tell(self, failure: RequestFailed | None) -> None:
        """Log a change of the watch's state, once."""
        if failure is None:
            if self._trouble:
                log.info("watch of the %s is back", self._subject.title)
            self._trouble = ""
            return
        trouble = f"{failure.status}" if failure.status else str(failure)
        if trouble != self._trouble:
            log.warning("watch of the %s failed, files stay as they are: %s", self._subject.title, failure)
            self._trouble = trouble


def _event(line: bytes) -> tuple[str, dict[str, Any]]:
    """Return the type and the object of one event.

    Raises:
        RequestFailed: it is none, or it says that the stream has failed.
    """
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        event = None
    kind, subject = (event.get("type"), event.get("object")) if isinstance(event, dict) else (None, None)
    if not isinstance(kind, str) or not isinstance(subject, dict):
        raise RequestFailed("the server sent a line that is not a watch event")
    if kind == "ERROR":
        code, details = subject.get("code"), subject.get("details")
        wait = details.get("retryAfterSeconds") if isinstance(details, dict) else None
        raise RequestFailed(
            escape(str(subject.get("message", "error in the stream"))),
            status=code if isinstance(code, int) else 0,
            retry_after=retry_after(str(wait)),
        )
    return kind, subject
