"""Attackers: processes that swap the store's directories for links, or spin on opening its keys, while it works.

Command line: `python -m tests.integration.attackers [CALLS]` runs both against the store until it has changed the file
system so many times (100,000), and prints the figures. `swap` and `spy` are the attackers themselves.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from registry_trust.agent.store import linux_calls
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import STORE
from tests.integration.interruptions import Calls, interrupted
from tests.integration.roots import CA_1, CA_2, NOTHING, PAIR_1, PAIR_2, REGISTRY, Root, fingerprint, wanted

NOBODY = 65534
CONTENTS = (wanted(CA_1), wanted(CA_2, pairs=(PAIR_1,)), wanted(CA_1, pairs=(PAIR_2,)), NOTHING)

Step = Callable[[int], int]
"""Writes once, as often as it was asked before, and returns how many calls changed something."""


@dataclass(frozen=True)
class Figures:
    """What an attack came to."""

    changes: int
    """System calls with which the store changed the file system meanwhile."""
    attempts: int
    """Swaps, or tries to open a key."""
    successes: int
    """Changes outside the root, or keys that were read."""
    seconds: float


# ---- swapping --------------------------------------------------------------------------------------------------------


def swap(root: Path, victim: Path) -> None:
    """Exchange each directory and link of the store for a link to the victim and back, until the input ends."""
    top = os.open(root, os.O_RDONLY)
    swaps = 0
    decoy = "decoy.example"
    while not _input_ended():
        folder = f"{STORE}/{REGISTRY}"
        generations: list[str] = []
        with suppress(OSError):
            generations = [f"{folder}/{one.name}" for one in (root / folder).iterdir()]
        for name, aim in (
            (STORE, victim / STORE),
            (folder, victim / folder),
            (REGISTRY, victim / REGISTRY),
            *((one, victim / folder / "generation") for one in generations),
        ):
            with suppress(OSError):
                os.unlink(decoy, dir_fd=top)
            shutil.rmtree(root / decoy, ignore_errors=True)  # where the way back was barred
            with suppress(OSError):
                os.symlink(aim, decoy, dir_fd=top)
                for _ in range(20):
                    linux_calls.renameat2(top, decoy, top, name, linux_calls.RENAME_EXCHANGE)
                    swaps += 1
                    linux_calls.renameat2(top, decoy, top, name, linux_calls.RENAME_EXCHANGE)
                    swaps += 1
    _say(attempts=swaps)


def prepare_victim(folder: Path) -> Path:
    """Make a folder that looks like a store of ours in every way, and is not to be touched."""
    victim = folder / "outside"
    made = Root(victim)
    made.bring_well(CONTENTS[1])
    generation = made.generation()
    shutil.copytree(generation, generation.with_name("generation"))
    return victim


def attack_by_swapping(folder: Path, changes: int, step: Callable[[Path], Step] | None = None) -> Figures:
    """Let the store write and delete while another process swaps its directories for links to a victim.

    Args:
        folder: an empty folder.
        changes: how many changing calls the store is to make.
        step: another writer, in its place; it ends with the first success of the attacker, or after ten seconds.
    """
    victim = prepare_victim(folder)
    root = Root(folder / "certs.d")
    before = fingerprint(victim)
    write = _passes(root) if step is None else step(root.path)
    made = turns = 0
    begun = time.monotonic()
    with _attacker("swap", root.path, victim) as finished:
        idle = 0
        while made < changes:
            calls = write(turns)
            made += calls
            turns += 1
            idle = 0 if calls else idle + 1
            if idle > 5 * len(CONTENTS):
                # A swap took the manifest away: what is there is nobody's now, and the store rightly leaves it alone.
                _empty(root.path)
                idle = 0
            if step is not None and (fingerprint(victim) != before or time.monotonic() - begun > 10):
                break
    after = fingerprint(victim)
    changed = sum(after.get(name) != before.get(name) for name in {*before, *after})
    return Figures(made, finished["attempts"], changed, time.monotonic() - begun)


def _empty(root: Path) -> None:
    """Take everything out of a root; rmtree never follows a link that takes a directory's place."""
    for child in root.iterdir():
        with suppress(OSError):
            child.unlink() if child.is_symlink() or not child.is_dir() else shutil.rmtree(child)


