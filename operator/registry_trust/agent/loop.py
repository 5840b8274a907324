"""The loop: the one thread that changes files; select, plan, apply, verify, report, whenever something calls for it."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from registry_trust.agent.acceptance import Acceptance
from registry_trust.agent.backoff import full_jitter
from registry_trust.agent.delivery.inbox import Heard, Inbox, NodeSeen, ReceivedBundle
from registry_trust.agent.delivery.reporter import Reporter
from registry_trust.agent.delivery.subscriptions import unreadable
from registry_trust.agent.health import Health
from registry_trust.agent.journal import Journal
from registry_trust.agent.node_report import composed
from registry_trust.agent.options import Options
from registry_trust.agent.passes import Passes, PassResult
from registry_trust.agent.rest import Rest
from registry_trust.agent.rollback import Applied
from registry_trust.agent.runtime.candidates import Candidate
from registry_trust.agent.runtime.facts import Facts, readers_of
from registry_trust.agent.runtime.node import signs_of
from registry_trust.agent.runtime.runtimes import Runtimes
from registry_trust.agent.runtime.targets import choose
from registry_trust.agent.store.drift import Changes, Drift
from registry_trust.agent.store.tenure import SIGN_EVERY
from registry_trust.agent.verifier import Verifier, inquiries_of
from registry_trust.core.desired import Desired, UnitedTrusts, desired_state
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.removal_hold import held_removals
from registry_trust.core.report import RegistryRow, TargetRow, TargetState
from registry_trust.process.unexpected import kind_of

EXIT_DETACHED = 3
"""Exit code where a root was moved or deleted under its mount: only a new container gets the new directory."""

RUNTIME_PATIENCE = 10.0
"""Seconds from the start for which the Node's runtime is waited for; then it is unknown, and files are written."""

log = logging.getLogger(__name__)


class Stopped(BaseException):
    """The process is to end: the turn ends between two steps. No boundary catches it, like a KeyboardInterrupt."""


