"""The lock: one process at a time changes a root."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.failures import failing, shown
from registry_trust.core.errors import StoreFailure
from registry_trust.core.reasons import Reason

_PAUSE = 0.05
"""Seconds between two tries; flock(2) itself knows no deadline."""


@contextmanager
def exclusive(root: Directory, wait: float, monotonic: Callable[[], float]) -> Iterator[None]:
    """Hold flock(2) on the root; it ends with the descriptor, so a dead process never holds it.

    Args:
        root: the root, open.
        wait: seconds to wait for another process.
        monotonic: the clock.

    Raises:
        StoreFailure: Contested, when the other process did not let go in time; it is named where /proc knows it.
    """
    deadline = monotonic() + wait
    while True:
        with failing("lock", root.path):
            try:
                fcntl.flock(root.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pass
        if monotonic() >= deadline:
            raise StoreFailure(
                Reason.CONTESTED,
                f"{shown(root.path)} is locked by {_holder(root)}, and was not free within {wait:g} s; two agents on "
                "one node? This one goes on trying",
            )
        time.sleep(_PAUSE)
    yield


def _holder(root: Directory) -> str:
    inode = os.fstat(root.fileno()).st_ino
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    for line in lines:
        # 1: FLOCK  ADVISORY  WRITE 4242 fe:00:131074 0 EOF
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(inode):
            # A process of another PID namespace has no number in this one.
            return f"process {fields[4]}" if int(fields[4]) > 0 else "a process outside this container"
    return "another process"
