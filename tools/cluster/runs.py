"""Keeps for each run a private folder and a record of what is made outside it, so that all can go after a crash."""

import fcntl
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.cluster import canaries, cgroups, marked_processes
from tools.cluster.folders import state_folder

_OWNER = "owner.json"
_RECORD = "record.jsonl"

LOGS = "logs"
"""The folder of a run's logs."""


@dataclass(frozen=True)
class Run:
    """One run of a control plane or cluster.

    Its name marks every process, network namespace and cgroup that belongs to it. What is made outside the folder is
    recorded before it is made, so a run whose owner was killed can be removed by anybody.
    """

    folder: Path

    @property
    def name(self) -> str:
        """`rt` and six hexadecimal digits: short enough to begin the name of a network device."""
        return self.folder.name

    @classmethod
    def create(cls, *, outlives_its_owner: bool = False) -> "Run":
        """A new, empty run that belongs to this process; left-overs of dead owners are removed first."""
        remove_left_overs()
        runs = _runs_folder()
        runs.mkdir(parents=True, exist_ok=True)
        folder = runs / f"rt{secrets.token_hex(3)}"
        folder.mkdir(mode=0o700)
        owner = {"pid": os.getpid(), "started": marked_processes.start_of(os.getpid()), "boot": _boot()}
        if outlives_its_owner:
            owner = {"outlives": True, "boot": _boot()}
        (folder / _OWNER).write_text(json.dumps(owner))
        return cls(folder)

    def subfolder(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def record(self, kind: str, name: str) -> None:
        """Notes a `netns` or `cgroup` that is about to be made."""
        with (self.folder / _RECORD).open("a") as file:
            file.write(json.dumps({"kind": kind, "name": name}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def recorded(self, kind: str) -> list[str]:
        record = self.folder / _RECORD
        lines = record.read_text().splitlines() if record.exists() else []
        found = []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # a line that was cut short: what it names was never made
            if entry["kind"] == kind:
                found.append(entry["name"])
        return found

    def destroy(self) -> None:
        """Ends every process of the run and removes all that it made. May be repeated after a failure.

        Raises KeyFoundError at the end if a private key that this process made stands in one of its logs.
        """
        marked_processes.end(marked_processes.RUN, self.name)
        for cgroup in self.recorded("cgroup"):
            cgroups.remove(cgroup)
        marked_processes.end(marked_processes.RUN, self.name)
        for netns in self.recorded("netns"):
            if (Path("/run/netns") / netns).exists():
                subprocess.run(["ip", "netns", "delete", netns], check=True, timeout=30)
        if below := list(_mounts_below(self.folder)):
            # Never delete through a mount: it might lead anywhere.
            message = f"{self.folder} is kept: something is mounted there: {', '.join(below)}"
            raise RuntimeError(message)
        logs = canaries.logs_in(self.folder / LOGS)
        shutil.rmtree(self.folder, onerror=_unless_gone)  # Another session may be removing the same left-overs.
        canaries.require_none(logs)

    @property
    def outlives(self) -> bool:
        """Whether it is meant to run until somebody says `down`."""
        owner = self._owner()
        return owner is not None and owner["boot"] == _boot() and bool(owner.get("outlives"))

    def is_left_over(self) -> bool:
        """Whether its owner is gone without having removed it."""
        owner = self._owner()
        if owner is None:
            # Made a moment ago by a process that is about to write it, or by one that was killed in between.
            return not marked_processes.made_recently(self.folder)
        if owner["boot"] != _boot():
            return True
        if owner.get("outlives"):
            return False
        return bool(marked_processes.start_of(owner["pid"]) != owner["started"])

    def _owner(self) -> dict[str, Any] | None:
        try:
            owner: dict[str, Any] = json.loads((self.folder / _OWNER).read_text())
        except (OSError, ValueError):
            return None
        return owner


def _unless_gone(_function: object, _path: str, error: tuple[Any, Any, Any]) -> None:
    if not issubclass(error[0], FileNotFoundError):
        raise error[1]


def all_runs() -> list[Run]:
    runs = _runs_folder()
    return [Run(folder) for folder in sorted(runs.iterdir())] if runs.is_dir() else []


def remove_left_overs() -> list[str]:
    """Removes runs whose owner was killed; returns their names."""
    removed = []
    state_folder().mkdir(parents=True, exist_ok=True)
    with (state_folder() / "removal.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for run in all_runs():
            if run.is_left_over():
                run.destroy()
                removed.append(run.name)
    return removed


def _runs_folder() -> Path:
    return state_folder() / "runs"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _mounts_below(folder: Path) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place = line.split()[4]
        if place.startswith(f"{folder}/"):
            yield place
