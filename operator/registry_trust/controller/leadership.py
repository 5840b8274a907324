"""Leadership: one writer at a time, by a Lease that a thread of its own renews; losing it ends the process."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from registry_trust.controller.api_server import ApiFailure, ApiServer

DURATION = 15.0
"""Seconds that a Lease is held without being renewed."""
RENEW_EVERY = 3.0
DEADLINE = 10.0
"""Seconds without a successful renewal after which the holder ends itself, before anybody may take over."""

LOST = 3
"""Exit code of a process that lost its Lease; the kubelet starts it anew as a standby."""

_log = logging.getLogger(__name__)


class Leadership:
    """Holds one Lease. `acquire` blocks until it is ours; then a thread renews it."""

    def __init__(self, server: ApiServer, namespace: str, name: str, identity: str) -> None:
        self._server = server
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"
        self._identity = identity
        self._seen: tuple[str, float] = ("", 0.0)
        self._stop = threading.Event()

    def acquire(self, stopping: Callable[[], bool]) -> bool:
        """Wait until the Lease is ours; False if `stopping` said so before."""
        announced = False
        while not stopping():
            try:
                if self._take():
                    _log.info("leading", extra={"identity": self._identity})
                    threading.Thread(target=self._renew, name="lease", daemon=True).start()
                    return True
            except ApiFailure as error:
                _log.warning("lease not reachable", extra={"error": str(error)})
            if not announced:
                _log.info("standing by", extra={"identity": self._identity})
                announced = True
            self._stop.wait(random.uniform(1.0, 2.0))  # noqa: S311 - jitter
        return False

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

    def _take(self) -> bool:
        lease = self._server.get(self._path)
        spec: dict[str, Any] = dict(lease.get("spec") or {})
        holder = spec.get("holderIdentity") or ""
        if holder and holder != self._identity:
            # Another's clock is not trusted: a Lease is over when its renewal has not moved for its duration here.
            renewal = f"{holder} {spec.get('renewTime', '')}"
            if renewal != self._seen[0]:
                self._seen = (renewal, time.monotonic())
            if time.monotonic() - self._seen[1] < float(spec.get("leaseDurationSeconds") or DURATION):
                return False
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if holder != self._identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec.update(holderIdentity=self._identity, renewTime=now, leaseDurationSeconds=int(DURATION))
        lease["spec"] = spec
        try:
            self._server.replace(self._path, lease)
        except ApiFailure as error:
            if error.status == 409:
                return False
            raise
        return True

    def _renew(self) -> None:
        renewed = time.monotonic()
        while not self._stop.wait(RENEW_EVERY):
            try:
                if not self._take():
                    break
                renewed = time.monotonic()
            except ApiFailure as error:
                _log.warning("lease not renewed", extra={"error": str(error)})
                if time.monotonic() - renewed > DEADLINE:
                    break
        if not self._stop.is_set():
            _log.error("lost the lease; ending", extra={"identity": self._identity})
            # Nothing may be written any more, whatever other threads are doing.
            os._exit(LOST)
