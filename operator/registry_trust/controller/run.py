"""The operator's process: leadership first, then kopf and the reconciler side by side until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time

import kopf

from registry_trust.controller import connection, metrics
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.cluster import Cluster
from registry_trust.controller.leadership import Leadership
from registry_trust.controller.reconcile import Reconciler
from registry_trust.controller.settings import OperatorSettings
from registry_trust.controller.watching import make_registry, make_settings
from registry_trust.process import pages

_log = logging.getLogger(__name__)

STATUS_INTERVAL = 0.2
"""Seconds between two rounds of statuses that only node reports ask for."""

TICK = 30.0
"""Seconds after which dates are looked at again although nothing happened."""

STALLED = 120.0
"""Seconds without a finished pass after which the process is not healthy any more."""


class OperatorProcess:
    """Ties the watches, the reconciler's passes and the timers together."""

    def __init__(self, settings: OperatorSettings) -> None:
        self._settings = settings
        self._configuration = connection.load(settings.kubeconfig)
        self._server = ApiServer(connection.api_client(self._configuration))
        self._cluster = Cluster(settings.trust_namespace)
        self._reconciler = Reconciler(self._server, settings, self._cluster)
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._nodes: set[str] = set()
        self._compile = True
        self._last_pass = time.monotonic()
        self._leading = False
        self._due: float | None = None
        self._seen: float | None = None
        """Monotonic time of the first event since the last compilation."""

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        self._take_signals()
        pages.serve(
            self._settings.listen,
            {
                "/healthz": lambda: pages.healthy(self._healthy(), "no pass of the main loop has ended for too long"),
                "/readyz": lambda: pages.healthy(self._ready(), "no pass over all trusts has ended yet"),
                "/metrics": metrics.page,
            },
        )
        leadership = Leadership(
            self._server, self._settings.namespace, self._settings.lease_name, self._settings.identity
        )
        if self._settings.leader_election and not await asyncio.to_thread(leadership.acquire, self._stopping.is_set):
            return
        self._leading = True
        try:
            await asyncio.gather(self._watch(), self._reconcile())
        finally:
            if self._settings.leader_election:
                await asyncio.to_thread(leadership.release)

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop)

    def _stop(self) -> None:
        self._stopping.set()
        self._woken.set()

    def _healthy(self) -> bool:
        return not self._leading or time.monotonic() - self._last_pass < STALLED

    def _ready(self) -> bool:
        return not self._leading or self._reconciler.ready

    def _wake(self, kind: str, name: str) -> None:
        if kind in ("Node", "NodeTrust"):
            self._nodes.add(name)
        else:
            self._compile = True
            self._seen = self._seen or time.monotonic()
        self._woken.set()

    async def _watch(self) -> None:
        """Run kopf; where it ends by itself (a long outage, a CRD that went), LIST anew and run it again."""
        while not self._stopping.is_set():
            registry = make_registry(self._cluster, self._wake, lambda: connection.kopf_connection(self._login()))
            stop = asyncio.Event()
            watching = asyncio.create_task(
                kopf.operator(
                    registry=registry,
                    settings=make_settings(),
                    standalone=True,
                    namespaces=[self._settings.trust_namespace],
                    stop_flag=stop,
                )
            )
            crd = self._reconciler.crd_uid
            while not watching.done() and not self._stopping.is_set() and self._reconciler.crd_uid == crd:
                await asyncio.wait([watching], timeout=1.0)
                crd = crd or self._reconciler.crd_uid
            stop.set()
            asked = self._reconciler.crd_uid != crd
            result = (await asyncio.gather(watching, return_exceptions=True))[0]
            # kopf takes SIGTERM and SIGINT for itself while it runs: where it ends well and unasked, it got one.
            self._take_signals()
            if result is None and not asked:
                self._stop()
            if self._stopping.is_set():
                return
            _log.warning("watches ended; starting them anew", extra={"error": str(result or "the CRD was made anew")})
            metrics.WATCH_RESTARTS.inc()
            self._cluster.complete = False
            self._compile = True
            await asyncio.sleep(random.uniform(1.0, 3.0))  # noqa: S311 - jitter

    def _login(self) -> object:
        return connection.load(self._settings.kubeconfig)

    async def _reconcile(self) -> None:
        due: float | None = None
        next_poll = next_resync = next_tick = next_status = 0.0
        failures = 0
        while not self._stopping.is_set():
            now = time.monotonic()
            try:
                if not self._cluster.complete or now >= next_resync:
                    self._compile = await asyncio.to_thread(self._reconciler.relist) or self._compile
                    next_resync = now + self._settings.resync * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
                if now >= next_poll:
                    self._compile = await asyncio.to_thread(self._reconciler.poll) or self._compile
                    next_poll = now + self._settings.poll
                if now >= next_tick or (due is not None and time.time() >= due):
                    self._compile, next_tick = True, now + TICK
                compiling, self._compile = self._compile, False
                nodes, self._nodes = self._nodes, set()
                try:
                    due = await asyncio.to_thread(self._pass, nodes, compiling=compiling, statuses=now >= next_status)
                except BaseException:
                    self._compile = self._compile or compiling
                    raise
                if now >= next_status:
                    next_status = now + STATUS_INTERVAL
                failures = 0
            except ApiFailure as error:
                failures += 1
                metrics.LOOP_FAILURES.inc()
                _log.warning("pass not finished", extra={"error": str(error)})
            self._last_pass = time.monotonic()
            metrics.LOOP_SECONDS.set_to_current_time()
            await self._wait(due, next_poll, next_status, failures)

    def _pass(self, nodes: set[str], *, compiling: bool, statuses: bool) -> float | None:
        """Do one pass in a thread of its own; return the Unix time at which a removal matures or a write may go."""
        self._reconciler.take_nodes(nodes)
        due = self._due
        if compiling:
            seen, self._seen = self._seen, None
            due = self._due = self._reconciler.compile(time.time(), seen)
        if compiling or statuses:
            self._reconciler.write_statuses(time.time())
        return due

    async def _wait(self, due: float | None, next_poll: float, next_status: float, failures: int) -> None:
        now = time.monotonic()
        if failures:
            pause = min(30.0, 0.5 * 2 ** min(failures, 6)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        else:
            pause = max(0.0, next_poll - now)
            if self._reconciler.statuses_pending():
                pause = min(pause, max(0.0, next_status - now))
            if due is not None:
                pause = min(pause, max(0.0, due - time.time()))
        try:
            await asyncio.wait_for(self._woken.wait(), pause)
        except TimeoutError:
            return
        self._woken.clear()
        if failures:
            # A storm of events must not turn a failing API server's backoff into a hot loop.
            await asyncio.sleep(pause / 2)
