"""Interruptions: lets a process die, or the system refuse, at the n-th call with which the store changes something."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from registry_trust.agent.store import directories

CHANGING = frozenset({"mkdir", "open", "write", "fchmod", "fsync", "symlink", "rename", "unlink", "rmdir", "renameat2"})
"""What `agent.directories` changes a file system with; an `open` counts where it makes a file."""

READING = frozenset({"listdir", "lstat", "readlink", "read", "fstat", "scandir"})
"""What it looks with; every other `open` belongs here, too."""


@dataclass
class Calls:
    """Counts calls, and acts before the n-th (1 is the first).

    Attributes:
        act: called with the call's name, in place of the call unless it returns.
        at: before which call; 0 is never.
        lasting: also before every later one.
        reading: calls that only look count, too.
        about: only calls whose first argument is this count; empty for all.
    """

    act: Callable[[str], None] | None = None
    at: int = 0
    names: list[str] = field(default_factory=list)
    lasting: bool = False
    reading: bool = False
    about: str = ""

    def counts(self, name: str, arguments: tuple[Any, ...]) -> bool:
        """Say whether a call is one to count."""
        if self.about and arguments[0] != self.about:
            return False
        return self.reading or name != "open" or bool(arguments[1] & os.O_CREAT)

    def before(self, name: str) -> None:
        """Count a call, and act if it is time."""
        self.names.append(name)
        if self.act is not None and self.at and (len(self.names) == self.at or (self.lasting and self.reached())):
            self.act(name)

    def reached(self) -> bool:
        """Say whether there were so many calls."""
        return len(self.names) >= self.at

    def torn(self) -> bool:
        """Say whether the next call is the one to act before."""
        return self.act is not None and len(self.names) + 1 == self.at


class _Counted:
    """A module whose functions are counted; every call that is not interrupted is the real one."""

    def __init__(self, module: ModuleType, calls: Calls) -> None:
        self._module = module
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if name not in CHANGING and not (self._calls.reading and name in READING):
            return found

        def counted(*arguments: Any, **options: Any) -> Any:
            if self._calls.counts(name, arguments):
                if name == "write" and self._calls.torn():
                    found(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])  # torn in the middle
                self._calls.before(name)
            return found(*arguments, **options)

        return counted


@contextmanager
def interrupted(calls: Calls) -> Iterator[Calls]:
    """Count, and interrupt, every call of the store inside the body."""
    module = vars(directories)
    original = {name: module[name] for name in ("os", "linux_calls")}
    module.update({name: _Counted(found, calls) for name, found in original.items()})
    try:
        yield calls
    finally:
        module.update(original)


def killed_at(point: int, action: Callable[[], object]) -> bool:
    """Run an action in a child process that kills itself before its n-th changing call; say whether it came so far."""
    child = os.fork()
    if child == 0:
        status = 3
        try:
            with interrupted(Calls(lambda _: os.kill(os.getpid(), signal.SIGKILL), point)):
                action()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the action failed by itself"
    return False


def refused_at(point: int, number: int, action: Callable[[], object]) -> bool:
    """Run an action in which the n-th changing call fails with an errno; say whether it came so far."""

    def refuse(_: str) -> None:
        raise OSError(number, os.strerror(number))

    with interrupted(Calls(refuse, point)) as calls:
        action()
    return len(calls.names) >= point