class Detached(BaseException):
    """A root was moved or deleted under its mount; only a new container gets the new one. Its path is the text."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a bundle means for this node: what it is to have, and rows for removals that are held."""

    desired: Desired
    held_removals: tuple[RegistryRow, ...]


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
        verifier: Verifier,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._options = options
        self._inbox = inbox
        self._runtimes = runtimes
        self._reporter = reporter
        self._health = health
        self._verifier = verifier
        self._stopping = stop
        self._passes = Passes(
            options.roots,
            options.configurations,
            source=f"{options.namespace}/{options.bundle}",
            breathe=self._breathe,
            monotonic=monotonic,
        )
        self._united = UnitedTrusts()
        self._acceptance = Acceptance()
        self._drift = Drift()
        self._unnoticed: Changes | None = None
        """Where something may have changed unnoticed before a watch was there; None: anywhere."""
        self._look_due = self._due = self._started = monotonic()
        """When the next turn is to be made without news (`_due`), and with a look at everything."""
        self._rest = Rest(inbox, self._drift)
        self._targets = Journal()
        self._unusable = Journal()
        self._failures = 0
        """Turns in a row that ended with an exception."""

    def run(self) -> int:
        """Turn until told to stop; return the process's exit code."""
        try:
            while True:
                self._wait(self.turn())
        except Stopped:
            return 0
        except Detached as error:
            log.error(  # noqa: TRY400 - the text is for an admin; a traceback says nothing more
                "%s was moved or deleted on the host, and this process still sees the old directory; exiting, so the "
                "container is started again with the new one",
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
            changes, (heard, woken) = self._changes(now), self._inbox.take()
            if changes is not None and not woken and self._is_echo(now, changes):
                # Directories that were made again get their watch, and whatever changed in them before is looked at.
                changes = self._watch(again=False)
                if self._is_echo(now, changes):
                    self._unnoticed = Changes()
                    return self._due - now
            wait = self._turn(heard, now, changes)
            self._unnoticed = self._watch(again=changes is None)
            self._due = now + wait
        except Exception as error:  # noqa: BLE001 - the boundary of a turn: whatever it met, the next one comes
            self._unnoticed = None
            self._unforeseen("a turn of the loop", error)
            self._failures += 1
            return full_jitter(self._failures, random.random)
        self._failures = 0
        return wait

    def _wait(self, seconds: float) -> None:
        try:
            self._rest.wait(seconds)
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

    def _changes(self, now: float) -> Changes | None:
        """Return where something changed since the last turn; None if it may be anywhere, and now and then."""
        noticed, unnoticed, self._unnoticed = self._drift.drain(), self._unnoticed, None
        if unnoticed is None or noticed.overflow or self._drift.polling is not None or now >= self._look_due:
            self._look_due = now + self._options.drift_interval
            return None
        return Changes(noticed.places | unnoticed.places)

    def _watch(self, *, again: bool) -> Changes:
        return self._drift.watch(self._passes.roots.watched_paths(), again=again)

    def _is_echo(self, now: float, changes: Changes) -> bool:
        """Say whether the last turn's own writes alone woke this one: a look at what they changed is enough."""
        return now < self._due and self._passes.unchanged(changes)

    def _turn(self, heard: Heard, now: float, changes: Changes | None) -> float:
        """Do what is to be done now; return the seconds until the next turn at the latest."""
        if not self._acceptance.looked():
            self._look(heard, now, changes)
        self._acceptance.consider(heard.bundle, now, time.time())
        waits = [max(self._look_due - now, 0.0), SIGN_EVERY, self._acceptance.wait(now)]
        unknown = self._started + RUNTIME_PATIENCE - now
        # The first seconds belong to the question which runtime this is; without an answer it is not known.
        early = heard.runtime is None and bool(self._options.configurations) and unknown > 0
        waits += [unknown] if early else []
        if self._acceptance.bundle is None or heard.node is None or early:
            # Without labels nobody knows what is selected: a pass could remove what is to stay.
            self._look(heard, now, changes)
            return _least(waits)
        wanted = self._wanted(self._acceptance.bundle, heard.node)
        if isinstance(wanted, Problem):
            self._look(heard, now, changes, wanted)
            return _least(waits)
        next_pass = self._apply(heard, self._acceptance.bundle, heard.node, wanted, now, changes)
        return _least([*waits, None if next_pass is None else max(next_pass, 0.05)])

    def _wanted(self, received: ReceivedBundle, node: NodeSeen) -> Wanted | Problem:
        """Return what a bundle means for this node; why this version fails on it, if it does."""
        try:
            desired = desired_state(received.bundle, node.labels, self._options.node, self._united)
            held = held_removals(received.bundle, node.labels, self._options.namespace, self._options.bundle)
        except Exception as error:  # noqa: BLE001 - nothing that is read from a Secret may leave the loop
            return unreadable(error)
        return Wanted(desired, held)

    def _look(self, heard: Heard, now: float, changes: Changes | None, unusable: Problem | None = None) -> None:
        """Look at the files without changing any: no usable bundle, or nobody knows the Node's labels or runtime."""
        states, rows, complete = self._passes.look(changes)
        self._acceptance.remember(states)
        newest = max(states, key=lambda state: state.serial, default=Applied("", 0))
        if states and complete and not self._health.ready:
            log.info("files of bundle serial %d are in place", newest.serial)
            self._health.ready = True
        self._health.serial = self._health.serial or newest.serial
        # The first seconds belong to the watch: a report in between would say something that is not so.
        late = now - self._started >= self._options.drift_interval
        if heard.node is not None and (unusable or (self._acceptance.bundle is None and late)):
            if self._unusable.is_news(("bundle",), str(unusable or "")) and unusable:
                log.warning("bundle can't be used, files stay as they are: %s", unusable)
            problem = (
                unusable
                or heard.bundle_problem
                or self._acceptance.notice
                or Problem(Reason.BUNDLE_MISSING, "no bundle was received")
            )
            targets = [candidate.row for candidate in self._choice(heard, heard.node)[0]]
            self._report(heard, heard.node, newest, rows, targets, (problem,), 0)

    def _choice(self, heard: Heard, node: NodeSeen) -> tuple[tuple[Candidate, ...], Facts]:
        written, signs = self._passes.roots.written, signs_of(heard.os_image, heard.kubelet, node.labels)
        facts = self._runtimes.facts(heard.runtime or "", node.labels, written, signs)
        candidates = choose(facts)
        rows = {(candidate.path,): candidate.row for candidate in candidates}
        said = {path: f"{row.state} {row.message}" for path, row in rows.items()}
        for path in self._targets.news(said):
            row = rows[path]
            level = logging.INFO if row.state in (TargetState.READ, TargetState.STANDBY) else logging.WARNING
            log.log(level, "target %s (%s): %s", row.path, row.layout, said[path])
        return candidates, facts

    def _apply(
        self,
        heard: Heard,
        received: ReceivedBundle,
        node: NodeSeen,
        wanted: Wanted,
        now: float,
        changes: Changes | None,
    ) -> float | None:
        """Make a pass and report; return the seconds until something of it is due again."""
        candidates, facts = self._choice(heard, node)
        writer = received.bundle.writer(received.bundle.serial)
        applied = Applied(received.uid, received.bundle.serial, "" if writer is None else writer.name)
        remembered = self._acceptance.to_remember(applied)
        result = self._passes.apply(candidates, wanted.desired, remembered, now, changes)
        if result.whole:
            self._acceptance.applied(remembered)
            self._health.serial = applied.serial
            self._health.ready = True
        else:
            # A report names the bundle that was applied as a whole: rows of what is left may not all fit into it.
            applied = self._acceptance.last_applied(received.uid)
        rows, remarks = self._remarks(result, facts)
        self._verifier.want(inquiries_of(rows, wanted.desired, result.candidates, self._options.roots))
        rows = self._verifier.with_verdicts(rows)
        self._health.entries = Counter(row.state.value for row in rows)
        self._health.repairs = self._passes.repairs.total
        notices = (heard.bundle_problem, self._acceptance.notice, *result.notices, *remarks)
        self._report(
            heard, node, applied, (*rows, *wanted.held_removals), result.targets, notices, received.bundle.fleet_size
        )
        return result.next_pass

    def _remarks(self, result: PassResult, facts: Facts) -> tuple[tuple[RegistryRow, ...], tuple[Problem, ...]]:
        """Return the rows and notices of a pass, with what the runtimes' own settings make of them."""
        try:
            readers = readers_of(result.candidates)
            rows = facts.with_exceptions(result.rows, readers)
            return rows, facts.notices(rows, readers)
        except Exception as error:  # noqa: BLE001 - a remark must not cost the report of what was written
            kind = self._unforeseen("judging the runtimes' settings", error)
            message = f"what the runtimes' settings mean is not known ({kind})"
            return result.rows, (Problem(Reason.RUNTIME_UNKNOWN, message),)

    def _report(
        self,
        heard: Heard,
        node: NodeSeen,
        applied: Applied,
        rows: Sequence[RegistryRow],
        targets: Sequence[TargetRow],
        notices: Sequence[Problem | None],
        fleet_size: int,
    ) -> None:
        if heard.node_gone:
            self._reporter.withhold()
            return
        try:
            # The agent's own first: a long list of findings must not hide that somebody fights with it.
            everything = (self._passes.repairs.notice(), self._drift.polling, *notices)
            report = composed(heard.runtime or "", node, applied, rows, targets, everything)
            self._reporter.submit(node.uid, report, fleet_size)
        except Exception as error:  # noqa: BLE001 - the boundary of a report: files are not affected
            self._unforeseen("the report", error)


def _least(waits: Sequence[float | None]) -> float:
    return min(wait for wait in waits if wait is not None)
