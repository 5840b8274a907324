"""Makes and removes the cgroup under which a node's pods live, in every hierarchy of cgroup v1 or in the one of v2."""

import contextlib
import os
import signal
from functools import partial
from pathlib import Path

from tools.cluster.waiting import wait_until

_MOUNT = Path("/sys/fs/cgroup")
_V1 = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd", "unified")


def is_v2() -> bool:
    return (_MOUNT / "cgroup.controllers").exists()


def create(name: str) -> None:
    """An empty cgroup directly below the root, with the root's processors and memory: the kubelet expects them."""
    for hierarchy in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
    if is_v2():
        return
    for setting in ("cpuset.cpus", "cpuset.mems"):
        (_MOUNT / "cpuset" / name / setting).write_text((_MOUNT / "cpuset" / setting).read_text())


def remove(name: str) -> None:
    """Kills every process below the cgroup and removes it in every hierarchy. None there is no error."""
    for hierarchy in _hierarchies():
        wait_until(partial(_removed, hierarchy / name), f"cgroup {hierarchy / name} is empty and removed", within=20)


def kill(name: str) -> None:
    """Kills every process below the cgroup; the cgroup stays."""
    for hierarchy in _hierarchies():
        wait_until(partial(_none_to_kill, hierarchy / name), f"cgroup {hierarchy / name} is empty", within=20)


def _none_to_kill(top: Path) -> bool:
    """Kills what is there; True when nothing was."""
    found = False
    for folder, _, _ in os.walk(top):
        with contextlib.suppress(OSError):  # went meanwhile
            for number in (Path(folder) / "cgroup.procs").read_text().split():
                found = True
                os.kill(int(number), signal.SIGKILL)
    return not found


def _hierarchies() -> list[Path]:
    return (
        [_MOUNT]
        if is_v2()
        else [path for path in (_MOUNT / part for part in _V1) if path.is_dir() and not path.is_symlink()]
    )


def _removed(top: Path) -> bool:
    if not top.exists():
        return True
    _none_to_kill(top)
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):  # went meanwhile, or is still busy: the next round sees
            Path(folder).rmdir()
    return not top.exists()
