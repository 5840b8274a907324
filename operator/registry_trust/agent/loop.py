"""The loop: the one thread that changes files; select, plan, apply, verify, report, whenever something calls for it."""

from __future__ import annotations

import logging
import select
import threading
import time
from collections import Counter
from collections.abc import Sequence

from registry_trust import __version__
from registry_trust.agent import rollback
from registry_trust.agent.delivery.inbox import Heard, Inbox, NodeSeen, ReceivedBundle
from registry_trust.agent.delivery.reporter import Reporter
from registry_trust.agent.health import Health
from registry_trust.agent.options import Options
from registry_trust.agent.passes import Passes
from registry_trust.agent.rollback import PATIENCE, Applied
from registry_trust.agent.runtime import exceptions
from registry_trust.agent.runtime.facts import Choice
from registry_trust.agent.runtime.runtimes import RuntimeFacts, Runtimes
from registry_trust.agent.runtime.targets import choose
from registry_trust.agent.store.drift import Drift
from registry_trust.core.desired import desired_state
from registry_trust.core.reasons import Reason
from registry_trust.core.removal_hold import held_removals
from registry_trust.core.report import NodeReport, RegistryRow, TargetRow, TargetState, order_rows
from registry_trust.core.selection import labels_hash

DRIFT_PAUSE = 0.2
"""Seconds between two passes that drift alone asks for."""

RESTLESS = 10
"""Passes in a row for drift after which the pause becomes a second: somebody writes there all the time."""

EXIT_DETACHED = 3
"""Exit code where a root was moved or deleted under its mount: only a new container gets the new folder."""

MAXIMUM_NOTICES = MAXIMUM_TARGETS = 16
"""Of one report; its schema allows no more."""

log = logging.getLogger(__name__)


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
    ) -> None:
        self._options = options
        self._inbox = inbox
        self._runtimes = runtimes
        self._reporter = reporter
        self._health = health
        self._stopping = stop
        self._passes = Passes(options.roots, options.configurations)
        self._drift = Drift()
        self._started = time.monotonic()
        self._known: tuple[Applied, ...] | None = None
        self._bundle: ReceivedBundle | None = None
        self._refused_since: float | None = None
        self._rollback_notice = ""
        self._restless = 0
        self._said_targets: dict[str, str] = {}

    def run(self) -> int:
        """Turn until told to stop; return the process's exit code."""
        while not self._stopping.is_set():
            now = time.monotonic()
            self._health.turned = now
            detached = self._passes.detached()
            if detached:
                log.error(
                    "%s was moved or deleted on the host, and this process still sees the old folder; "
                    "ending, so that the container is started anew with the new one",
                    detached,
                )
                return EXIT_DETACHED
            wait = self._turn(self._inbox.take(), now)
            self._drift.watch(self._passes.watched_paths())
            self._wait(wait)
        return 0

    def _turn(self, heard: Heard, now: float) -> float:
        """Do what is to be done now; return the seconds until the next turn at the latest."""
        self._drift.drain()
        if self._known is None:
            self._look(heard, now)
        self._accept(heard, now)
        wait = self._options.drift_interval
        if self._refused_since is not None:
            wait = min(wait, max(0.0, self._refused_since + PATIENCE - now))
        runtime_open = heard.runtime is None and bool(self._options.configurations)
        if self._bundle is None or heard.node is None or runtime_open:
            # Without labels nobody knows what is selected: a pass could remove what is to stay.
            self._look(heard, now)
            return wait
        next_pass = self._apply(heard, self._bundle, heard.node, now)
        return wait if next_pass is None else min(wait, max(next_pass, 0.05))

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

    def _look(self, heard: Heard, now: float) -> None:
        """Look at the files without changing any: there is no bundle yet, or nobody knows the Node's labels."""
        states, rows, complete = self._passes.look()
        if self._bundle is None or self._known is None:
            self._known = states
        newest = max(states, key=lambda state: state.serial, default=Applied("", 0))
        if states and complete and not self._health.ready:
            log.info("files of bundle serial %d are in place", newest.serial)
            self._health.ready = True
        self._health.serial = self._health.serial or newest.serial
        # The first seconds belong to the watch: a report in between would say something that is not so.
        if self._bundle is None and heard.node is not None and now - self._started >= self._options.drift_interval:
            problem = (
                heard.bundle_problem or self._rollback_notice or f"{Reason.BUNDLE_MISSING}: no bundle was received"
            )
            choice = self._choice(heard, heard.node)[0]
            self._report(heard, heard.node, newest, rows, choice.rows, (problem,), 0)

    def _choice(self, heard: Heard, node: NodeSeen) -> tuple[Choice, RuntimeFacts]:
        found = self._runtimes.facts(heard.runtime or "", node.labels, self._passes.written)
        choice = choose(found.facts)
        said = {row.path: f"{row.state} {row.message}" for row in choice.rows}
        for row in choice.rows:
            if self._said_targets.get(row.path) != said[row.path]:
                level = logging.INFO if row.state in (TargetState.READ, TargetState.STANDBY) else logging.WARNING
                log.log(level, "target %s (%s): %s", row.path, row.layout, said[row.path])
        self._said_targets = said
        return choice, found

    def _apply(self, heard: Heard, received: ReceivedBundle, node: NodeSeen, now: float) -> float | None:
        """Make a pass and report; return the seconds until something of it is due again."""
        choice, found = self._choice(heard, node)
        applied = Applied(received.uid, received.bundle.serial)
        desired = desired_state(received.bundle, node.labels)
        result = self._passes.apply(choice.targets, choice.rows, desired, applied, now)
        self._known = (applied,)
        readers = exceptions.readers_of(choice.targets, result.targets)
        rows = exceptions.with_exceptions(result.rows, readers, found)
        self._health.entries = Counter(row.state.value for row in rows)
        rows += held_removals(received.bundle, node.labels, self._options.namespace, self._options.bundle)
        problem = (heard.bundle_problem,) if heard.bundle_problem else ()
        rolled = (self._rollback_notice,) if self._rollback_notice else ()
        notices = (*problem, *rolled, *exceptions.notices(rows, readers, found), *result.findings)
        self._report(heard, node, applied, rows, result.targets, notices, received.bundle.fleet_size)
        self._health.serial = applied.serial
        self._health.repairs = self._passes.repairs.total
        self._health.ready = True
        return result.next_pass

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
        shown, count, failing = order_rows(rows)
        repairs = _repairs_notice(self._passes.repairs.total)
        everything = [
            *notices,
            *([repairs] if repairs else []),
            *([self._drift.polling] if self._drift.polling else []),
        ]
        report = NodeReport(
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
        self._reporter.submit(node.uid, report, fleet_size)

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


def _repairs_notice(total: int) -> str:
    """Return a notice that does not change with each repair: a fight must not become a stream of reports."""
    if not total:
        return ""
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    reached = max(step for step in steps if step <= total)
    return (
        f"{Reason.DRIFT_REPAIRED}: {reached} or more repairs since the agent started; somebody else changes its files"
    )
