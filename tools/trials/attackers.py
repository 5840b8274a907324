"""Attackers: processes that swap the store's directories for links, or spin on opening its keys, while it works.

Command line: `python -m tools.trials.attackers swap ROOT PULSE VICTIM` and `spy ROOT PULSE` are the attackers
themselves; `make torture` lets both attack in full.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from registry_trust.agent.store import linux_calls
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import STORE
from registry_trust.core.report import RowState
from tools.trials.interruptions import interrupted
from tools.trials.pulse import PATIENCE, AttackPulse, Watched
from tools.trials.roots import CA_1, CA_2, NOTHING, PAIR_1, PAIR_2, REGISTRY, Root, fingerprint, wanted

NOBODY = 65534
CONTENTS = (wanted(CA_1), wanted(CA_2, pairs=(PAIR_1,)), wanted(CA_1, pairs=(PAIR_2,)), NOTHING)

Step = Callable[[int], int]
"""Writes once, as often as it was asked before, and returns how many calls changed something."""


@dataclass(frozen=True)
class AttackFigures:
    """What an attack came to."""

    changes: int
    """System calls with which the store changed the file system meanwhile."""
    attempts: int
    """Swaps, or tries to open a key."""
    successes: int
    """Changes outside the root, or keys that were read."""
    seconds: float
    attacked: int = 0
    """Changes of the store before which, since its last one, there was an attempt."""
    passes: int = 0
    met: int = 0
    """Passes in which the store met the attack: it refused, or a call failed."""


# ---- swapping --------------------------------------------------------------------------------------------------------


def swap(root: Path, pulse: AttackPulse, victim: Path) -> None:
    """Exchange each directory and link of the store for a link to the victim and back, until the input ends."""
    top = os.open(root, os.O_RDONLY)
    decoy = "decoy.example"
    while not _input_ended():
        pulse.round()
        folder = f"{STORE}/{REGISTRY}"
        generations: list[str] = []
        with suppress(OSError):
            # Not all: what a swap took out of the manifest stays, and there is more of it with every round.
            found = [f"{folder}/{one.name}" for one in (root / folder).iterdir()]
            generations = random.sample(found, min(len(found), 6))
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
                for _ in range(40):  # an even number: it ends as it was
                    linux_calls.renameat2(top, decoy, top, name, linux_calls.RENAME_EXCHANGE)
                    pulse.attempt()


def prepare_victim(folder: Path) -> Path:
    """Make a folder that looks like a store of ours in every way, and is not to be touched."""
    victim = folder / "outside"
    made = Root(victim)
    made.bring_well(CONTENTS[1])
    generation = made.generation()
    shutil.copytree(generation, generation.with_name("generation"))
    return victim


def attack_by_swapping(folder: Path, changes: int, step: Callable[[Path], Step] | None = None) -> AttackFigures:
    """Let the store write and delete while another process swaps its directories for links to a victim.

    Args:
        folder: an empty folder.
        changes: how many changing calls the store is to make.
        step: another writer, in its place; it ends with the first success of the attacker, or after ten seconds.
    """
    victim = prepare_victim(folder)
    root = Root(folder / "certs.d")
    before = fingerprint(victim)
    with _attacker("swap", folder, root.path, victim) as pulse:
        passes = AttackedPasses(root, pulse)
        write = passes if step is None else step(root.path)
        made, turns, begun = _write(write, changes, pulse, lambda: step is not None and fingerprint(victim) != before)
    after = fingerprint(victim)
    changed = sum(after.get(name) != before.get(name) for name in {*before, *after})
    return AttackFigures(made, pulse.attempts, changed, time.monotonic() - begun, passes.attacked, turns, passes.met)


def _write(write: Step, changes: int, pulse: AttackPulse, enough: Callable[[], bool]) -> tuple[int, int, float]:
    """Write until there were so many changes, or it is enough; return changes, turns, and when it began."""
    made = turns = done = 0
    begun = time.monotonic()
    while made < changes and not enough():
        done = pulse.await_change(done)
        made += write(turns)
        turns += 1
        if changes == ENDLESS and time.monotonic() - begun > 10:
            break
    return made, turns, begun


ENDLESS = 10**9
"""Changes of a worse writer, which ends after ten seconds."""


@dataclass
class AttackedPasses:
    """Passes of the store; what is in its way it says as its own kind of error, and nothing else."""

    root: Root
    pulse: AttackPulse
    attacked: int = 0
    met: int = 0
    idle: int = 0

    def __call__(self, turn: int) -> int:
        """Make one pass."""
        calls = Watched(pulse=self.pulse, attempts=self.pulse.attempts)
        with interrupted(calls):
            self.met += self._meets(turn)
        self.attacked += calls.attacked
        self.idle = 0 if calls.names else self.idle + 1
        if self.idle > 5 * len(CONTENTS):
            # A swap took the manifest away: what is there is nobody's now, and the store rightly leaves it alone.
            _empty(self.root.path)
            self.idle = 0
        return len(calls.names)

    def _meets(self, turn: int) -> bool:
        try:
            with self.root.store.lock() as store:
                plan = self.root.plan(store, CONTENTS[turn % len(CONTENTS)])
                outcomes = store.apply(plan.steps, self.root.layout)
                self.root.collected = store.collect_garbage(immediately=True)
        except StoreFailure:
            return True
        failed = any(row.state is RowState.FAILED for row in plan.rows)
        return failed or any(outcome.error for outcome in outcomes) or bool(self.root.findings())


def _empty(root: Path) -> None:
    """Take everything out of a root; rmtree never follows a link that takes a directory's place."""
    for child in root.iterdir():
        with suppress(OSError):
            child.unlink() if child.is_symlink() or not child.is_dir() else shutil.rmtree(child)


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


