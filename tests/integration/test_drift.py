"""Drift: the kernel tells of a change in a watched directory; where it can't, the watcher says that it polls."""

from __future__ import annotations

import errno
import os
import select
import shutil
import subprocess
import sys

import pytest

from registry_trust.agent.store import drift as drift_module
from registry_trust.agent.store import linux_calls
from registry_trust.agent.store.drift import Changes, Drift
from tools.trials.roots import CA_1, CA_2, Root, add_neighbours, missing_for_mounts, wanted


@pytest.fixture
def root(tmp_path):
    root = Root(tmp_path / "certs.d")
    add_neighbours(root.path)
    root.bring_well(wanted(CA_1))
    return root


@pytest.fixture
def drift(root):
    watcher = Drift()
    root.observe()
    watcher.watch(root.seen.watched())
    yield watcher
    watcher.close()


def noticed(drift):
    """Wait for the kernel's word (it comes with the call that changes; the deadline is for a failing test)."""
    select.select([drift.fileno()], [], [], 10)
    return drift.drain()


CHANGES = {
    "edit": lambda root: (root.generation() / "ca.crt").write_bytes(b"edited"),
    "chmod": lambda root: (root.generation() / "ca.crt").chmod(0o666),
    "truncate": lambda root: os.truncate(root.generation() / "ca.crt", 1),
    "remove-a-file": lambda root: (root.generation() / "ca.crt").unlink(),
    "add-a-file": lambda root: (root.entry() / "extra.crt").write_text("x"),
    "remove-the-link": lambda root: root.entry().unlink(),
    "remove-the-manifest": lambda root: (root.folder() / "owner.json").unlink(),
    "remove-everything": lambda root: shutil.rmtree(root.path),
    "move-the-root": lambda root: root.path.rename(root.path.parent / "moved"),
    "add-a-neighbour": lambda root: (root.path / "new.example").mkdir(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_by_somebody_is_noticed(root, drift, change):
    assert not drift.drain()

    change(root)

    assert noticed(drift)
    assert not drift.drain()


def test_reading_and_our_own_looks_are_no_drift(root, drift):
    root.read()
    with root.store.lock() as store:
        root.plan(store, wanted(CA_1))
        store.collect_garbage()

    assert not drift.drain()


def test_a_new_generation_is_watched_after_the_next_look_and_the_old_one_no_longer(root, drift):
    old = root.generation()
    root.bring_well(wanted(CA_2))
    root.observe()
    drift.watch(root.seen.watched())
    drift.drain()

    (old / "ca.crt").chmod(0o600)
    assert not drift.drain()
    (root.generation() / "ca.crt").chmod(0o600)
    assert noticed(drift)


def test_a_directory_that_was_replaced_is_watched_again(root, drift):
    root.path.rename(root.path.parent / "moved")
    root.path.mkdir()
    drift.watch([str(root.path)])
    drift.drain()

    (root.path / "x").mkdir()
    assert noticed(drift)


def test_directories_that_are_not_there_are_left_out(drift, tmp_path):
    drift.watch([str(tmp_path / "nowhere")])

    assert drift.polling is None


@pytest.mark.parametrize(
    ("function", "number", "limit"),
    [
        ("inotify_init", errno.EMFILE, "fs.inotify.max_user_instances"),
        ("inotify_add_watch", errno.ENOSPC, "fs.inotify.max_user_watches"),
    ],
)
def test_where_the_kernel_gives_no_watch_it_says_what_to_raise_and_that_it_polls(
    function, number, limit, monkeypatch, root
):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(linux_calls, function, refuse)
    watcher = Drift()
    watcher.watch([str(root.path)])

    assert limit in watcher.polling.message
    assert watcher.polling.reason == "NotWatched"
    assert "periodic check" in watcher.polling.message
    assert not watcher.drain()
    assert (watcher.fileno() is None) == (function == "inotify_init")
    watcher.close()


@pytest.mark.parametrize(
    ("places", "entries"),
    [
        ([], set()),
        ([("/r", "a.example")], {"a.example"}),
        ([("/r/.store", "a.example"), ("/r/.store/b.example/1", "ca.crt")], {"a.example", "b.example"}),
        ([("/r/.store/b.example", "")], {"b.example"}),
        ([("/r", ""), ("/r", "a.example")], None),
        ([("/r/.store", "")], None),
        ([("/r", ".store")], None),
        ([("/other", "a.example"), ("/r/.storehouse/c.example", "x")], set()),
    ],
    ids=str,
)
def test_a_change_concerns_the_entry_around_it_and_one_of_the_root_or_the_store_itself_every_entry(places, entries):
    assert Changes(frozenset(places)).entries("/r", ".store") == entries
    assert Changes(frozenset(places), overflow=True).entries("/r", ".store") is None


def test_an_overflow_of_the_kernels_queue_counts_as_a_change(drift):
    data = drift_module._EVENT.pack(-1, linux_calls.IN_Q_OVERFLOW, 0, 0)

    assert drift._take(data, set())


# ---- the root moved away under its mount -----------------------------------------------------------------------------


def test_a_plain_folder_is_never_detached_because_each_pass_opens_its_path_anew(root):
    assert not root.store.is_detached()
    root.path.rename(root.path.parent / "moved")
    root.path.mkdir()

    assert not root.store.is_detached()


DETACHING = """
import os, resource, shutil, sys
from contextlib import suppress
from pathlib import Path
from registry_trust.agent.store.store import Store
place, change = Path(sys.argv[1]), sys.argv[2]
store = Store(str(place / "mounted"))
with store.lock() as locked:
    locked.observe()
assert not store.is_detached()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
with suppress(OSError):
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
assert not store.is_detached(), "out of descriptors, nobody knows what is mounted"
for descriptor in taken:
    os.close(descriptor)
if change == "moved":
    (place / "host").rename(place / "host.old")
else:
    shutil.rmtree(place / "host")
assert store.is_detached()
"""


AGENT = """
import re, shutil, subprocess, sys, time, urllib.error, urllib.request
from pathlib import Path
from tools.cluster.waiting import wait_until
from tools.trials.roots import CA_1, Root, wanted
place, change = Path(sys.argv[1]), sys.argv[2]
Root(place / "mounted").bring_well(wanted(CA_1))
log = place / "log"
child = subprocess.Popen(
    [sys.executable, "-m", "registry_trust.agent", "--node-name=n", "--namespace=ns", "--api-server=https://127.0.0.1:1",
     f"--ca-file={place}/none", f"--token-file={place}/none", f"--target=docker={place}/mounted",
     "--listen=127.0.0.1:0", "--drift-interval=1"],
    stdout=log.open("w"), stderr=subprocess.STDOUT,
)
def ready():
    port = re.search(r"metrics on \\S+ port (\\d+)", log.read_text())
    try:
        return port and urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/readyz", timeout=5).status == 200
    except urllib.error.URLError:
        return False
try:
    wait_until(ready, "the agent is ready on what it finds", within=20)
    (place / "host").rename(place / "host.old") if change == "moved" else shutil.rmtree(place / "host")
    assert child.wait(20) == 3, log.read_text()
    assert f"{place}/mounted was moved or deleted on the host" in log.read_text(), log.read_text()
finally:
    child.kill()
"""


@pytest.mark.parametrize("change", ["moved", "deleted"])
@pytest.mark.parametrize("program", [DETACHING, AGENT], ids=["is-seen-by-the-store", "ends-the-agent"])
def test_a_mounted_root_whose_source_was_moved_or_deleted(program, change, tmp_path):
    if missing := missing_for_mounts():
        pytest.skip(missing)
    (tmp_path / "host").mkdir()
    (tmp_path / "mounted").mkdir()
    mount = 'mount --bind "$1/host" "$1/mounted" && exec "$2" -c "$3" "$1" "$4"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", str(tmp_path), sys.executable, program, change],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
