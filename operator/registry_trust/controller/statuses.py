"""Statuses: which trusts may have a new one, what it is, and its one write, with the Events that go with it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from registry_trust.api.trust_status import MAXIMUM_FAILING_NODES
from registry_trust.compiler.compile import Compiled, Outcome
from registry_trust.compiler.fleet import Fleet, NodeState
from registry_trust.compiler.status import make_status, timestamp
from registry_trust.controller import metrics
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.cluster import Cluster, key_and_version, read_trust
from registry_trust.controller.settings import FIELD_MANAGER, GROUP, TRUSTS, VERSION
from registry_trust.controller.transitions import Notice, notices

_log = logging.getLogger(__name__)

EVENTS = "/api/v1/namespaces/default/events"
"""Events about cluster-scoped objects live in the namespace `default` (Kubernetes convention)."""


class StatusWriter:
    """Writes the statuses of the trusts that were touched since the last time."""

    def __init__(self, server: ApiServer, cluster: Cluster) -> None:
        self._server = server
        self._cluster = cluster
        self._touched: set[str] = set()

    def touch(self, names: set[str]) -> None:
        """Remember trusts whose status may not be right any more."""
        self._touched |= names

    def touch_all(self, names: set[str]) -> None:
        """Remember every trust: time has passed, and dates may have come."""
        self._touched |= names

    def pending(self) -> bool:
        """Say whether a status may have to be written."""
        return bool(self._touched)

    def write(self, compiled: Compiled, fleet: Fleet, now: datetime) -> None:
        """Write each touched status that differs from the object's; one that fails is tried again."""
        names, self._touched = self._touched, set()
        for name in sorted(names):
            outcome = compiled.outcomes.get(name)
            found = self._cluster.trusts.get(name)
            if outcome is None or found is None or found.input.generation != outcome.generation:
                continue  # Gone, or newer than what was compiled: its next pass writes it.
            standing = fleet.standing(name, MAXIMUM_FAILING_NODES)
            status = make_status(outcome, standing, now, found.status)
            _measure(outcome, standing.counts)
            if status == found.status:
                continue
            try:
                self._apply(name, status)
            except ApiFailure as error:
                metrics.STATUS_WRITES.labels("failure").inc()
                _log.warning("status not written", extra={"trust": name, "error": str(error)})
                if error.status != 404:
                    self._touched.add(name)
                continue
            metrics.STATUS_WRITES.labels("success").inc()
            self._tell(outcome, found.status, status, now)
        metrics.TRUSTS.labels("true").set(sum(o.accepted for o in compiled.outcomes.values()))
        metrics.TRUSTS.labels("false").set(sum(not o.accepted for o in compiled.outcomes.values()))

    def _apply(self, name: str, status: Mapping[str, Any]) -> None:
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "RegistryTrust",
            "metadata": {"name": name},
            "status": status,
        }
        written = self._server.apply(f"{TRUSTS}/{name}/status", body, FIELD_MANAGER)
        key, version = key_and_version(written)
        self._cluster.trusts.put(key, version, read_trust(written))

    def _tell(self, outcome: Outcome, before: Mapping[str, Any], after: Mapping[str, Any], now: datetime) -> None:
        for notice in notices(before, after):
            level = logging.WARNING if notice.kind == "Warning" else logging.INFO
            _log.log(level, notice.reason, extra={"trust": outcome.name, "note": notice.note})
            try:
                self._server.create(EVENTS, _event(outcome, notice, now))
            except ApiFailure as error:
                _log.info("event not written", extra={"trust": outcome.name, "error": str(error)})


def _event(outcome: Outcome, notice: Notice, now: datetime) -> dict[str, Any]:
    # A core/v1 Event with its times: kubectl sorts what it describes by them, and events.k8s.io forbids to set them.
    moment = timestamp(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{outcome.name[:200].rstrip('.-')}.{uuid.uuid4().hex[:16]}", "namespace": "default"},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
        "type": notice.kind,
        "reason": notice.reason,
        "message": notice.note,
        "source": {"component": "registry-trust"},
        "involvedObject": {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "RegistryTrust",
            "name": outcome.name,
            "uid": outcome.uid,
        },
    }


def _measure(outcome: Outcome, counts: Mapping[NodeState, int]) -> None:
    for state in NodeState:
        metrics.NODES.labels(outcome.name, state.value).set(counts[state])
    ends: dict[str, float] = {}
    for certificate in outcome.certificates:
        kind, end = certificate.facts.kind.value, certificate.facts.not_after.timestamp()
        ends[kind] = min(end, ends.get(kind, end))
    for kind, end in ends.items():
        metrics.EXPIRY.labels(outcome.name, kind).set(end)
