"""Interruptions: lets a process die, or the system refuse, at the n-th call with which the store changes something."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType

from registry_trust.agent import directories

CHANGING = frozenset({"mkdir", "open", "write", "fchmod", "fsync", "symlink", "rename", "unlink", "rmdir", "renameat2"})
"""What `agent.directories` changes a file system with; an `open` counts where it makes a file."""


@dataclass
class Calls:
    """Counts the changing calls, and acts before the n-th (1 is the first)."""

    act: Callable[[str], None] | None = None
    at: int = 0
    names: list[str] = field(default_factory=list)

    def before(self, name: str) -> bool:
        self.names.append(name)
        return self.act is not None and len(self.names) == self.at


class _Counted:
    """A module whose changing functions are counted; every call that is not interrupted is the real one."""

    def __init__(self, module: ModuleType, calls: Calls) -> None:
        self._module = module
        self._calls = calls

    def __getattr__(self, name: str):
        found = getattr(self._module, name)
        if name not in CHANGING:
            return found

        def counted(*arguments, **options):
            makes = name != "open" or arguments[1] & os.O_CREAT
            if makes and self._calls.before(name):
                if name == "write":
                    found(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])  # torn in the middle
                self._calls.act(name)
            return found(*arguments, **options)

        return counted


@contextmanager
def interrupted(calls: Calls):
    """Count, and interrupt, every changing call of the store inside the body."""
    original = directories.os, directories.linux_calls
    directories.os = _Counted(directories.os, calls)
    directories.linux_calls = _Counted(directories.linux_calls, calls)
    try:
        yield calls
    finally:
        directories.os, directories.linux_calls = original


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
