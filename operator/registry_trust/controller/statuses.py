"""Statuses: which trusts may have a new one, what it is, and its one write, with the Events that go with it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from registry_trust.compiler.compile import Compiled, Outcome
from registry_trust.compiler.fleet import Fleet, Standing
from registry_trust.compiler.kinds import TRUST
from registry_trust.compiler.node_standing import NodeState
from registry_trust.compiler.served_certificates import states, that_matter
from registry_trust.compiler.status import make_status, without
from registry_trust.controller import metrics
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.clock import Clock
from registry_trust.controller.cluster import ClusterMap
from registry_trust.controller.delays import Delays
from registry_trust.controller.events import About, Events
from registry_trust.controller.pace import Pace
from registry_trust.controller.transitions import events
from registry_trust.core.certificate_state import CertificateState
from registry_trust.core.names import API_VERSION, MAXIMUM_FAILING_NODES, OPERATOR, TRUSTS
from registry_trust.core.trust import Verification
from registry_trust.core.verdict.verdict import State

_log = logging.getLogger(__name__)

NODE_PAUSE = 5.0
"""Seconds between two writes of a trust's status that only nodes ask for: a report that flaps must not flood.

Once no node is on its way any longer, one write comes at once: who waits for `Distributed` waits for the last node.
"""

LONGEST_ROUND = 20.0
"""Seconds after which one round writes no more statuses: while an API server is slow, or does not answer at all, a
thousand of them must keep neither the bundle nor the kubelet's question for the last pass waiting."""

LONGEST_PAUSE = 60.0
"""Seconds between two tries to write a status that the API server refuses, at most."""


class StatusWriter:
    """Writes the statuses of the trusts that were touched since the last time."""

    def __init__(
        self,
        server: ApiServer,
        cluster: ClusterMap,
        events: Events,
        delays: Delays,
        expiry_warning: timedelta,
        clock: Clock,
    ) -> None:
        self._server = server
        self._cluster = cluster
        self._events = events
        self._delays = delays
        self._expiry_warning = expiry_warning
        self._clock = clock
        self._touched: set[str] = set()
        self._pace = Pace(NODE_PAUSE)
        self._failed: dict[str, tuple[int, float]] = {}
        """By trust: writes that failed in a row, and the steady time before which none is tried."""

    def touch(self, names: set[str]) -> None:
        """Remember trusts whose status may not be right any longer."""
        self._touched |= names

    def touch_for_nodes(self, names: set[str]) -> None:
        """Remember trusts whose status may not be right any longer, only because of what nodes say."""
        self._pace.ask(names)

    def pending(self) -> bool:
        """Say whether a status may have to be written."""
        return bool(self._touched or self._pace.asked)

    def write(self, compiled: Compiled, fleet: Fleet) -> None:
        """Write each touched status that differs from the object's; one that fails is tried again."""
        now, moment = self._clock.date(), self._clock.steady()
        self._pace.withdraw(self._touched)
        names, self._touched = self._touched | self._pace.take_due(moment, fleet.is_settled), set()
        waiting = {name for name in names if moment < self._failed.get(name, (0, 0.0))[1]}
        names -= waiting
        self._touched |= waiting
        # Those that fail come last: however long each takes, the others have their turn.
        ordered = sorted(names, key=lambda name: (self._failed.get(name, (0, 0.0))[0], name))
        for place, name in enumerate(ordered, start=1):
            self._look(name, compiled, fleet, now)
            if self._clock.steady() - moment >= LONGEST_ROUND:
                self._touched.update(ordered[place:])
                break
        metrics.EACH_TRUST.forget_all_but(set(compiled.outcomes))
        self._delays.forget_all_but(set(compiled.outcomes))
        self._pace.forget_all_but(set(compiled.outcomes))
        for name in self._failed.keys() - compiled.outcomes.keys():
            del self._failed[name]
        metrics.TRUSTS.labels("true").set(sum(o.accepted for o in compiled.outcomes.values()))
        metrics.TRUSTS.labels("false").set(sum(not o.accepted for o in compiled.outcomes.values()))

    def _look(self, name: str, compiled: Compiled, fleet: Fleet, now: datetime) -> None:
        """Write one status, with its Events, if it differs from the object's."""
        outcome = compiled.outcomes.get(name)
        found = self._cluster.trusts.get(name)
        if outcome is None or found is None or found.generation != outcome.generation:
            return  # Gone, or newer than what was compiled: its next pass writes it.
        standing = fleet.standing(name, MAXIMUM_FAILING_NODES)
        status = make_status(outcome, standing, now, found.status, expiry_warning=self._expiry_warning)
        _measure(outcome, standing, now, self._expiry_warning)
        self._delays.stand(outcome, distributed=_is_distributed(status), now=self._clock.steady())
        if status == found.status:
            return
        written = self._put(name, status)
        if written is None:
            return
        about = About("RegistryTrust", name, outcome.uid)
        for event in events(found.status, written):
            self._events.tell(about, event, compiled.bundle.serial)

    def _put(self, name: str, status: dict[str, Any]) -> dict[str, Any] | None:
        """Write one status, without what the API server refuses of it; return what was written, None if nothing was."""
        error = self._try(name, status)
        if error is None:
            self._failed.pop(name, None)
            return status
        if error.status == 404:
            return None
        failures = self._failed.get(name, (0, 0.0))[0] + 1
        self._failed[name] = (failures, self._clock.steady() + min(LONGEST_PAUSE, 2.0 ** min(failures, 16) / 2))
        servable = without(status, error.fields) if error.status == 422 else status
        if servable != status and self._try(name, servable) is None:
            _log.error("status written without what was refused", extra={"trust": name, "fields": error.fields})
            return servable
        self._touched.add(name)
        return None

    def _try(self, name: str, status: Mapping[str, Any]) -> ApiFailure | None:
        try:
            self._apply(name, status)
        except ApiFailure as error:
            metrics.STATUS_WRITES.labels("failure").inc()
            _log.warning("status not written", extra={"trust": name, "error": str(error)})
            return error
        metrics.STATUS_WRITES.labels("success").inc()
        return None

    def _apply(self, name: str, status: Mapping[str, Any]) -> None:
        body = {
            "apiVersion": API_VERSION,
            "kind": "RegistryTrust",
            "metadata": {"name": name},
            "status": status,
        }
        written = self._server.apply(f"{TRUSTS}/{name}/status", body, OPERATOR)
        self._cluster.take(TRUST, written)


def _is_distributed(status: Mapping[str, Any]) -> bool:
    return any(each["type"] == "Distributed" and each["status"] == "True" for each in status["conditions"])


def _measure(outcome: Outcome, standing: Standing, now: datetime, warning: timedelta) -> None:
    verdicts = Counter(node.verdict.state for _, node in standing.asked if node.verdict is not None)
    lasting = that_matter(outcome.certificates, now)
    found = Counter(states(lasting, now.timestamp(), warning))
    soonest = sorted((certificate.facts for certificate in lasting), key=lambda facts: facts.not_after)
    ends = {(f.kind.value, f.sha256[:16]): f.not_after.timestamp() for f in soonest[: metrics.MOST_CERTIFICATES]}
    metrics.EACH_TRUST.show(
        outcome.name,
        {state.value: standing.counts[state] for state in NodeState},
        {state.value: found[state] for state in CertificateState},
        {} if outcome.verification is Verification.OFF else {state.value: verdicts[state] for state in State},
        tuple((kind, digest, end) for (kind, digest), end in ends.items()),
        outcome.waits.reason if outcome.waits is not None and outcome.rollout is not None else "",
    )