def _passes(root: Root) -> Step:
    """One pass of the store each time; what is in its way it says as its own kind of error, and nothing else."""

    def write(turn: int) -> int:
        with interrupted(Calls()) as calls, suppress(StoreFailure):
            root.bring(CONTENTS[turn % len(CONTENTS)], immediately=True)
        return len(calls.names)

    return write


def by_path(root: Path) -> Step:
    """Write and delete by whole paths, as most programs do."""

    def write(turn: int) -> int:
        folder = root / STORE / REGISTRY / "generation"
        with suppress(OSError):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "ca.crt").write_bytes(b"%d" % turn)
        return 4

    return write


# ---- spying ----------------------------------------------------------------------------------------------------------


def spy(root: Path) -> None:
    """As an unprivileged user, open everything that may be a key, until the input ends."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    attempts = successes = 0
    kept: list[int] = []
    while not _input_ended():
        for path in [*_candidates(root)] * 50:
            attempts += 1
            successes += _reads_key(path)
        # A directory that was open while everybody might enter it must not stay a way in.
        with suppress(OSError):
            if len(kept) < 50:
                kept.append(os.open(root / STORE / REGISTRY, os.O_PATH | os.O_DIRECTORY))
        for descriptor in kept:
            for name in _names(descriptor):
                attempts += 1
                successes += _reads_key(f"{name}/client.key", descriptor)
    _say(attempts=attempts, successes=successes)


def _candidates(root: Path) -> Iterator[Path]:
    yield root / REGISTRY / "client.key"
    for folder, _, files in os.walk(root / STORE):
        yield from (Path(folder) / name for name in files if name != "state.json")


def _names(descriptor: int) -> list[str]:
    try:
        return [path.name for path in Path(f"/proc/self/fd/{descriptor}").iterdir()]
    except OSError:
        return []


def _reads_key(path: Path | str, directory: int | None = None) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY, dir_fd=directory)
    except OSError:
        return False
    try:
        return b" key\n" in os.read(descriptor, 65536)
    except IsADirectoryError:
        return False  # It was a link to a file when it was listed.
    finally:
        os.close(descriptor)


def attack_by_spying(folder: Path, changes: int, step: Callable[[Path], Step] | None = None) -> Figures:
    """Let the store write pairs while an unprivileged process tries to read their keys; needs root.

    Args:
        folder: an empty folder that everybody may enter.
        changes: how many changing calls the store is to make.
        step: another writer, in its place, for three seconds.
    """
    root = Root(folder / "certs.d")
    write = _passes(root) if step is None else step(root.path)
    made = turns = 0
    begun = time.monotonic()
    with _attacker("spy", root.path) as finished:
        while made < changes and (step is None or time.monotonic() - begun < 3):
            made += write(turns)
            turns += 1
    return Figures(made, finished["attempts"], finished["successes"], time.monotonic() - begun)


def readable_for_a_moment(root: Path) -> Step:
    """Write the key first and take the others' right to read it afterwards."""

    def write(_: int) -> int:
        folder = root / REGISTRY
        folder.mkdir(exist_ok=True)
        (folder / "client.key").unlink(missing_ok=True)
        (folder / "client.key").write_bytes(PAIR_1.key)
        (folder / "client.key").chmod(0o600)
        return 3

    return write


# ---- processes -------------------------------------------------------------------------------------------------------


@contextmanager
def _attacker(name: str, *paths: Path) -> Iterator[dict[str, int]]:
    """Run an attacker beside the body; what it reports is there after the body."""
    command = [sys.executable, "-m", "tests.integration.attackers", name, *map(str, paths)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    report: dict[str, int] = {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            yield report
            report.update(json.loads(child.communicate(timeout=60)[0]))
        finally:
            child.kill()


def _input_ended() -> bool:
    try:
        return os.read(0, 1) == b""
    except BlockingIOError:
        return False


def _say(**figures: int) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")


def main(arguments: list[str]) -> int:
    """Be an attacker, or run both attacks in full."""
    if arguments and arguments[0] in ("swap", "spy"):
        os.set_blocking(0, False)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        paths = [Path(text) for text in arguments[1:]]
        swap(*paths) if arguments[0] == "swap" else spy(*paths)
        return 0
    changes = int(arguments[0]) if arguments else 100_000
    successes = 0
    for attack in (attack_by_swapping, attack_by_spying):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            figures = attack(Path(folder), changes)
        successes += figures.successes
        sys.stdout.write(f"{attack.__name__}: {figures}\n")
    return int(successes > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
