"""Events, in Kubernetes' own shape: the same one again is counted up; and a line in the log for each."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.budget import Budget
from registry_trust.controller.clock import Clock
from registry_trust.controller.transitions import NOTE_LIMIT, Event
from registry_trust.core.names import API_VERSION, PRODUCT
from registry_trust.core.text import clip
from registry_trust.core.times import rfc3339

_log = logging.getLogger(__name__)

EVENTS = "/api/v1/namespaces/default/events"
"""Events about cluster-scoped objects live in the namespace `default` (Kubernetes convention)."""

_OF_NODES = frozenset({"Distribute", "Distributed", "Repair", "Start"})
"""Actions of Events that a node's report can bring about: only these have a budget, so they can't use up others'."""

BURST_OF_EACH, SECONDS_OF_EACH = 20, 30.0
"""Events that nodes bring about, of one object: so many at once, and then one in so many seconds."""

BURST_OF_ALL, SECONDS_OF_ALL = 200, 1.0
"""The same of all objects."""

MOST_OBJECTS = 10_000
"""Objects whose budgets are remembered; beyond that all are forgotten, and the budget of all still holds."""

MOST_ALIKE, ALIKE_SECONDS = 10, 600.0
"""Events of one object, type and reason that differ in their text, before more within that time share one object.

These are the limits of client-go's EventCorrelator, so that admins find what they know from other controllers.
"""

COMBINED = "(combined from similar events): "

_OF_THE_FIRST = frozenset({"apiVersion", "kind", "metadata", "firstTimestamp", "count"})
"""Fields of an Event's object that stay when it is told again."""

HIGHEST_COUNT = 2**31 - 1
"""`count` is an int32."""

_CALLED = {"RegistryTrust": "trust", "Node": "node", "CustomResourceDefinition": "crd"}
"""How a log calls what an Event is about."""


@dataclass(frozen=True, slots=True)
class About:
    """The cluster-scoped object that an Event is about; it may be gone already."""

    kind: str
    name: str
    uid: str
    api_version: str = API_VERSION


class Similar:
    """Tells which Events are one object; all moments are seconds of a steady clock."""

    def __init__(self) -> None:
        self._texts: dict[str, tuple[set[str], float]] = {}

    def identify(self, about: About, event: Event, now: float) -> tuple[str, str]:
        """Return the name of the Event's object, the same for the same Event after a restart, too; and its message."""
        kin = _digest(about.kind, about.name, about.uid, event.kind, event.problem.reason)
        if len(self._texts) >= MOST_OBJECTS:
            self._texts.clear()
        texts, last = self._texts.get(kin, (set(), now))
        if now - last > ALIKE_SECONDS:
            texts = set()
        own = _digest(kin, event.problem.message)
        combined = own not in texts and len(texts) >= MOST_ALIKE
        if not combined:
            texts.add(own)
        self._texts[kin] = (texts, now)
        message = clip(COMBINED + event.problem.message, NOTE_LIMIT) if combined else event.problem.message
        return f"{about.name[:200].rstrip('.-')}.{kin if combined else own}", message


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class Events:
    """Tells of transitions; an Event that can't be written is only logged, and never tried again.

    What nodes bring about too often is neither: the next one, and the status, say how things are then.
    """

    def __init__(self, server: ApiServer, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._similar = Similar()
        self._counts: dict[str, int] = {}
        """How often an Event was told, by the name of its object, as far as this process wrote it."""
        self._all = Budget(BURST_OF_ALL, SECONDS_OF_ALL)
        self._each: dict[tuple[str, str], Budget] = {}

    def tell(self, about: About, event: Event, serial: int) -> None:
        """Write one Event; `serial` is the bundle's at that moment, for the log."""
        moment = self._clock.steady()
        if event.action in _OF_NODES and not self._affordable(about, moment):
            return
        level = logging.WARNING if event.kind == "Warning" else logging.INFO
        who = {_CALLED[about.kind]: about.name}
        _log.log(level, event.problem.reason, extra={**who, "serial": serial, "note": event.problem.message})
        try:
            self._write(_event(about, event, self._clock.date(), *self._similar.identify(about, event, moment)))
        except ApiFailure as error:
            _log.info("event not written", extra={**who, "error": str(error)})

    def _write(self, event: dict[str, Any]) -> None:
        name = event["metadata"]["name"]
        if len(self._counts) >= MOST_OBJECTS:
            self._counts.clear()
        try:
            count = self._counts.get(name) or self._create(event)
            if count:
                count = min(count + 1, HIGHEST_COUNT)
                self._repeat(event, count=count)
                self._counts[name] = count
        except ApiFailure as error:
            if error.status != 404:
                raise
            self._create(event)  # Events live for an hour or so.

    def _create(self, event: dict[str, Any]) -> int:
        """Make an Event; return how often it was told before, as an earlier process may have done."""
        try:
            self._server.create(EVENTS, event)
        except ApiFailure as error:
            if error.status != 409:
                raise
            # A PATCH answers with the whole object, so that no right to read Events is needed.
            return max(1, int(self._repeat(event).get("count") or 1))
        self._counts[event["metadata"]["name"]] = 1
        return 0

    def _repeat(self, event: dict[str, Any], **fields: int) -> dict[str, Any]:
        # The whole of it but its beginning: whoever took the name before must not have taken the Event away.
        changed = {key: value for key, value in event.items() if key not in _OF_THE_FIRST} | fields
        about = dict.fromkeys(("namespace", "fieldPath", "resourceVersion")) | event["involvedObject"]
        return self._server.merge(f"{EVENTS}/{event['metadata']['name']}", {**changed, "involvedObject": about})

    def _affordable(self, about: About, now: float) -> bool:
        if len(self._each) >= MOST_OBJECTS:
            self._each.clear()
        each = self._each.setdefault((about.kind, about.name), Budget(BURST_OF_EACH, SECONDS_OF_EACH))
        return each.take(now) and self._all.take(now)


def _event(about: About, event: Event, now: datetime, name: str, message: str) -> dict[str, Any]:
    # A core/v1 Event with its times: kubectl sorts what it describes by them, and events.k8s.io forbids to set them.
    moment = rfc3339(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "default"},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "type": event.kind,
        "reason": event.problem.reason,
        "message": message,
        "source": {"component": PRODUCT},
        "involvedObject": {"apiVersion": about.api_version, "kind": about.kind, "name": about.name, "uid": about.uid},
    }
