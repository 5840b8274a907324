"""The operator's process: leadership first, then kopf and the reconciler side by side until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import kopf

from registry_trust.controller import connection, metrics
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.clock import Clock
from registry_trust.controller.cluster import ClusterMap
from registry_trust.controller.leadership import CALL, Leadership
from registry_trust.controller.other_installation import OtherInstallation
from registry_trust.controller.parts import Parts
from registry_trust.controller.reconcile import Reconciler
from registry_trust.controller.settings import OperatorSettings
from registry_trust.controller.watching import make_registry, make_settings
from registry_trust.process import pages
from registry_trust.process.unexpected import kind_of

_log = logging.getLogger(__name__)

STATUS_INTERVAL = 0.2
"""Seconds between two rounds of statuses that only node reports ask for."""

TICK = 30.0
"""Seconds after which dates are looked at again although nothing happened."""

KOPF_ENDS = 5.0
"""Seconds for kopf to end when it is told to, and again when it is cancelled."""

STALLED = 120.0
"""Seconds without a finished pass after which the process is not healthy any longer."""


AFTER_WATCHES = 15.0
"""Seconds after the watches' start at which everything is listed once more."""

_DUE = "it was time"


class OperatorProcess:
    """Ties the watches, the reconciler's passes and the timers together."""

    def __init__(self, settings: OperatorSettings) -> None:
        self._settings = settings
        self._clock = Clock()
        self._connector = connection.Connector(settings.kubeconfig)
        self._leadership = Leadership(
            ApiServer(connection.Connector(settings.kubeconfig), longest=CALL),
            settings.namespace,
            settings.lease_name,
            settings.identity,
            self._clock,
        )
        self._server = ApiServer(self._connector, before_write=self._leadership.check)
        self._cluster = ClusterMap(settings.trust_namespace)
        self._reconciler = Reconciler(self._server, settings, self._cluster, self._clock)
        self._parts = Parts(self._server, settings)
        self._other = OtherInstallation(self._server, settings.namespace)
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._listed = asyncio.Event()
        self._nodes: set[str] = set()
        self._compile = True
        self._last_pass = self._clock.steady()
        self._leading = False
        self._next_resync = 0.0
        self._due: float | None = None
        self._seen: float | None = None
        """Steady time of the first event since the last compilation."""

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        self._take_signals()
        pages.serve(
            self._settings.listen,
            {
                "/healthz": lambda: pages.healthy(self._healthy(), "no pass of the main loop has ended for too long"),
                "/readyz": lambda: pages.healthy(not (problem := self._problem()), problem),
                "/metrics": metrics.page,
            },
        )
        elect = self._settings.leader_election
        if elect and not await asyncio.to_thread(self._leadership.acquire, self._stopping.is_set):
            return
        self._leading = True
        metrics.LEADING.set(1)
        try:
            await asyncio.gather(self._watch(), self._reconcile(), self._look_at_parts())
        finally:
            if elect:
                await asyncio.to_thread(self._leadership.release)

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop)

    def _stop(self) -> None:
        for event in (self._stopping, self._listed, self._woken):
            event.set()

    def _healthy(self) -> bool:
        return not self._leading or self._clock.steady() - self._last_pass < STALLED

    def _problem(self) -> str:
        """Return why this process is not ready; a standby is, as long as it could lead."""
        if not self._leading:
            return self._leadership.problem
        return self._other.problem or self._parts.problem or self._reconciler.problem

    def _wake(self, kind: str, name: str) -> None:
        if kind in ("Node", "NodeTrust"):
            self._nodes.add(name)
        else:
            self._compile = True
            self._seen = self._seen or self._clock.steady()
        self._woken.set()

    async def _watch(self) -> None:
        """Run kopf, and run it again from new LISTs whenever what it knows may not be all.

        It begins with the first complete LIST: kopf never watches a kind that is created after it started.
        """
        await self._listed.wait()
        while not self._stopping.is_set():
            gap = asyncio.Event()
            registry = make_registry(self._cluster, self._wake, partial(self._connect, gap.set))
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
            # What was deleted between our last LIST and kopf's is in neither: one more LIST, when kopf has had time.
            self._next_resync = self._clock.steady() + AFTER_WATCHES
            why = await self._until_stale(watching, gap)
            stop.set()
            result = await _ended(watching)
            # kopf takes SIGTERM and SIGINT for itself while it runs: where it ends well and unasked, it got one.
            self._take_signals()
            if result is None and not why:
                self._stop()
            if self._stopping.is_set():
                return
            if why != _DUE:
                problem = why or type(result).__name__
                _log.warning("watches ended; starting them again", extra={"error": problem})
                metrics.WATCH_RESTARTS.inc()
                self._cluster.complete = False
                self._compile = True
            await asyncio.sleep(random.uniform(1.0, 3.0))  # noqa: S311 - jitter

    async def _until_stale(self, watching: asyncio.Task[None], gap: asyncio.Event) -> str:
        """Return why the watches have to start again; empty if they ended by themselves, or the process is to end."""
        due = self._clock.steady() + self._settings.resync * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        served, set_back = self._cluster.served, self._cluster.set_back
        crd, ca = self._reconciler.crd_uid, self._connector.stamp()
        while not watching.done() and not self._stopping.is_set():
            await asyncio.wait([watching], timeout=1.0)
            crd = crd or self._reconciler.crd_uid
            reasons = {
                "a watch was interrupted": gap.is_set(),
                "the CRD was created again": self._reconciler.crd_uid != crd,
                "the API server's history was set back": self._cluster.set_back != set_back,
                "the API server's CA has changed": self._connector.stamp() not in (None, ca),
                _DUE: self._clock.steady() >= due or self._cluster.served != served,
            }
            if not watching.done() and (why := next((each for each, true in reasons.items() if true), "")):
                return why
        return ""

    def _connect(self, gap: Callable[[], None]) -> kopf.AiohttpSession:
        return connection.kopf_session(connection.load(self._settings.kubeconfig), gap)

    async def _look_at_parts(self) -> None:
        """Look at the parts of the installation beside the passes: what is missing may be why none ends."""
        while not self._stopping.is_set():
            try:
                await asyncio.to_thread(self._parts.look)
            except Exception as error:  # noqa: BLE001 - no answer may end the loop
                _log.error("parts not checked", extra={"error": kind_of(error)})
            await self._pause(self._parts.pause)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            # Not wait_for: before Python 3.12 it makes a task, and kopf cancels those when it ends.
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _stands_by(self) -> bool:
        """Wait a while if another installation has this cluster: two would undo what each other writes."""
        try:
            await asyncio.to_thread(self._other.look)
        except Exception as error:  # noqa: BLE001 - no answer may end the loop
            _log.error("other installations not checked", extra={"error": kind_of(error)})
        if not self._other.problem:
            return False
        self._last_pass = self._clock.steady()
        self._cluster.complete = False  # What the other one writes meanwhile has to be read before the next pass.
        await self._pause(self._settings.poll)
        return True

    async def _reconcile(self) -> None:
        due: float | None = None
        next_poll = next_tick = next_status = 0.0
        failures = 0
        while not self._stopping.is_set():
            now = self._clock.steady()
            if now >= next_poll and await self._stands_by():
                continue
            try:
                await self._relist(now)
                if now >= next_poll:
                    self._compile = await asyncio.to_thread(self._reconciler.poll) or self._compile
                    next_poll = now + self._settings.poll
                    await self._relist(now)  # If the history was set back, no status may speak of the lost one.
                if now >= next_tick or (due is not None and now >= due):
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
            except Exception as error:  # noqa: BLE001 - no object and no answer may end the loop
                failures += 1
                metrics.LOOP_FAILURES.inc()
                # Never an exception's text, nor its traceback: it may hold what is secret.
                _log.error("pass failed", extra={"error": kind_of(error)})
            self._last_pass = self._clock.steady()
            metrics.LOOP_SECONDS.set_to_current_time()
            await self._wait(due, next_poll, next_status, failures)

    async def _relist(self, now: float) -> None:
        """List everything if it is time, or if what is known may not be all."""
        if not self._cluster.complete or now >= self._next_resync:
            self._next_resync = now + self._settings.resync * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
            self._compile = await asyncio.to_thread(self._reconciler.relist) or self._compile
            self._listed.set()

    def _pass(self, nodes: set[str], *, compiling: bool, statuses: bool) -> float | None:
        """Do one pass in a thread of its own; return the steady time of the next removal or write."""
        compiling = self._reconciler.take_nodes(nodes) or compiling
        if compiling:
            seen, self._seen = self._seen, None
            left = self._reconciler.compile(seen)
            self._due = self._clock.steady() + left if left is not None else None
        if compiling or statuses:
            self._reconciler.write_statuses()
        return self._due

    async def _wait(self, due: float | None, next_poll: float, next_status: float, failures: int) -> None:
        now = self._clock.steady()
        if failures:
            pause = min(30.0, 0.5 * 2 ** min(failures, 6)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        else:
            pause = max(0.0, next_poll - now)
            if self._reconciler.statuses_pending():
                pause = min(pause, max(0.0, next_status - now))
            if due is not None:
                pause = min(pause, max(0.0, due - now))
        try:
            # Not wait_for: before Python 3.12 it makes a task, and kopf cancels those when it ends.
            async with asyncio.timeout(pause):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()
        if failures:
            # A storm of events must not turn a failing API server's backoff into a hot loop.
            await asyncio.sleep(pause / 2)


async def _ended(watching: asyncio.Task[None]) -> BaseException | None:
    """Wait until kopf has ended, cancel it if it does not, and return what it raised.

    kopf 1.45 can wait for ever for a login of its own when a watch fails while it stops (seen when the CRD is deleted
    under it). It is left behind then: what it still says is of a known version, or older.
    """
    for end in (lambda: None, watching.cancel):
        end()
        await asyncio.wait([watching], timeout=KOPF_ENDS)
        if watching.done():
            return asyncio.CancelledError() if watching.cancelled() else watching.exception()
    return TimeoutError()
