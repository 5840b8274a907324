"""Looks: an entry that nothing changed is not read again, and no way to change one stays unseen."""

from __future__ import annotations

import mmap
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_trust.agent.store.drift import Changes, Drift
from registry_trust.agent.store.locked_store import LockedStore
from registry_trust.agent.store.looks import CONTENT_EVERY, GRANULARITY
from registry_trust.agent.store.store import Store
from registry_trust.core.desired import Desired
from registry_trust.core.layout import STORE
from registry_trust.core.plan import Switch
from tools.trials.roots import CA_1, CA_2, PAIR_1, REGISTRY, Root, missing_for_mounts, wanted


class Watched(Root):
    """A root whose files count as old: the clock that looks go by is ahead of the kernel's."""

    ahead = 2 * GRANULARITY

    def restart(self) -> Root:
        super().restart()
        self.store = Store(str(self.path), monotonic=self.clock, clock=lambda: time.time() + self.ahead)
        return self


@pytest.fixture
def root(tmp_path: Path) -> Watched:
    root = Watched(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1, pairs=(PAIR_1,)))
    root.observe()
    return root


def is_remembered(store: LockedStore) -> bool:
    """Say whether the last look went by what an earlier pass had read."""
    return store.unread([REGISTRY]) == {REGISTRY}


def test_what_nobody_changed_is_not_read_again_until_it_is_time(root: Watched) -> None:
    for wait, remembered in ((0.0, True), (CONTENT_EVERY / 2 - 1, True), (CONTENT_EVERY, False)):
        root.clock.now += wait
        with root.store.lock() as store:
            assert store.observe().root.own[REGISTRY].intact
            assert is_remembered(store) is remembered


def overwrite(path: Path, data: bytes) -> None:
    with path.open("r+b") as file:
        file.write(data)


def with_times_of_before(path: Path, change: Callable[[Path], object]) -> None:
    """Change a file and put its times back: all that utime(2) can."""
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def by_rename(path: Path) -> None:
    other = path.with_name("other")
    shutil.copy2(path, other)
    overwrite(other, b"X")
    shutil.copystat(path, other)
    other.rename(path)


def by_another_name(path: Path) -> None:
    name = path.parents[4] / "another name"
    name.hardlink_to(path)
    with_times_of_before(name, lambda name: overwrite(name, b"X"))
    name.unlink()


def by_mapping(path: Path) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[0:1] = b"X"


def by_a_link(path: Path) -> None:
    other = path.parents[4] / "other"
    shutil.copy2(path, other)
    path.unlink()
    path.symlink_to(other)


def by_another_directory(path: Path) -> None:
    moved = path.parents[4] / "moved"
    shutil.copytree(path.parent, moved)
    overwrite(moved / path.name, b"X")
    shutil.copystat(path, moved / path.name)
    shutil.rmtree(path.parent)
    moved.rename(path.parent)


WAYS: dict[str, Callable[[Path], object]] = {
    "in place, with its times put back": lambda path: with_times_of_before(path, lambda path: overwrite(path, b"X")),
    "by rename, with its times put back": by_rename,
    "by another name of the file": by_another_name,
    "through memory": by_mapping,
    "by a link to the same bytes": by_a_link,
    "with the directory around it": by_another_directory,
    "its mode alone": lambda path: path.chmod(0o640),
    "its owner alone": lambda path: os.chown(path, 12345, -1),
    "by taking it away": lambda path: path.unlink(),
    "by a file beside it": lambda path: (path.parent / "extra.crt").write_bytes(b"X"),
}
"""Each leaves the size as it is, or all times that can be put back, or both."""


@pytest.mark.parametrize("change", WAYS.values(), ids=WAYS)
def test_a_file_that_somebody_changed_is_seen_by_the_next_look(root: Watched, change: Callable[[Path], object]) -> None:
    if change is WAYS["its owner alone"] and os.geteuid():
        pytest.skip("only root gives files away")
    root.observe()

    change(root.generation() / "ca.crt")

    assert not root.observe().own[REGISTRY].intact
    root.bring_well(wanted(CA_1, pairs=(PAIR_1,)))
    assert root.observe().own[REGISTRY].intact


def test_a_link_or_a_manifest_that_somebody_changed_is_seen_by_the_next_look(root: Watched) -> None:
    link = root.entry().readlink()
    root.entry().unlink()
    root.entry().symlink_to(f"{link}1")
    assert REGISTRY in root.observe().foreign

    root.entry().unlink()
    root.entry().symlink_to(link)
    assert root.observe().own[REGISTRY].intact

    owner = root.folder() / "owner.json"
    with_times_of_before(owner, lambda path: overwrite(path, path.read_bytes().replace(b'"a"', b'"b"')))
    assert root.observe().own[REGISTRY].trusts == ("b",)


MOUNTED = """
import sys, time
from pathlib import Path
from subprocess import run
from tests.integration.test_looks import Watched
from tools.trials.roots import CA_1, REGISTRY, wanted

root = Watched(Path(sys.argv[1]) / "certs.d")
root.bring_well(wanted(CA_1))
for place in (root.generation(), root.generation() / "ca.crt"):
    other = Path(sys.argv[1]) / "other"
    run(["cp", "-a", str(place), str(other)], check=True)
    file = other / "ca.crt" if other.is_dir() else other
    file.write_bytes(b"X" * file.stat().st_size)
    assert root.observe().own[REGISTRY].intact
    run(["mount", "--bind", str(other), str(place)], check=True)
    assert not root.observe().own[REGISTRY].intact
    run(["umount", str(place)], check=True)
    assert root.observe().own[REGISTRY].intact
    run(["rm", "-r", str(other)], check=True)
"""


