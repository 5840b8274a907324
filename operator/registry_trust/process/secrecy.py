"""Secrecy: keeps the memory of a process that holds private keys out of core dumps and other processes' reach."""

from __future__ import annotations

import ctypes
import resource

_PR_SET_DUMPABLE = 4
"""prctl(2), linux/prctl.h."""


def keep_memory_private() -> bool:
    """Forbid core dumps, and /proc/<pid>/{mem,environ,maps} and ptrace to all but root; call it first of all.

    A crash then leaves no file with keys in it, and nothing is handed to a dump's collector either: a pipe in
    core_pattern ignores RLIMIT_CORE, but not PR_SET_DUMPABLE (core(5), prctl(2)). An exec resets it, a thread or fork
    inherits it.

    Returns:
        False if the system has no such call; the limit alone is set then.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return prctl is not None and prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
