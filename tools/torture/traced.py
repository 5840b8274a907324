"""Traced processes: children whose real system calls strace records, or turns into their death."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CHANGING = frozenset(
    {"mkdirat", "openat", "write", "fchmod", "fsync", "symlinkat", "renameat", "renameat2", "unlinkat"}
)
"""The system calls with which the store changes a file system; `openat` where it creates."""

HARMLESS = frozenset(
    {
        *("read", "pread64", "close", "fstat", "newfstatat", "statx", "lseek", "getdents64", "readlinkat", "readlink"),
        *("flock", "fcntl", "ioctl", "dup", "getcwd", "access", "faccessat", "faccessat2"),
        *("mmap", "munmap", "mremap", "brk", "madvise", "mprotect", "futex", "getrandom", "sched_yield", "getpid"),
        *("gettid", "geteuid", "getuid", "getegid", "getgid", "clock_gettime", "clock_nanosleep", "rt_sigaction"),
        *("rt_sigprocmask", "rt_sigreturn", "restart_syscall", "exit_group", "exit", "gettimeofday", "rseq"),
        *("prctl", "set_robust_list", "poll", "ppoll", "pselect6", "select", "statfs", "fstatfs", "uname"),
    }
)
"""Calls that change no file; one that is in neither set fails the torture, because it could."""

_PR_SET_PTRACER = 0x59616D61
_LINE = re.compile(r"(\w+)\((.*)")


@dataclass(frozen=True, order=True)
class Call:
    """The n-th call of its name in a process (1 is the first)."""

    name: str
    number: int


def missing() -> str:
    """Say what this machine lacks for tracing; empty where nothing is."""
    return "" if shutil.which("strace") else "needs strace (Debian: strace)"


def run(actions: Sequence[Callable[[], object]], options: Sequence[str], output: Path) -> list[int]:
    """Run each action in a child process of its own under one strace; return the processes' wait statuses.

    Args:
        actions: what the children do; one that raises ends with status 3.
        options: what strace is to do, `-e ...`.
        output: strace writes the calls of the n-th child to `<output>.<n>`.
    """
    release, held = os.pipe()
    children = [_child(action, release, held) for action in actions]
    os.close(release)
    tracer = None
    try:
        command = ["strace", "-ff", "-o", str(output), *options, *(f"--attach={child}" for child in children)]
        tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        _wait_for_tracer(tracer, children)
        os.close(held)
        held = -1
        statuses = [os.waitpid(child, 0)[1] for child in children]
        children_of, children = children, []
        tracer.communicate(timeout=60)
    finally:
        if held >= 0:
            os.close(held)
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        if tracer is not None and tracer.poll() is None:
            tracer.kill()
            tracer.wait(10)
    for number, child in enumerate(children_of):
        written = Path(f"{output}.{child}")
        if written.exists():
            written.rename(f"{output}.{number}")
    return statuses


def _child(action: Callable[[], object], release: int, held: int) -> int:
    child = os.fork()
    if child:
        return child
    status = 3
    try:
        # Yama lets only ancestors trace, and strace is a sibling.
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1).value, 0, 0, 0)
        os.close(held)
        os.read(release, 1)  # ends with the file: all are attached
        action()
        status = 0
    finally:
        os._exit(status)


def _wait_for_tracer(tracer: subprocess.Popen[str], children: Sequence[int]) -> None:
    """Wait until strace says of every child that it is attached: /proc says so a moment before it is stopped."""
    assert tracer.stderr is not None
    said = ""
    for _ in children:
        line = tracer.stderr.readline()
        said += line
        if not line.rstrip().endswith("attached"):
            raise RuntimeError(f"strace did not attach: {said}")


def changing_calls(record: str) -> list[Call]:
    """Return the changing calls of one process, in their order, from what strace wrote.

    Raises:
        AssertionError: a call that nobody has judged, or nothing was recorded.
    """
    seen: dict[str, int] = {}
    calls: list[Call] = []
    for line in record.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue  # "+++ exited with 0 +++"
        name = match[1]
        seen[name] = seen.get(name, 0) + 1
        assert name in CHANGING or name in HARMLESS, f"nobody has judged what this call changes: {line}"
        if name in CHANGING and (name != "openat" or "O_CREAT" in match[2]):
            calls.append(Call(name, seen[name]))
    assert calls, "strace recorded nothing"
    return calls


def kill_at(call: Call) -> list[str]:
    """Return the options that kill a process when it enters this call, before the call does anything."""
    return ["-e", f"trace={call.name}", "-e", f"inject={call.name}:signal=KILL:when={call.number}"]


def was_killed(status: int) -> bool:
    """Say whether a process died by SIGKILL."""
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def by_call(points: Mapping[str, Sequence[Call]]) -> dict[Call, list[str]]:
    """Turn the calls of each process into the processes of each call: one strace serves all of these."""
    grouped: dict[Call, list[str]] = {}
    for process, calls in points.items():
        for call in calls:
            grouped.setdefault(call, []).append(process)
    return grouped
