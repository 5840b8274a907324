"""Events: one write each, in Kubernetes' own shape, and a line in the log beside it."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.budget import Budget
from registry_trust.controller.transitions import Notice
from registry_trust.core.names import API_VERSION, PRODUCT
from registry_trust.core.times import rfc3339

_log = logging.getLogger(__name__)

EVENTS = "/api/v1/namespaces/default/events"
"""Events about cluster-scoped objects live in the namespace `default` (Kubernetes convention)."""

_OF_NODES = frozenset({"Distribute", "Distributed", "Repair"})
"""Actions of Events that a node's report can bring about: only these have a budget, so they can't use up others'."""

BURST_OF_EACH, SECONDS_OF_EACH = 20, 30.0
"""Events that nodes bring about, of one object: so many at once, and then one in so many seconds."""

BURST_OF_ALL, SECONDS_OF_ALL = 200, 1.0
"""The same of all objects."""

MOST_OBJECTS = 10_000
"""Objects whose budgets are remembered; beyond that all are forgotten, and the budget of all still holds."""

_CALLED = {"RegistryTrust": "trust", "Node": "node"}
"""How a log calls what an Event is about."""


@dataclass(frozen=True, slots=True)
class About:
    """The cluster-scoped object that an Event is about; it may be gone already."""

    kind: str
    name: str
    uid: str
    api_version: str = API_VERSION


class Events:
    """Tells of transitions; an Event that can't be written is only logged, and never tried again.

    What nodes bring about too often is neither: the next one, and the status, say how things are then.
    """

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._all = Budget(BURST_OF_ALL, SECONDS_OF_ALL)
        self._each: dict[tuple[str, str], Budget] = {}

    def tell(self, about: About, notice: Notice, now: datetime, serial: int) -> None:
        """Write one Event; `serial` is the bundle's at that moment, for the log."""
        if notice.action in _OF_NODES and not self._affordable(about, time.monotonic()):
            return
        level = logging.WARNING if notice.kind == "Warning" else logging.INFO
        who = {_CALLED[about.kind]: about.name}
        _log.log(level, notice.reason, extra={**who, "serial": serial, "note": notice.note})
        try:
            self._server.create(EVENTS, _event(about, notice, now))
        except ApiFailure as error:
            _log.info("event not written", extra={**who, "error": str(error)})

    def _affordable(self, about: About, now: float) -> bool:
        if len(self._each) >= MOST_OBJECTS:
            self._each.clear()
        each = self._each.setdefault((about.kind, about.name), Budget(BURST_OF_EACH, SECONDS_OF_EACH))
        return each.take(now) and self._all.take(now)


def _event(about: About, notice: Notice, now: datetime) -> dict[str, Any]:
    # A core/v1 Event with its times: kubectl sorts what it describes by them, and events.k8s.io forbids to set them.
    moment = rfc3339(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{about.name[:200].rstrip('.-')}.{uuid.uuid4().hex[:16]}", "namespace": "default"},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "type": notice.kind,
        "reason": notice.reason,
        "message": notice.note,
        "source": {"component": PRODUCT},
        "involvedObject": {"apiVersion": about.api_version, "kind": about.kind, "name": about.name, "uid": about.uid},
    }
