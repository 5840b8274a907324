"""Clearing: a neighbour that empties a root each time it starts, as Spegel does, under a loop of pulls."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

BACKUP = "_backup"


@dataclass(frozen=True)
class Neighbour:
    """Keeps what it found the first time, removes everything else at each start, and writes mirrors for everything."""

    root: Path
    mirrors: str
    """The text of its `_default/hosts.toml`."""

    def start(self) -> None:
        """Do what it does before it serves."""
        kept = self.root / BACKUP
        if not kept.exists():
            kept.mkdir()
            for found in self.root.iterdir():
                if found != kept:
                    found.rename(kept / found.name)
        self._clear()
        default = self.root / "_default"
        default.mkdir(exist_ok=True)
        (default / "hosts.toml").write_text(self.mirrors)

    def uninstall(self) -> None:
        """Put back what was there before the first start."""
        self._clear()
        kept = self.root / BACKUP
        for found in kept.iterdir():
            target = self.root / found.name
            shutil.rmtree(target, ignore_errors=True)  # As in `_clear`.
            found.rename(target)
        kept.rmdir()

    def _clear(self) -> None:
        for found in self.root.iterdir():
            if found.name == BACKUP:
                continue
            if found.is_symlink() or not found.is_dir():
                found.unlink(missing_ok=True)
            else:
                shutil.rmtree(found, ignore_errors=True)  # The agent may be writing there again already.


def is_whole(entry: Path) -> bool:
    """Say whether an entry has all the files of a trust with a CA certificate and one client certificate."""
    return all((entry / name).exists() for name in ("hosts.toml", "ca.crt", "client.cert", "client.key"))


@dataclass
class Fought:
    """What the pulls saw: how many there were, and which failed although the entry was there when they began."""

    starts: int = 0
    pulls: int = 0
    failed_before_the_repair: int = 0
    faults: list[str] = field(default_factory=list)


def fight(
    neighbour: Neighbour, is_repaired: Callable[[], bool], pull: Callable[[], str], *, starts: int, every: float
) -> Fought:
    """Start the neighbour again and again, and pull all the while.

    Args:
        neighbour: it.
        is_repaired: says whether our entry is in place with all of its files: a clearing can still delete some of them.
        pull: pulls once; returns why that failed, or nothing.
        starts: how often it starts.
        every: seconds from one start to the next.
    """
    fought = Fought()
    for number in range(starts):
        neighbour.start()
        began = time.monotonic()
        fought.starts += 1
        repaired = False
        while time.monotonic() - began < every:
            repaired = is_repaired()
            words = pull()
            fought.pulls += 1
            if words and repaired:
                fought.faults.append(f"start {number}: repaired, and a pull that began then failed: {words}")
            elif words:
                fought.failed_before_the_repair += 1
        if not repaired:
            fought.faults.append(f"start {number}: not repaired within {every} seconds")
    return fought
