"""Supervision: keeps each thread at work as long as the process lives, whatever it raises; a thread that ends shows."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from registry_trust.agent.backoff import Random, full_jitter
from registry_trust.process.unexpected import kind_of

log = logging.getLogger(__name__)


class Supervisor:
    """Runs the process's threads. An exception ends one run of a thread and never the thread."""

    def __init__(self, stop: threading.Event, *, rand: Random = random.random) -> None:
        self._stopping = stop
        self._random = rand
        self._threads: dict[str, threading.Thread] = {}
        self.failures: dict[str, int] = {}
        """Runs of each thread that ended with an exception, by name; each number is written by its own thread."""

    def start(self, name: str, run: Callable[[], None]) -> None:
        """Start a thread that calls `run`, and calls it again after a pause until the process stops."""
        self.failures[name] = 0
        # Not a subclass of Thread: its private names grow (3.13 added `_handle`) and would meet ours.
        thread = threading.Thread(target=self._keep_running, args=(name, run), name=name, daemon=True)
        self._threads[name] = thread
        thread.start()

    def dead(self) -> tuple[str, ...]:
        """Return the names of threads that have ended although the process goes on."""
        if self._stopping.is_set():
            return ()
        return tuple(name for name, thread in self._threads.items() if not thread.is_alive())

    def _keep_running(self, name: str, run: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            try:
                run()
            except Exception as error:  # noqa: BLE001 - the boundary of a thread: nothing may end it
                self.failures[name] += 1
                log.error("thread %s failed and starts again: %s", name, kind_of(error))  # noqa: TRY400 - see kind_of
            self._stopping.wait(full_jitter(min(self.failures[name], 6) or 1, self._random))
