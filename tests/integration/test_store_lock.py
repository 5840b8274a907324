"""Two processes on one root take turns, and nobody who may not write to it can keep them from that."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partialmethod, reduce
from pathlib import Path

import pytest

from registry_trust.agent.store import lock as lock_module
from registry_trust.agent.store.locked_store import LockedStore
from registry_trust.agent.store.store import Store
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import STORE, Layout
from registry_trust.core.plan import Remove
from registry_trust.core.reasons import Reason
from registry_trust.core.report import TargetState
from tools.torture.errors import AgentOnRoot
from tools.torture.scenarios import SCENARIOS, prepared
from tools.trials.interruptions import Calls, interrupted
from tools.trials.roots import (
    CA_1,
    CA_2,
    PAIR_1,
    REGISTRY,
    Root,
    both,
    files_of,
    fingerprint,
    missing_for_mounts,
    names_below,
    wanted,
)

WRITER = """
import sys
from pathlib import Path
from tools.trials.roots import CA_1, CA_2, PAIR_1, Root, wanted
root = Root(Path(sys.argv[1]))
for number in range(40):
    root.bring_well(wanted(CA_1, bytes(sys.argv[2], "ascii") * (number + 1), pairs=(PAIR_1,)))
"""


def test_two_processes_on_one_root_take_turns_and_leave_whole_generations(tmp_path):
    path = tmp_path / "certs.d"
    Root(path).bring_well(wanted(CA_1))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter], env=environment) for letter in ("x", "y")
    ]
    try:
        assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()

    root = Root(path)
    assert root.read() in (files_of(CA_1, b"x" * 40, pairs=(PAIR_1,)), files_of(CA_1, b"y" * 40, pairs=(PAIR_1,)))
    assert root.observe().own[REGISTRY].intact
    root.bring_well(wanted(CA_2), immediately=True)
    assert len([item for item in root.folder().iterdir() if item.is_dir()]) == 1


def test_of_two_processes_that_make_the_store_at_once_one_begins_anew(tmp_path):
    first, second = Root(tmp_path / "certs.d"), Root(tmp_path / "certs.d")
    with second.store.lock() as store:
        steps = second.plan(store, wanted(CA_2)).steps
        first.bring_well(wanted(CA_1))
        (outcome,) = store.apply(steps, second.layout)

    assert outcome.error is not None
    assert outcome.error.problem.reason is Reason.CONTESTED
    assert first.read() == files_of(CA_1)
    second.bring_well(wanted(CA_2))
    assert first.read() == files_of(CA_2)


def test_a_root_that_another_process_keeps_is_given_up_after_a_while(tmp_path):
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    other = Store(str(root.path), lock_wait=0)
    with root.store.lock(), pytest.raises(StoreFailure) as caught, other.lock():
        pass

    assert caught.value.problem.reason is Reason.CONTESTED
    assert caught.value.problem.message.endswith(f"fuser -v {root.path}/.registry-trust/.lock/lock")
    with other.lock() as store:
        assert store.observe().root.own[REGISTRY].intact


def test_a_second_agent_waits_and_writes_once_the_root_is_free(tmp_path, monkeypatch):
    (rotation,) = [scenario for scenario in SCENARIOS if scenario.name == "rotate-pair"]
    root = prepared(rotation, Layout.DOCKER, tmp_path / "certs.d")
    monkeypatch.setattr(Store, "__init__", partialmethod(Store.__init__, lock_wait=0))
    agent = AgentOnRoot(root, rotation)
    with root.store.lock():
        (target,) = agent.turn().targets
        assert (target.state, target.problem.reason) == (TargetState.FAILED, Reason.CONTESTED)
        assert root.read() == rotation.old

    (target,) = agent.turn().targets

    assert target.state is TargetState.READ
    assert root.read() == rotation.new


def test_one_that_waited_for_a_store_that_went_meanwhile_begins_anew(tmp_path):
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    waiting = Store(str(root.path), lock_wait=0)
    with root.store.lock() as store:
        store.apply([Remove(REGISTRY)], root.layout)
        store.collect_garbage(immediately=True)
        assert store.dissolve()
        with waiting.lock() as late:
            assert late.state is None

    assert names_below(root.path) == []


def test_what_the_lock_yielded_changes_nothing_when_the_lock_has_ended(tmp_path):
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    with root.store.lock() as store:
        steps = root.plan(store, wanted(CA_2)).steps
    before = fingerprint(root.path)

    (outcome,) = store.apply(steps, root.layout)

    assert "EBADF" in outcome.error.problem.message
    with pytest.raises(StoreFailure, match="EBADF"):
        store.remember("uid-1", 7)
    with pytest.raises(StoreFailure, match="EBADF"):
        store.observe()
    assert fingerprint(root.path) == before


def test_a_pass_reads_what_the_store_remembers_once_however_much_it_writes(tmp_path):
    first, second = (
        reduce(both, [wanted(ca, registry=f"r{number}.example") for number in range(20)]) for ca in (CA_1, CA_2)
    )
    root = Root(tmp_path / "certs.d")
    root.bring_well(first)

    with interrupted(Calls(reading=True, about="state.json")) as calls:
        root.bring_well(second)

    assert calls.names.count("open") == 1


# ---- those who may not write -----------------------------------------------------------------------------------------

HOLDER = """
import fcntl, os, signal, struct, sys
from contextlib import suppress
root, user, lease = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "lease"
signal.signal(signal.SIGIO, signal.SIG_IGN)
if user:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
held = 0
for folder, _, files in os.walk(root):
    for path in (folder, *(os.path.join(folder, name) for name in files)):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held += 1
        with suppress(OSError):
            read = struct.pack("hhqqi0q", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
            fcntl.fcntl(os.open(path, os.O_RDONLY), fcntl.F_OFD_SETLK, read)
        with suppress(OSError):
            if lease and path.endswith("/lock"):
                fcntl.fcntl(os.open(path, os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK)
        with suppress(OSError):
            os.open(path, os.O_RDWR | os.O_NONBLOCK)
            sys.exit(f"{path} can be opened for writing")
print(held, flush=True)
sys.stdin.read()
"""


@contextmanager
def holding(root: Path, user: int, *before: str, lease: bool = False) -> Iterator[int]:
    """Let another process hold every lock that it can get on a root; give their number."""
    command = [*before, sys.executable, "-c", HOLDER, str(root), str(user), "lease" if lease else "locks"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        line = child.stdout.readline()
        try:
            assert line, f"the holder ended with {child.wait(10)}"
            yield int(line)
        finally:
            child.stdin.close()
            child.wait(10)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user: run `sudo make test`")
def test_an_ordinary_user_who_holds_every_lock_that_there_is_stops_nobody():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = Root(Path(folder) / "certs.d")
        root.bring_well(wanted(CA_1))
        lock = (root.path / STORE / ".lock" / "lock").stat().st_ino
        with holding(root.path, 65534) as held:
            assert held > 3, "the root, the store and files in it can be locked by anybody"
            root.bring_well(wanted(CA_2, pairs=(PAIR_1,)))
            root.restart().bring_well(wanted(CA_1))

        assert root.read() == files_of(CA_1)
        assert (root.path / STORE / ".lock" / "lock").stat().st_ino == lock, "nobody but root came near the lock"


@pytest.mark.parametrize("lease", [False, True], ids=["locks", "a lease, too"])
def test_root_with_a_read_only_mount_who_holds_every_lock_that_there_is_stops_nobody(tmp_path, lease):
    if missing := missing_for_mounts():
        pytest.skip(missing)
    root, view = Root(tmp_path / "certs.d"), tmp_path / "view"
    view.mkdir()
    root.bring_well(wanted(CA_1))
    lock = root.path / STORE / ".lock" / "lock"
    before = lock.stat().st_ino
    mount = 'mount --bind "$1" "$2" && mount -o remount,bind,ro "$2" && shift 2 && exec "$@"'
    elsewhere = ("unshare", "--mount", "sh", "-c", mount, "sh", str(root.path), str(view))
    with holding(view, 0, *elsewhere, lease=lease) as held:
        assert held > 3
        root.bring_well(wanted(CA_2, pairs=(PAIR_1,)))
        assert lock.stat().st_ino != before, "it was read-locked, and put aside"
        other = Store(str(root.path), lock_wait=0)
        with root.store.lock(), pytest.raises(StoreFailure, match="is locked"), other.lock():
            pass
        root.restart().bring_well(wanted(CA_1))

    assert root.read() == files_of(CA_1)
    assert names_below(root.path / STORE / ".lock") == ["lock"]


def test_a_lock_that_another_process_gets_while_a_reader_lets_go_stays_with_that_process(tmp_path, monkeypatch):
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    path = root.path / STORE / ".lock" / "lock"
    reader = os.open(path, os.O_RDONLY)
    fcntl.fcntl(reader, fcntl.F_OFD_SETLK, struct.pack("hhqqi0q", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0))
    seen = lock_module._has_writer
    late = Store(str(root.path), lock_wait=0.2)
    answers: list[bool] = []
    locked: list[LockedStore] = []
    with ExitStack() as first:

        def looks_and_is_overtaken(descriptor: int) -> bool:
            answers.append(seen(descriptor))
            if len(answers) == 1:
                os.close(reader)
                locked.append(first.enter_context(root.store.lock()))
            return answers[-1]

        monkeypatch.setattr(lock_module, "_has_writer", looks_and_is_overtaken)
        with pytest.raises(StoreFailure, match="is locked"), late.lock():
            pass
        assert not answers[0], "the reader alone was seen, and another process had the lock by then"
        locked[0].apply(root.plan(locked[0], wanted(CA_2)).steps, root.layout)

    with late.lock() as store:
        assert store.observe().root.own[REGISTRY].intact
    assert names_below(path.parent) == ["lock"]
    assert root.read() == files_of(CA_2)


@pytest.mark.parametrize("spoil", ["mode", "link", "directory-mode"])
def test_a_lock_file_that_others_could_open_is_put_aside(tmp_path, spoil):
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    lock = root.path / STORE / ".lock" / "lock"
    (tmp_path / "elsewhere").write_text("theirs")
    if spoil == "mode":
        lock.chmod(0o644)
    elif spoil == "link":
        lock.unlink()
        lock.symlink_to(tmp_path / "elsewhere")
    else:
        lock.parent.chmod(0o777)
    before = fingerprint(tmp_path / "elsewhere")

    root.bring_well(wanted(CA_2))

    assert (lock.lstat().st_mode, lock.parent.stat().st_mode & 0o7777) == (0o100600, 0o700)
    assert fingerprint(tmp_path / "elsewhere") == before
    assert root.read() == files_of(CA_2)


def test_a_store_whose_lock_has_ended_does_not_say_that_its_folder_is_gone(tmp_path):
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    with root.store.lock() as store:
        pass

    with pytest.raises(StoreFailure):
        store.dissolve()

    assert (root.path / STORE).is_dir()


def test_what_others_put_beside_the_lock_stays_and_keeps_nothing_from_being_cleared(tmp_path):
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    lock = root.path / STORE / ".lock"
    (lock / "new-0123456789abcdef").write_bytes(b"")  # Of a process that died.
    (lock / "directory").mkdir()
    (lock / "old-0123456789abcdef").mkdir()
    (lock / "file").write_text("theirs")
    leftover = root.path / STORE / ".state-0123456789abcdef"
    leftover.write_bytes(b"")

    Root(root.path).bring_well(wanted(CA_2))

    assert sorted(path.name for path in lock.iterdir()) == ["directory", "file", "lock", "old-0123456789abcdef"]
    assert not leftover.exists()
    with root.store.lock() as store:
        assert [each.error for each in store.apply([Remove(REGISTRY)], Layout.DOCKER)] == [None]
        store.collect_garbage(immediately=True)
        assert not store.dissolve()
    assert (lock / "file").read_text() == "theirs"
