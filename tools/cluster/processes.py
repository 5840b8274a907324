"""Starts the long-running processes of a run: marked, logged to a file, and ended with their parent."""

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.marked_processes import RUN
from tools.cluster.runs import LOGS, Run


class ProcessEndedError(Exception):
    """A process that should run has ended; the message has the end of its log."""


@dataclass
class Process:
    """A child process of this one."""

    name: str
    child: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.child.pid

    def check(self) -> None:
        """Raises ProcessEndedError if it does not run any more."""
        if self.child.poll() is not None:
            message = (
                f"{self.name} ended with status {self.child.returncode}; the end of {self.log}:\n{self.last_words()}"
            )
            raise ProcessEndedError(message)

    def last_words(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, grace: float = 15) -> None:
        """Asks it to end, and kills it after so many seconds."""
        if self.child.poll() is None:
            self.ask_to_end()
            try:
                self.child.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill()

    def ask_to_end(self) -> None:
        """Sends it SIGTERM, unless it has ended."""
        if self.child.poll() is None:
            self.child.terminate()

    def kill(self) -> None:
        """Ends it as a crash does."""
        self.child.kill()
        self.reap()

    def reap(self) -> None:
        """Takes note of an end that has been brought about otherwise."""
        self.child.wait(10)


def start(
    run: Run,
    name: str,
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    pass_fds: Sequence[int] = (),
    outlives: bool = False,
) -> Process:
    """Starts a process in a session of its own: Ctrl-C is for its owner. Its output goes to `logs/NAME.log` of the run.

    `environment` is added to this process's. With `outlives` the process goes on when this one ends.
    """
    log = run.subfolder(LOGS) / f"{name}.log"
    with log.open("ab") as output:
        child = subprocess.Popen(
            [*([] if outlives else die_with_parent()), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder or run.folder,
            env=marked_environment(run, environment),
            pass_fds=pass_fds,
            start_new_session=True,
        )
    return Process(name, child, log)


def marked_environment(run: Run, added: Mapping[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, **(added or {}), RUN: run.name}


def die_with_parent() -> list[str]:
    """A command prefix: the kernel kills the process when its parent dies.

    It does so at the end of the parent's *thread*, so a process started by any other than the main one goes without;
    then it is the next run that removes it. A program does this, and not subprocess's preexec_fn: that runs Python
    between fork and exec, which may hang when there are other threads.
    """
    program = shutil.which("setpriv")
    if program is None or threading.current_thread() is not threading.main_thread():
        return []
    return [program, "--pdeathsig=KILL", "--"]
