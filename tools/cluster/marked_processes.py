"""Finds and ends the processes of a run or node by a mark in their environment, which children inherit."""

import os
import signal
import time
from pathlib import Path

from tools.cluster.waiting import wait_until

RUN = "REGISTRY_TRUST_RUN"
NODE = "REGISTRY_TRUST_NODE"


def marked(kind: str, name: str) -> list[int]:
    """Numbers of the live processes that carry the mark, this process excepted."""
    mark = f"{kind}={name}".encode()
    return [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _carries(int(entry.name), mark)
    ]


def end(kind: str, name: str, within: float = 20) -> None:
    """Kills every process that carries the mark, with those that they start meanwhile, and waits until none is left."""
    mark = f"{kind}={name}".encode()

    def none_left() -> bool:
        left = marked(kind, name)
        for number in left:
            _kill(number, mark)
        return not left

    wait_until(none_left, f"the processes marked {kind}={name} end", within=within)


def start_of(number: int) -> int | None:
    """When a process was started, in clock ticks since boot: with its number, that names it for good. None: gone."""
    try:
        fields = (Path("/proc") / str(number) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def made_recently(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < 10
    except OSError:
        return False


def _carries(number: int, mark: bytes) -> bool:
    if number == os.getpid() or start_of(number) is None:
        return False
    try:
        environment = (Path("/proc") / str(number) / "environ").read_bytes()
    except OSError:
        return False  # gone, or another user's
    return mark in environment.split(b"\0")


def _kill(number: int, mark: bytes) -> None:
    try:
        handle = os.pidfd_open(number)
    except ProcessLookupError:
        return
    try:
        if _carries(number, mark):  # looked at again: with the handle held, the number is not given to another
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)
