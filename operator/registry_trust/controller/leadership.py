"""Leadership: one writer at a time, by a Lease that a thread of its own renews; losing it ends the process."""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.clock import Clock
from registry_trust.core.names import OPERATOR
from registry_trust.core.times import rfc3339
from registry_trust.process.unexpected import kind_of

DURATION = 15.0
"""Seconds that a Lease is held without being renewed."""
RENEW_EVERY = 3.0
DEADLINE = 10.0
"""Seconds after its last renewal at which the holder ends itself, before anybody may take over."""
CALL = 4.0
"""Seconds for one request about the Lease, at most: a hanging one leaves time for another before the deadline."""
LONGEST = 60.0
"""Seconds that another holder's Lease is waited for without being renewed, at most, whatever duration it states."""

LOST = 3
"""Exit code of a process that lost its Lease; the kubelet starts it again as a standby."""

_log = logging.getLogger(__name__)


class Leadership:
    """Holds one Lease. `acquire` blocks until it is ours; then a thread renews it, and another watches over that.

    `problem` says why the Lease can't be had at all; empty while this process leads or waits for another one.
    """

    def __init__(self, server: ApiServer, namespace: str, name: str, identity: str, clock: Clock) -> None:
        self._server = server
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._path = f"{self._leases}/{name}"
        self._metadata = {"namespace": namespace, "name": name}
        self._identity = identity
        self._clock = clock
        self._seen: tuple[str, float] = ("", 0.0)
        self._stop = threading.Event()
        self._renewed: float | None = None
        self.problem = ""

    def acquire(self, stopping: Callable[[], bool]) -> bool:
        """Wait until the Lease is ours; False if `stopping` said so before."""
        announced = False
        while not stopping():
            try:
                if self._take():
                    self.problem = ""
                    _log.info("leading", extra={"identity": self._identity})
                    for work, name in ((self._renew, "lease"), (self._watch_over, "lease-deadline")):
                        threading.Thread(target=work, name=name, daemon=True).start()
                    return True
                self.problem = ""
                if not announced:
                    _log.info("standing by", extra={"identity": self._identity})
                    announced = True
            except ApiFailure as error:
                self._say(error)
            self._stop.wait(random.uniform(1.0, 2.0))  # noqa: S311 - jitter
        return False

    def check(self) -> None:
        """Call this before each write: it ends the process if the last renewal is too old, as after a SIGSTOP."""
        if self._renewed is not None and not self._stop.is_set() and self._clock.steady() - self._renewed > DEADLINE:
            self._end("it was not renewed in time")

    def release(self) -> None:
        """Give the Lease back, so that a standby need not wait for its end."""
        self._stop.set()
        try:
            lease = self._server.get(self._path)
            if (lease.get("spec") or {}).get("holderIdentity") == self._identity:
                lease["spec"] = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                self._server.replace(self._path, lease)
        except ApiFailure as error:
            _log.info("lease not released", extra={"error": str(error)})

    def _say(self, error: ApiFailure) -> None:
        """Tell "can't" from "waits", once for each kind of failure: not ready, and what to do."""
        where = f"Lease {self._metadata['namespace']}/{self._metadata['name']}"
        if error.status in (401, 403, 404):
            problem = (
                f"cannot lead: the API server does not let this operator get, create and update the {where} "
                f"(HTTP {error.status}); apply the chart or deploy/ again, with Role and RoleBinding "
                f"{OPERATOR} and its ServiceAccount"
            )
        else:
            problem = f"cannot lead: the {where} can't be read or written ({error.status or 'no answer'})"
        if problem != self.problem:
            level = logging.ERROR if error.status in (401, 403, 404) else logging.WARNING
            _log.log(level, problem, extra={"error": str(error)})
        self.problem = problem

    def _take(self) -> bool:
        """Get or renew the Lease; False if another process holds it.

        Raises:
            ApiFailure: the API server did not say, or its answer is not a Lease.
        """
        began = self._clock.steady()
        lease = self._read()
        spec: dict[str, Any] = dict(lease.get("spec") or {})
        if self._is_held_by_another(spec):
            return False
        now = rfc3339(self._clock.wall(), "microseconds")
        if spec.get("holderIdentity") != self._identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = _count(spec.get("leaseTransitions")) + 1
        spec.update(holderIdentity=self._identity, renewTime=now, leaseDurationSeconds=int(DURATION))
        try:
            if lease:
                self._server.replace(self._path, {**lease, "spec": spec})
            else:
                # Made here and not by the installer: some never apply a Lease, and one that was deleted comes back.
                body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": self._metadata}
                self._server.create(self._leases, {**body, "spec": spec})
        except ApiFailure as error:
            if error.status == 409:
                return False
            raise
        # Others count from when they see it: that is later than the moment before it was asked for.
        self._renewed = began
        return True

    def _read(self) -> dict[str, Any]:
        """Return the Lease; empty if there is none."""
        try:
            lease = self._server.get(self._path)
        except ApiFailure as error:
            if error.status == 404:
                return {}
            raise
        if not (isinstance(lease.get("metadata"), dict) and lease["metadata"].get("resourceVersion")):
            raise ApiFailure(0, "the answer is not a Lease")
        return lease

    def _is_held_by_another(self, spec: dict[str, Any]) -> bool:
        holder = spec.get("holderIdentity") or ""
        if holder in ("", self._identity):
            return False
        # Another's clock is not trusted: a Lease is over when its renewal has not moved for its duration here.
        renewal = f"{holder} {spec.get('renewTime', '')}"
        if renewal != self._seen[0]:
            self._seen = (renewal, self._clock.steady())
        return self._clock.steady() - self._seen[1] < patience(spec.get("leaseDurationSeconds"))

    def _renew(self) -> None:
        try:
            while not self._stop.wait(RENEW_EVERY):
                try:
                    if not self._take() and not self._stop.is_set():
                        self._end("another process has it")
                except ApiFailure as error:
                    _log.warning("lease not renewed", extra={"error": str(error)})
        except BaseException as error:  # noqa: BLE001 - a process whose Lease nobody renews must not go on
            self._end(f"renewing failed: {kind_of(error)}")

    def _watch_over(self) -> None:
        """End the process when the renewal is too old, whatever its requests are waiting for."""
        while not self._stop.is_set():
            self.check()
            self._stop.wait(max(0.01, (self._renewed or 0.0) + DEADLINE - self._clock.steady()))

    def _end(self, why: str) -> NoReturn:
        """Log, and end at once: nothing may be written any longer, whatever other threads are doing."""
        extra = {"identity": self._identity, "reason": why}
        log = threading.Thread(target=lambda: _log.error("lost the lease; exiting", extra=extra), daemon=True)
        log.start()
        log.join(0.5)  # A log that nobody reads, or whose lock is taken, must not keep the process alive.
        os._exit(LOST)


def patience(stated: object) -> float:
    """Return the seconds to wait for another holder: what it states, at least as long as one of ours may still write.

    A Lease is input: a duration of 0, a negative one or none must not make a second leader.
    """
    seconds = stated if isinstance(stated, int | float) else DURATION
    return min(LONGEST, max(DURATION, seconds))


def _count(stated: object) -> int:
    """Return a count that fits the API's 32 bits when one is added; again from 0 if it is not one."""
    return stated if isinstance(stated, int) and 0 <= stated < 2**31 - 1 else 0
