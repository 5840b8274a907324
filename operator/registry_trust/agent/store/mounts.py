"""Mounts: whether a directory that was mounted into this process is still the one that its path on the host means."""

from __future__ import annotations

import os
import re
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")


def origin(directory: str) -> str | None:
    """Return which part of its file system is mounted where `directory` lies, as /proc/self/mountinfo says it.

    A bind mount whose source is renamed shows the new name there, and one whose source is deleted ends in `//deleted`
    (proc_pid_mountinfo(5), field 4). None if that can't be read, as in a process that is out of descriptors.
    """
    place = os.path.realpath(directory)
    best, found = -1, None
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split(" ")
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:  # Of two on one point the later one is on top.
            best, found = len(point), fields[3]
    return found


def is_detached(directory: str, at_start: str | None) -> bool:
    """Say whether the mount's source was moved or deleted since the start, or the directory itself deleted.

    What can't be found out is not so: only what is seen ends a process that works.
    """
    now = origin(directory)
    if now is not None and at_start is not None and (now.endswith("//deleted") or now != at_start):
        return True
    try:
        return Path(directory).stat().st_nlink == 0
    except OSError:
        return False  # Not reachable is a failure of the pass, and says so there.
