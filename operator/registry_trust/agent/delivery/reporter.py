"""The reporter: writes this node's NodeTrust object when it changed, spread over the fleet, and now and then."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from registry_trust.agent.backoff import Random, after_refusal
from registry_trust.agent.delivery.api_client import APIServer, RequestFailed
from registry_trust.agent.delivery.report_rate import ReportRate
from registry_trust.core.conditions import merge
from registry_trust.core.names import AGENT, API_VERSION, PRODUCT, REPORTS
from registry_trust.core.readiness import node_conditions
from registry_trust.core.report import NodeReport
from registry_trust.core.report_format import encode_report
from registry_trust.core.times import rfc3339

REPEAT = 900.0
"""Seconds (jittered) after which an unchanged report is applied again: one that was lost comes back."""

IDLE = 60.0
"""Seconds (jittered) after which the connection is used for its own sake: kube-apiserver closes one after 90 (Go's
`IdleTimeout` in secure_serving.go). Else each rotation would begin with a TLS handshake of every node."""

OVERLOADED = frozenset({429, 500, 503, 504})
"""HTTP statuses of a server that has too much to do."""

log = logging.getLogger(__name__)


def node_trust(
    node: str, node_uid: str, report: NodeReport, previous: Iterable[Mapping[str, Any]] = (), now: str = rfc3339(0)
) -> dict[str, Any]:
    """Return the whole object for server-side apply; the Node owns it, so it goes with the Node.

    Args:
        node: the Node's name.
        node_uid: the Node's UID.
        report: what is to be said of it.
        previous: the conditions that the object has, for the transition times that stay.
        now: the time, as RFC 3339 has it, that the others get.
    """
    conditions = merge(previous, node_conditions(report), None, now)
    return {
        "apiVersion": API_VERSION,
        "kind": "NodeTrust",
        "metadata": {
            "name": node,
            "labels": {
                "app.kubernetes.io/name": PRODUCT,
                "app.kubernetes.io/component": "agent",
                "app.kubernetes.io/part-of": PRODUCT,
                "app.kubernetes.io/managed-by": AGENT,
            },
            # Applied as a whole by one manager: the UID of an earlier Node of this name goes.
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node, "uid": node_uid}],
        },
        "status": {**encode_report(report), "conditions": conditions},
    }


class Reporter:
    """A thread with one slot: the latest report. A failure delays reports, never files."""

    def __init__(
        self,
        server: APIServer,
        node: str,
        stop: threading.Event,
        written: Callable[[], None],
        *,
        rand: Random = random.random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._server = server
        self._node = node
        self._stopping = stop
        self._written = written
        self._random = rand
        self._wall = wall
        self._conditions: list[Mapping[str, Any]] | None = None
        """The conditions that the object has; None until it was asked for them."""
        self._condition = threading.Condition()
        self._wanted: tuple[str, NodeReport] | None = None
        self._changed = False
        self._due = float("inf")
        self._failures = 0
        self._fleet_size = 0
        self._rate = ReportRate()

    def submit(self, node_uid: str, report: NodeReport, fleet_size: int) -> bool:
        """Hand in the latest report; say whether it differs from the last one handed in."""
        with self._condition:
            if (node_uid, report) == self._wanted:
                return False
            if not self._failures and not self._changed:
                # One that waits already keeps its time: else a node that changes often would never report.
                self._due = time.monotonic() + self._rate.spread(fleet_size, self._random)
            self._fleet_size = fleet_size
            self._wanted = node_uid, report
            self._changed = True
            self._condition.notify()
            return True

    def withhold(self) -> None:
        """Report nothing until the next `submit`: the Node object is gone."""
        with self._condition:
            self._wanted, self._due, self._changed = None, float("inf"), False
            self._conditions = None  # The next report is another object.

    def run(self) -> None:
        """Write reports until told to stop."""
        idle = time.monotonic() + self._jittered(IDLE)
        while not self._stopping.is_set():
            with self._condition:
                now = time.monotonic()
                if now < min(self._due, idle):
                    self._condition.wait(min(self._due, idle) - now)
                    continue
                reporting = now >= self._due
                wanted = self._wanted
                self._changed = self._changed and not reporting
            if not reporting:
                self._server.stay_connected()
            elif wanted is not None:
                self._write(*wanted)
            idle = time.monotonic() + self._jittered(IDLE)

    def _write(self, node_uid: str, report: NodeReport) -> None:
        pause = self._apply(node_uid, report)
        with self._condition:
            if self._wanted and (self._failures or not self._changed):
                self._due = time.monotonic() + pause

    def _apply(self, node_uid: str, report: NodeReport) -> float:
        """Write a report and return the seconds until it is to be written again."""
        began = time.monotonic()
        try:
            if self._conditions is None:
                self._conditions = self._ask()
            trust = node_trust(self._node, node_uid, report, self._conditions, rfc3339(self._wall()))
            body = json.dumps(trust, separators=(",", ":"), sort_keys=True).encode()
            self._server.call(
                "PATCH",
                f"{REPORTS}/{self._node}",
                query={"fieldManager": AGENT, "force": "true"},
                headers={"Content-Type": "application/apply-patch+yaml"},
                body=body,
            )
        except RequestFailed as error:
            self._failures += 1
            if self._failures == 1:
                log.warning("report can't be written, files are not affected: %s", error)
            pause = after_refusal(self._failures, error.retry_after, self._random)
            if error.status not in OVERLOADED:
                return pause
            self._rate.slow_down()
            return max(pause, self._rate.spread(self._fleet_size, self._random))
        if self._failures:
            log.info("reports are written again")
        self._failures = 0
        self._conditions = trust["status"]["conditions"]
        self._rate.answered(time.monotonic() - began)
        self._written()
        return self._jittered(REPEAT)

    def _jittered(self, seconds: float) -> float:
        return seconds * (0.75 + self._random() / 2)

    def _ask(self) -> list[Mapping[str, Any]]:
        """Return the conditions that an earlier process left: a PATCH of nothing answers with the whole object.

        So no right to read reports is needed.

        Raises:
            RequestFailed: the API server did not say.
        """
        path, content_type = f"{REPORTS}/{self._node}", "application/merge-patch+json"
        try:
            found = self._server.call("PATCH", path, headers={"Content-Type": content_type}, body=b"{}")
        except RequestFailed as error:
            if error.status == 404:
                return []
            raise
        status = found.get("status")
        conditions = status.get("conditions") if isinstance(status, dict) else None
        rows = conditions if isinstance(conditions, list) else []
        # A time of another type would have every report refused.
        return [row for row in rows if isinstance(row, dict) and isinstance(row.get("lastTransitionTime"), str)]