def test_something_that_is_mounted_over_an_entrys_files_is_seen_by_the_next_look(tmp_path: Path) -> None:
    if missing := missing_for_mounts():
        pytest.skip(missing)
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", MOUNTED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("ahead", [0.0, GRANULARITY / 2, -3600.0], ids=["new", "almost new", "clock set back"])
def test_what_may_have_been_changed_twice_within_one_tick_is_read_again(root: Watched, ahead: float) -> None:
    root.ahead = ahead
    root.store.note(None)
    root.bring_well(wanted(CA_2, pairs=(PAIR_1,)))
    root.observe()

    with root.store.lock() as store:
        store.observe()
        assert not is_remembered(store)


def test_a_clock_that_is_set_back_during_a_look_proves_nothing(root: Watched) -> None:
    root.bring_well(wanted(CA_2))
    times = iter([time.time() + 3600])
    root.store = Store(str(root.path), monotonic=root.clock, clock=lambda: next(times, time.time()))
    root.observe()

    with root.store.lock() as store:
        store.observe()
        assert not is_remembered(store)


def test_who_watches_looks_only_where_something_was_noticed_and_reads_before_it_acts(root: Watched) -> None:
    root.observe()
    (root.generation() / "ca.crt").write_bytes(b"changed")
    nothing = Changes()
    with root.store.lock() as store:
        root.store.note(nothing)
        assert store.observe(noted=True).root.own[REGISTRY].intact
        seen = store.observe_again([REGISTRY])
        assert seen is not None
        assert not seen.root.own[REGISTRY].intact

    root.bring_well(wanted(CA_1, pairs=(PAIR_1,)))
    root.observe()
    place = root.generation()
    (place / "ca.crt").write_bytes(b"changed")
    with root.store.lock() as store:
        root.store.note(Changes(frozenset({(str(root.path / STORE / REGISTRY / place.name), "ca.crt")})))
        assert not store.observe(noted=True).root.own[REGISTRY].intact


def test_no_step_goes_by_memory(root: Watched) -> None:
    root.observe()
    theirs = root.path / "theirs"
    root.entry().rename(theirs)
    root.entry().mkdir()
    (root.entry() / "ca.crt").write_bytes(b"somebody else's")
    with root.store.lock() as store:
        root.store.note(Changes())
        assert store.observe(noted=True).root.own[REGISTRY].generation
        (outcome,) = store.apply([Switch(REGISTRY, wanted(CA_2).registries[REGISTRY], "f" * 16)], root.layout)

    assert outcome.error is not None
    assert (root.entry() / "ca.crt").read_bytes() == b"somebody else's"


NAMES = [f"r{number}.example" for number in range(5)]


def disturb(root: Watched, rand: random.Random) -> None:
    """Do something to the root, as another process or a pass of ours does it.

    Superseded generations are not watched: a timed look finds what is changed there.
    """
    name = rand.choice(NAMES)
    entry, folder = root.entry(name), root.folder(name)
    current = root.generation(name) if entry.is_symlink() else folder
    files = sorted(path for path in current.glob("*") if path.is_file())
    stray = rand.choice([root.path, root.path / STORE, folder]) / "stray"
    if (does := rand.randrange(9)) == 0 and files:
        rand.choice(files).write_bytes(b"changed")
    elif does == 1 and entry.is_symlink():
        entry.unlink()
    elif does == 2 and not entry.exists() and not entry.is_symlink():
        entry.mkdir()
        (entry / "ca.crt").write_bytes(b"theirs")
    elif does == 3 and entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    elif does == 4 and folder.exists():
        shutil.rmtree(folder)
    elif does == 7 and folder.exists():
        folder.rename(root.path.parent / "moved")
        shutil.copytree(root.path.parent / "moved", folder)
        shutil.rmtree(root.path.parent / "moved")
    elif does == 5 and stray.parent.exists():
        shutil.rmtree(stray) if stray.exists() else stray.mkdir()
    else:
        contents = [wanted(rand.choice([CA_1, CA_2]), registry=each, replace=does == 6) for each in NAMES]
        root.bring(Desired({each: one.registries[each] for each, one in zip(NAMES, contents, strict=True)}))
        root.clock.now += 40


@pytest.mark.parametrize("seed", range(12))
def test_what_is_seen_by_memory_and_by_notice_is_what_a_first_look_sees(tmp_path: Path, seed: int) -> None:
    rand, root, drift = random.Random(seed), Watched(tmp_path / "certs.d"), Drift()  # noqa: S311 - a test's own dice
    unnoticed = drift.watch([str(root.path)])
    try:
        for step in range(60):
            disturb(root, rand)
            root.store.note(Changes(drift.drain().places | unnoticed.places))
            with root.store.lock(clear=False) as store:
                seen = store.observe(noted=True)
            with Store(str(root.path), monotonic=root.clock).lock(clear=False) as store:
                first = store.observe()
            assert (seen, seen.resting) == (first, first.resting), f"step {step}"
            assert sorted(seen.watched()) == sorted(first.watched())
            unnoticed = drift.watch(seen.watched(), again=False)
    finally:
        drift.close()
