"""The verifier: asks registries, each in its turn and in a thread of its own, whether this node's pulls will work."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from registry_trust.agent.backoff import Random
from registry_trust.agent.host_view import addresses, environment
from registry_trust.agent.options import Mount
from registry_trust.agent.probe.probe import Question, probe
from registry_trust.agent.probe.system_roots import system_roots
from registry_trust.agent.runtime.candidates import Candidate
from registry_trust.core.desired import Desired
from registry_trust.core.layout import Reader, entry_name
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState, TargetState
from registry_trust.core.verdict.verdict import State, Verdict, unknown

EVERY = 6 * 3600.0
"""Seconds between two questions to a registry with which pulls work."""

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0
"""Seconds until the next question where pulls fail, or nobody can tell: at first, and at most."""

SPREAD = 1.0
"""Seconds in which the verifiers of a change ask for the first time."""

BETWEEN = 0.2
"""Seconds between two questions of this node, whatever the registry."""

NOT_YET = unknown(Reason.NOT_VERIFIED, "this node is going to ask")
"""Said with the first report, so the operator can tell a node that will ask from an agent that does not know how to."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One registry with the files that a runtime of this node reads for it; `digest` names their content."""

    registry: str
    digest: str
    directory: str
    reader: Reader


@dataclass(frozen=True, slots=True)
class _Due:
    """When an inquiry is asked about next (monotonic), and how often in a row that was no success."""

    at: float
    failures: int = 0
    verdict: Verdict | None = None


def inquiries_of(
    rows: Sequence[RegistryRow], desired: Desired, candidates: Sequence[Candidate], roots: Sequence[Mount]
) -> tuple[Inquiry, ...]:
    """Return what this node is to ask about: the registries that it verifies and whose files are there and read.

    Args:
        rows: how each registry stands.
        desired: says which of them this node verifies.
        candidates: the targets, as they stand after the pass.
        roots: where the roots of the host are in this process' file system.
    """
    places = {mount.host: mount.here for mount in roots}
    target = next((c.target for c in candidates if c.row.state is TargetState.READ and c.target is not None), None)
    if target is None or target.path not in places:
        return ()
    reader = target.possible_readers()[0]
    return tuple(
        Inquiry(
            row.registry,
            row.generation,
            f"{places[target.path]}/{entry_name(target.layout, row.registry)}",
            reader,
        )
        for row in rows
        if row.state is RowState.CURRENT and not row.trust and row.registry in desired.registries
        if desired.registries[row.registry].verify
    )


def ask(inquiry: Inquiry, view: Path | None, *, own_network: bool = False) -> Verdict:
    """Ask a registry now, as the runtime would.

    Args:
        inquiry: the registry, and the files that are read for it.
        view: where parts of the host's file system are; None if nowhere.
        own_network: whether this process has the node's own network, and not that of a pod.
    """
    seen = environment(view)
    question = Question(
        inquiry.registry,
        inquiry.directory,
        inquiry.reader,
        None if view is None else system_roots(seen, view, partial=True),
        seen,
        own_network,
    )
    return probe(question, datetime.now(UTC), addresses(view))


def pause_after(failures: int, rand: Random) -> float:
    """Return the seconds until the next question, after so many in a row that were no success; a fifth more or less."""
    pause = EVERY if not failures else min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16))
    return pause * (0.8 + 0.4 * rand())


class Verifier:
    """Holds a verdict for each inquiry, as long as it is about what the node has."""

    def __init__(
        self,
        view: str,
        wake: Callable[[], object],
        stop: threading.Event,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        rand: Random = random.random,
    ) -> None:
        """Describe it; nothing is asked yet.

        Args:
            view: where parts of the host's file system are; empty if nowhere.
            wake: called after each new verdict.
            stop: ends the thread.
            monotonic: a clock in seconds.
            rand: as `random.random`.
        """
        self._view = Path(view) if view else None
        self._wake, self._stopping = wake, stop
        self._monotonic, self._random = monotonic, rand
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._due: dict[Inquiry, _Due] = {}

    def want(self, inquiries: Iterable[Inquiry]) -> None:
        """Take what is to be verified now; what was found about anything else is forgotten."""
        with self._lock:
            before, now = self._due, self._monotonic()
            self._due = {each: before.get(each) or _Due(now + SPREAD * self._random()) for each in inquiries}
            if self._due.keys() - before.keys():
                self._news.set()

    def with_verdicts(self, rows: Sequence[RegistryRow]) -> tuple[RegistryRow, ...]:
        """Return the rows with what is known of their files."""
        with self._lock:
            known = {(each.registry, each.digest): due.verdict or NOT_YET for each, due in self._due.items()}
        if not known:
            return tuple(rows)
        return tuple(
            row if row.trust else replace(row, verdict=known.get((row.registry, row.generation))) for row in rows
        )

    def run(self) -> None:
        """Ask whenever an inquiry is due, until the process stops."""
        while not self._stopping.is_set():
            inquiry, wait = self._next()
            if inquiry is None:
                self._news.wait(wait)  # The process does not wait for this thread when it ends.
                self._news.clear()
                continue
            self._take(inquiry, ask(inquiry, self._view))
            self._stopping.wait(BETWEEN)

    def _next(self) -> tuple[Inquiry | None, float]:
        with self._lock:
            if not self._due:
                return None, EVERY
            inquiry = min(self._due, key=lambda each: self._due[each].at)
            wait = self._due[inquiry].at - self._monotonic()
        return (inquiry, 0.0) if wait <= 0 else (None, wait)

    def _take(self, inquiry: Inquiry, verdict: Verdict) -> None:
        with self._lock:
            before = self._due.get(inquiry)
            if before is None:
                return
            failures = 0 if verdict.state is State.VERIFIED else before.failures + 1
            self._due[inquiry] = _Due(self._monotonic() + pause_after(failures, self._random), failures, verdict)
        if verdict != before.verdict:
            self._wake()
