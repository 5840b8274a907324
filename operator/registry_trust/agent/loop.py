"""The loop: the one thread that changes files; select, plan, apply, verify, report, whenever something calls for it."""

from __future__ import annotations

import logging
import random
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from registry_trust import __version__
from registry_trust.agent import rollback
from registry_trust.agent.backoff import full_jitter
from registry_trust.agent.delivery.inbox import Heard, Inbox, NodeSeen, ReceivedBundle
from registry_trust.agent.delivery.reporter import Reporter
from registry_trust.agent.delivery.subscriptions import unreadable
from registry_trust.agent.health import Health
from registry_trust.agent.options import Options
from registry_trust.agent.passes import Passes, PassResult
from registry_trust.agent.rollback import PATIENCE, Applied
from registry_trust.agent.runtime import exceptions
from registry_trust.agent.runtime.facts import Choice
from registry_trust.agent.runtime.runtimes import RuntimeFacts, Runtimes
from registry_trust.agent.runtime.targets import choose
from registry_trust.agent.store.drift import Drift
from registry_trust.agent.store.tenure import SIGN_EVERY
from registry_trust.core.desired import Desired, desired_state
from registry_trust.core.names import MAXIMUM_NOTICES, MAXIMUM_TARGETS
from registry_trust.core.reasons import Reason
from registry_trust.core.removal_hold import held_removals
from registry_trust.core.report import NodeReport, RegistryRow, TargetRow, TargetState, order_rows
from registry_trust.core.selection import labels_hash
from registry_trust.process.unexpected import kind_of

DRIFT_PAUSE = 0.2
"""Seconds between two passes that drift alone asks for."""

RESTLESS = 10
"""Passes in a row for drift after which the pause becomes a second: somebody writes there all the time."""

EXIT_DETACHED = 3
"""Exit code where a root was moved or deleted under its mount: only a new container gets the new folder."""

RUNTIME_PATIENCE = 10.0
"""Seconds from the start for which the Node's runtime is waited for; then it is unknown, and files are written."""

log = logging.getLogger(__name__)


class Stopped(BaseException):
    """The process is to end: the turn ends between two steps. No boundary catches it, like a KeyboardInterrupt."""


class Detached(BaseException):
    """A root was moved or deleted under its mount: only a new container gets the new folder. Its path is the text."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a bundle means for this node: what it is to have, and rows for removals that are held."""

    desired: Desired
    held: tuple[RegistryRow, ...]


