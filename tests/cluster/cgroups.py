"""Makes and removes the cgroup under which a node's pods live, in every hierarchy of cgroup v1 or in the one of v2."""

import contextlib
import os
import signal
from pathlib import Path

from tests.cluster.waiting import wait_until

_MOUNT = Path("/sys/fs/cgroup")
_V1 = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd", "unified")


def is_v2() -> bool:
    return (_MOUNT / "cgroup.controllers").exists()


def create(name: str) -> None:
    """An empty cgroup directly below the root. The kubelet finds no cpuset unless it has the root's processors and memory."""
    for hierarchy in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
    if is_v2():
        return
    for setting in ("cpuset.cpus", "cpuset.mems"):
        (_MOUNT / "cpuset" / name / setting).write_text((_MOUNT / "cpuset" / setting).read_text())


def remove(name: str) -> None:
    """Kills every process below the cgroup and removes it in every hierarchy. None there is no error."""
    for hierarchy in _hierarchies():
        wait_until(lambda top=hierarchy / name: _removed(top), f"cgroup {hierarchy / name} is empty and removed", within=20)


def kill(name: str) -> None:
    """Kills every process below the cgroup; the cgroup stays."""
    for hierarchy in _hierarchies():
        wait_until(lambda top=hierarchy / name: not _killed(top), f"cgroup {hierarchy / name} is empty", within=20)


def _killed(top: Path) -> int:
    """How many processes were there to be killed."""
    count = 0
    for folder, _, _ in os.walk(top):
        with contextlib.suppress(OSError):  # went meanwhile
            for number in (Path(folder) / "cgroup.procs").read_text().split():
                count += 1
                os.kill(int(number), signal.SIGKILL)
    return count


def _hierarchies() -> list[Path]:
    return [_MOUNT] if is_v2() else [path for path in (_MOUNT / part for part in _V1) if path.is_dir() and not path.is_symlink()]


def _removed(top: Path) -> bool:
    if not top.exists():
        return True
    _killed(top)
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):  # went meanwhile, or is still busy: the next round sees
            Path(folder).rmdir()
    return not top.exists()