def spy(root: Path, pulse: AttackPulse) -> None:
    """As an unprivileged user, open everything that may be a key, until the input ends."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    kept: list[int] = []
    while not _input_ended():
        pulse.round()
        for path in [*_candidates(root)] * 50:
            pulse.attempt(succeeded=_reads_key(path))
        # A directory that was open while everybody might enter it must not stay a way in.
        with suppress(OSError):
            if len(kept) < 50:
                kept.append(os.open(root / STORE / REGISTRY, os.O_PATH | os.O_DIRECTORY))
        for descriptor in kept:
            for name in _names(descriptor):
                pulse.attempt(succeeded=_reads_key(f"{name}/client.key", descriptor))


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


def attack_by_spying(folder: Path, changes: int, step: Callable[[Path], Step] | None = None) -> AttackFigures:
    """Let the store write pairs while an unprivileged process tries to read their keys; needs root.

    Args:
        folder: an empty folder that everybody may enter.
        changes: how many changing calls the store is to make.
        step: another writer, in its place; it ends with the first success of the attacker, or after ten seconds.
    """
    root = Root(folder / "certs.d")
    with _attacker("spy", folder, root.path) as pulse:
        passes = AttackedPasses(root, pulse)
        made, turns, begun = _write(
            passes if step is None else step(root.path), changes, pulse, lambda: pulse.successes > 0
        )
    seconds = time.monotonic() - begun
    return AttackFigures(made, pulse.attempts, pulse.successes, seconds, passes.attacked, turns, passes.met)


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
def _attacker(name: str, folder: Path, *paths: Path) -> Iterator[AttackPulse]:
    """Run an attacker beside the body."""
    pulse = AttackPulse(folder / "pulse")
    root, *others = map(str, paths)
    command = [sys.executable, "-m", "tools.trials.attackers", name, root, str(folder / "pulse"), *others]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as child:
        try:
            yield pulse
            child.communicate(timeout=PATIENCE)
            assert child.returncode == 0, "the attacker failed by itself"
        finally:
            child.kill()


def _input_ended() -> bool:
    try:
        return os.read(0, 1) == b""
    except BlockingIOError:
        return False


def main(arguments: list[str]) -> None:
    """Be an attacker."""
    os.set_blocking(0, False)
    name, root, pulse, *others = arguments
    shared = AttackPulse(Path(pulse))
    swap(Path(root), shared, Path(*others)) if name == "swap" else spy(Path(root), shared)


if __name__ == "__main__":
    main(sys.argv[1:])