class Loop:
    """Owns the files. Everything else (watches, reporter, health) runs in threads that it never waits for."""

    def __init__(
        self,
        options: Options,
        inbox: Inbox,
        runtimes: Runtimes,
        reporter: Reporter,
        health: Health,
        stop: threading.Event,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._options = options
        self._inbox = inbox
        self._runtimes = runtimes
        self._reporter = reporter
        self._health = health
        self._stopping = stop
        self._passes = Passes(
            options.roots,
            options.configurations,
            source=f"{options.namespace}/{options.bundle}",
            breathe=self._breathe,
            monotonic=monotonic,
        )
        self._drift = Drift()
        self._started = monotonic()
        self._known: tuple[Applied, ...] | None = None
        self._bundle: ReceivedBundle | None = None
        self._refused_since: float | None = None
        self._rollback_notice = ""
        self._restless = 0
        self._failures = 0
        """Turns in a row that ended with an exception."""
        self._said_targets: dict[str, str] = {}
        self._said_unusable = ""

    def run(self) -> int:
        """Turn until told to stop; return the process's exit code."""
        try:
            while True:
                self._rest(self.turn())
        except Stopped:
            return 0
        except Detached as error:
            log.error(  # noqa: TRY400 - the text is for an admin; a traceback says nothing more
                "%s was moved or deleted on the host, and this process still sees the old folder; ending, so that the "
                "container is started anew with the new one",
                error,
            )
            return EXIT_DETACHED

    def turn(self) -> float:
        """Do what is to be done now, whatever comes in the way; return the seconds until the next turn at the latest.

        Raises:
            Stopped: the process is to end.
            Detached: a root was moved or deleted under its mount.
        """
        try:
            now = self._breathe()
            if detached := self._passes.roots.detached():
                raise Detached(detached)  # noqa: TRY301 - no exception that the boundary below takes
            wait = self._turn(self._inbox.take(), now)
            self._drift.watch(self._passes.roots.watched_paths())
        except Exception as error:  # noqa: BLE001 - the boundary of a turn: whatever it met, the next one comes
            self._unforeseen("a turn of the loop", error)
            self._failures += 1
            return full_jitter(self._failures, random.random)
        self._failures = 0
        return wait

    def _rest(self, seconds: float) -> None:
        try:
            self._wait(seconds)
        except Exception as error:  # noqa: BLE001 - as in `turn`
            self._unforeseen("waiting", error)
            self._stopping.wait(1.0)

    def _breathe(self) -> float:
        """Show that the loop is alive, and end the turn if the process is to end; return the monotonic time."""
        if self._stopping.is_set():
            raise Stopped
        self._health.turned = self._monotonic()
        return self._health.turned

    def _unforeseen(self, where: str, error: Exception) -> str:
        """Count and log an exception that no code foresaw; return its kind."""
        kind = kind_of(error)
        self._health.failures += 1
        log.error("%s failed and goes on: %s", where, kind)
        return kind

    def _turn(self, heard: Heard, now: float) -> float:
        """Do what is to be done now; return the seconds until the next turn at the latest."""
        self._drift.drain()
        if self._known is None:
            self._look(heard, now)
        self._accept(heard, now)
        wait = min(self._options.drift_interval, SIGN_EVERY)
        if self._refused_since is not None:
            wait = min(wait, max(0.0, self._refused_since + PATIENCE - now))
        if heard.runtime is None and self._options.configurations and now - self._started < RUNTIME_PATIENCE:
            # The first seconds belong to the question which runtime this is; without an answer it is not known.
            wait = min(wait, self._started + RUNTIME_PATIENCE - now)
            known = False
        else:
            known = True
        if self._bundle is None or heard.node is None or not known:
            # Without labels nobody knows what is selected: a pass could remove what is to stay.
            self._look(heard, now)
            return wait
        wanted = self._wanted(self._bundle, heard.node)
        if isinstance(wanted, str):
            self._look(heard, now, wanted)
            return wait
        next_pass = self._apply(heard, self._bundle, heard.node, wanted, now)
        return wait if next_pass is None else min(wait, max(next_pass, 0.05))

    def _wanted(self, received: ReceivedBundle, node: NodeSeen) -> Wanted | str:
        """Return what a bundle means for this node; why this version fails on it, if it does."""
        try:
            desired = desired_state(received.bundle, node.labels)
            held = held_removals(received.bundle, node.labels, self._options.namespace, self._options.bundle)
        except Exception as error:  # noqa: BLE001 - nothing that is read from a Secret may leave the loop
            return unreadable(error)
        return Wanted(desired, held)

    def _accept(self, heard: Heard, now: float) -> None:
        received = heard.bundle
        if received is None or received is self._bundle or self._known is None:
            return
        serial = received.bundle.serial
        previous = rollback.newest(self._known, received.uid)
        decision = rollback.decide(previous, received.uid, serial, self._refused_since, now)
        if decision.notice and decision.notice != self._rollback_notice:
            log.warning("%s", decision.notice)
        self._refused_since = decision.refused_since
        self._rollback_notice = decision.notice
        if decision.accepted:
            log.info("bundle serial %d with %d trusts", serial, len(received.bundle.trusts))
            self._bundle = received

    def _look(self, heard: Heard, now: float, unusable: str = "") -> None:
        """Look at the files without changing any: no usable bundle, or nobody knows the Node's labels or runtime."""
        states, rows, complete = self._passes.look()
        if self._bundle is None or self._known is None:
            self._known = states
        newest = max(states, key=lambda state: state.serial, default=Applied("", 0))
        if states and complete and not self._health.ready:
            log.info("files of bundle serial %d are in place", newest.serial)
            self._health.ready = True
        self._health.serial = self._health.serial or newest.serial
        # The first seconds belong to the watch: a report in between would say something that is not so.
        late = now - self._started >= self._options.drift_interval
        if heard.node is not None and (unusable or (self._bundle is None and late)):
            if unusable and unusable != self._said_unusable:
                log.warning("bundle can't be used, files stay as they are: %s", unusable)
            self._said_unusable = unusable
            problem = (
                unusable
                or heard.bundle_problem
                or self._rollback_notice
                or f"{Reason.BUNDLE_MISSING}: no bundle was received"
            )
            choice = self._choice(heard, heard.node)[0]
            self._report(heard, heard.node, newest, rows, choice.rows, (problem,), 0)

    def _choice(self, heard: Heard, node: NodeSeen) -> tuple[Choice, RuntimeFacts]:
        found = self._runtimes.facts(heard.runtime or "", node.labels, self._passes.roots.written, heard.os_image)
        choice = choose(found.facts)
        said = {row.path: f"{row.state} {row.message}" for row in choice.rows}
        for row in choice.rows:
            if self._said_targets.get(row.path) != said[row.path]:
                level = logging.INFO if row.state in (TargetState.READ, TargetState.STANDBY) else logging.WARNING
                log.log(level, "target %s (%s): %s", row.path, row.layout, said[row.path])
        self._said_targets = said
        return choice, found

    def _apply(
        self, heard: Heard, received: ReceivedBundle, node: NodeSeen, wanted: Wanted, now: float
    ) -> float | None:
        """Make a pass and report; return the seconds until something of it is due again."""
        choice, found = self._choice(heard, node)
        applied = Applied(received.uid, received.bundle.serial)
        result = self._passes.apply(choice.targets, choice.rows, wanted.desired, applied, now)
        if result.whole:
            self._known = (applied,)
            self._health.serial = applied.serial
            self._health.ready = True
        else:
            # A report names the bundle that was applied as a whole: rows of what is left may not all fit into it.
            applied = rollback.newest(self._known or (), received.uid) or Applied("", 0)
        rows, remarks = self._remarks(choice, result, found)
        self._health.entries = Counter(row.state.value for row in rows)
        self._health.repairs = self._passes.repairs.total
        problem = (heard.bundle_problem,) if heard.bundle_problem else ()
        rolled = (self._rollback_notice,) if self._rollback_notice else ()
        notices = (*problem, *rolled, *remarks, *result.findings)
        self._report(heard, node, applied, (*rows, *wanted.held), result.targets, notices, received.bundle.fleet_size)
        return result.next_pass

    def _remarks(
        self, choice: Choice, result: PassResult, found: RuntimeFacts
    ) -> tuple[tuple[RegistryRow, ...], tuple[str, ...]]:
        """Return the rows and notices of a pass, with what the runtimes' own settings make of them."""
        try:
            readers = exceptions.readers_of(choice.targets, result.targets)
            rows = exceptions.with_exceptions(result.rows, readers, found)
            return rows, exceptions.notices(rows, readers, found)
        except Exception as error:  # noqa: BLE001 - a remark must not cost the report of what was written
            kind = self._unforeseen("judging the runtimes' settings", error)
            return result.rows, (f"{Reason.RUNTIME_UNKNOWN}: what the runtimes' settings mean is not known ({kind})",)

    def _report(
        self,
        heard: Heard,
        node: NodeSeen,
        applied: Applied,
        rows: Sequence[RegistryRow],
        targets: Sequence[TargetRow],
        notices: Sequence[str],
        fleet_size: int,
    ) -> None:
        if heard.node_gone:
            self._reporter.withhold()
            return
        try:
            self._reporter.submit(node.uid, self._composed(heard, node, applied, rows, targets, notices), fleet_size)
        except Exception as error:  # noqa: BLE001 - the boundary of a report: files are not affected
            self._unforeseen("the report", error)

    def _composed(
        self,
        heard: Heard,
        node: NodeSeen,
        applied: Applied,
        rows: Sequence[RegistryRow],
        targets: Sequence[TargetRow],
        notices: Sequence[str],
    ) -> NodeReport:
        shown, count, failing = order_rows(rows)
        repairs = self._passes.repairs.notice()
        everything = [
            *notices,
            *([repairs] if repairs else []),
            *([self._drift.polling] if self._drift.polling else []),
        ]
        return NodeReport(
            agent_version=__version__,
            runtime=heard.runtime or "",
            bundle_uid=applied.uid,
            serial=applied.serial,
            labels_hash=labels_hash(node.labels),
            targets=tuple(targets[:MAXIMUM_TARGETS]),
            registries=shown,
            registry_count=count,
            failing=failing,
            notices=tuple(everything[:MAXIMUM_NOTICES]),
        )

    def _wait(self, seconds: float) -> None:
        """Wait for news, drift, or the time; drift alone is let wait a moment, so that a burst is one pass."""
        began = time.monotonic()
        drift = self._drift.fileno()
        watched = [self._inbox.fileno(), *([] if drift is None else [drift])]
        readable, _, _ = select.select(watched, [], [], seconds)
        for_drift = bool(readable) and self._inbox.fileno() not in readable
        self._restless = self._restless + 1 if for_drift else 0
        rest = (DRIFT_PAUSE if self._restless < RESTLESS else 1.0) - (time.monotonic() - began)
        if for_drift and rest > 0:
            select.select([self._inbox.fileno()], [], [], rest)
