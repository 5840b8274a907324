"""`existingFilesPolicy: Replace`: another process's files give way in one step, are kept, and come back."""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
from pathlib import Path

import pytest

from registry_trust.agent.store import linux_calls
from registry_trust.agent.store.directories import Directory
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import REPLACED, STORE, Layout
from registry_trust.core.plan import Remove
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RowState
from tests.rows import message_of, reason_of
from tools.torture.neighbours import attributes, mark
from tools.trials.interruptions import Calls, interrupted
from tools.trials.roots import (
    CA_1,
    CA_2,
    LAYOUTS,
    NOTHING,
    PAIR_1,
    THEIRS,
    Root,
    add_theirs,
    files_of,
    names_below,
    wanted,
)

REPLACING = wanted(CA_1, pairs=(PAIR_1,), replace=True)
OURS = files_of(CA_1, pairs=(PAIR_1,))


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.value)
def root(request, tmp_path):
    return Root(tmp_path / "certs.d", request.param)


@pytest.fixture
def replaced(root):
    """A root in which somebody's directory gave way to our entry."""
    add_theirs(root)
    root.bring_well(REPLACING)
    return root


def as_a_directory(path):
    path.mkdir(mode=0o750)
    (path / "ca.crt").write_bytes(THEIRS)
    (path / "below").mkdir()
    mark(path / "ca.crt")
    mark(path)


def as_a_read_only_directory_of_somebody_else(path):
    as_a_directory(path)
    if os.geteuid() == 0:
        os.chown(path, 1000, 1000)
    path.chmod(0o555)


def as_a_link(path):
    path.symlink_to("../elsewhere")


def as_a_file(path):
    path.write_text("theirs")


KINDS = (as_a_directory, as_a_read_only_directory_of_somebody_else, as_a_link, as_a_file, os.mkfifo)


def rows(root, desired=REPLACING):
    with root.store.lock() as store:
        return [(row.state, reason_of(row), message_of(row)) for row in root.plan(store, desired).rows]


def findings(root):
    root.observe()
    return [(finding.reason, finding.message) for finding in root.findings()]


# ---- the way there and back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("put", KINDS)
def test_whatever_stands_in_the_place_gives_way_is_kept_and_comes_back(root, put):
    put(root.entry())
    before = attributes(root.entry())

    root.bring_well(REPLACING)

    assert root.read() == OURS
    assert attributes(root.kept()) == before

    root.bring_well(NOTHING, immediately=True)

    assert attributes(root.entry()) == before
    assert names_below(root.path / STORE) == [".lock", ".lock/lock", "state.json"]


def test_neither_side_is_ever_missing_while_they_change_places(root):
    add_theirs(root)
    seen = []

    def look(_):
        seen.append(root.read())

    with interrupted(Calls(act=look, at=1, lasting=True)):
        root.bring_well(REPLACING)
        root.bring_well(NOTHING, immediately=True)

    theirs = {"ca.crt": THEIRS}
    assert [found for found in seen if found not in (theirs, OURS)] == []
    changes = sum(one != other for one, other in itertools.pairwise(seen))
    assert (seen[0], changes, seen[-1]) == (theirs, 2, theirs)


def test_a_second_pass_over_a_replaced_entry_changes_nothing(replaced):
    with interrupted(Calls()) as calls:
        replaced.bring_well(REPLACING)

    assert calls.names == []


def test_the_row_says_where_it_is_kept(replaced):
    (row,) = rows(replaced)

    assert row == (
        RowState.CURRENT,
        Reason.EXISTING_FILES_REPLACED,
        (
            f"{replaced.entry()} replaced something that registry-trust did not write; that is kept as "
            f"{replaced.kept()}, and will be put back when this entry is removed"
        ),
    )
    assert findings(replaced) == []


def test_new_content_and_repairs_leave_what_is_kept_alone(replaced):
    before = attributes(replaced.kept())

    replaced.bring_well(wanted(CA_2, replace=True), immediately=True)
    (replaced.generation() / "ca.crt").write_bytes(b"edited")
    replaced.bring_well(wanted(CA_2, replace=True))

    assert replaced.read() == files_of(CA_2)
    assert attributes(replaced.kept()) == before


def test_refuse_later_on_gives_nothing_back(replaced):
    replaced.bring_well(wanted(CA_1, pairs=(PAIR_1,)))

    assert replaced.read() == OURS
    assert replaced.kept().is_dir()


def test_without_the_policy_nothing_is_replaced(root):
    add_theirs(root)

    assert root.bring(wanted(CA_1)) == ()
    assert root.read() == {"ca.crt": THEIRS}
    assert [row[1] for row in rows(root, wanted(CA_1))] == [Reason.FOREIGN_FILE]


def test_a_new_process_gives_back_what_an_older_one_replaced(replaced):
    replaced.restart()

    replaced.bring_well(NOTHING)

    assert replaced.read() == {"ca.crt": THEIRS}


def test_what_was_removed_by_hand_does_not_come_back(replaced):
    shutil.rmtree(replaced.kept())

    replaced.bring_well(NOTHING, immediately=True)

    assert replaced.read() is None
    assert names_below(replaced.path) == [STORE, *(f"{STORE}/{name}" for name in (".lock", ".lock/lock", "state.json"))]


# ---- when the place is taken again -----------------------------------------------------------------------------------


def test_what_comes_a_second_time_is_left_alone_and_both_are_named(replaced):
    replaced.entry().unlink()
    add_theirs(replaced)
    (replaced.entry() / "ca.crt").write_bytes(b"a second one")
    first = attributes(replaced.kept())

    assert replaced.bring(REPLACING) == ()

    assert replaced.read() == {"ca.crt": b"a second one"}
    assert attributes(replaced.kept()) == first
    ((state, reason, message),) = rows(replaced)
    assert (state, reason) == (RowState.FAILED, Reason.FOREIGN_FILE)
    assert f"{replaced.entry()} is a directory" in message
    assert f"kept as {replaced.kept()}; move one of the two away" in message


def test_the_store_itself_keeps_one_only(replaced):
    replaced.entry().unlink()
    add_theirs(replaced)
    kept = replaced.kept().rename(replaced.path / "aside")
    with replaced.store.lock() as store:
        (step,) = replaced.plan(store, wanted(CA_2, replace=True)).steps
        kept.rename(replaced.kept())
        (outcome,) = store.apply([step], replaced.layout)

    assert isinstance(outcome.error, StoreFailure)
    assert outcome.error.problem.reason is Reason.FOREIGN_FILE
    assert replaced.read() == {"ca.crt": THEIRS}
    assert replaced.kept().is_dir()


def test_when_the_trust_goes_while_the_place_is_taken_it_stays_kept_until_the_place_is_free(replaced):
    before = attributes(replaced.kept())
    replaced.entry().unlink()
    replaced.entry().mkdir()

    replaced.bring_well(NOTHING, immediately=True)

    assert attributes(replaced.kept()) == before
    ((reason, message),) = findings(replaced)
    assert reason is Reason.EXISTING_FILES_REPLACED
    assert f"{replaced.kept()} was replaced by an entry of registry-trust and is kept" in message
    assert replaced.bring(NOTHING) == ()  # nothing to do as long as the place is taken

    replaced.entry().rmdir()
    replaced.bring_well(NOTHING, immediately=True)

    assert attributes(replaced.entry()) == before
    assert names_below(replaced.path / STORE) == [".lock", ".lock/lock", "state.json"]


def test_when_the_link_was_removed_by_hand_the_trust_s_end_gives_back_all_the_same(replaced):
    replaced.entry().unlink()

    replaced.bring_well(NOTHING)

    assert replaced.read() == {"ca.crt": THEIRS}


def test_with_a_lost_manifest_it_is_said_where_it_is(replaced):
    shutil.rmtree(replaced.folder())
    replaced.entry().unlink()

    replaced.bring_well(NOTHING)

    ((_, message),) = findings(replaced)
    assert str(replaced.kept()) in message
    assert (replaced.kept() / "ca.crt").read_bytes() == THEIRS


def test_what_appears_while_ours_is_exchanged_back_is_not_lost(replaced, monkeypatch):
    real = Directory.exchange
    done: list[str] = []

    def exchange(directory, name, target, other):
        if name.startswith(REPLACED) and not done:
            done.append(name)
            replaced.entry().unlink()
            replaced.entry().mkdir()
            (replaced.entry() / "ca.crt").write_text("put there in between")
        return real(directory, name, target, other)

    monkeypatch.setattr(Directory, "exchange", exchange)
    outcome = replaced.remove(replaced.entry().name)

    assert outcome.error is not None
    assert replaced.read() == {"ca.crt": b"put there in between"}
    assert (replaced.kept() / "ca.crt").read_bytes() == THEIRS


# ---- what is in the way ----------------------------------------------------------------------------------------------


def test_where_the_system_can_t_exchange_nothing_is_changed_and_it_is_said(root, monkeypatch):
    add_theirs(root)

    def refuse(*_):
        raise OSError(38, os.strerror(38))

    monkeypatch.setattr(linux_calls, "renameat2", refuse)
    (outcome,) = root.bring(REPLACING)

    assert outcome.error.problem.reason is Reason.REPLACE_UNSUPPORTED
    assert root.read() == {"ca.crt": THEIRS}
    assert not os.path.lexists(root.kept())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for files of another user: run `sudo make test`")
def test_no_capability_is_needed_for_a_directory_of_another_user(root):
    as_a_read_only_directory_of_somebody_else(root.entry())
    before = attributes(root.entry())

    def without_capabilities(act):
        child = os.fork()
        if child == 0:
            try:
                drop_all_capabilities()
                act()
                os._exit(0)
            finally:
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert without_capabilities(lambda: root.bring_well(REPLACING)) == 0
    assert attributes(root.kept()) == before
    assert root.read() == OURS
    assert without_capabilities(lambda: root.bring_well(NOTHING)) == 0
    assert attributes(root.entry()) == before


def drop_all_capabilities():
    """capset(2) with empty sets, version 3 of its header."""
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset(header, nothing) == 0
    assert "CapEff:\t0000000000000000\n" in Path("/proc/self/status").read_text()


# ---- what is hidden --------------------------------------------------------------------------------------------------


def test_what_the_entry_would_hide_is_hidden_and_said_and_seen_again_afterwards(tmp_path):
    root = Root(tmp_path / "certs.d", Layout.CONTAINERD)
    other = root.path / "harbor.corp.example:5000"
    other.mkdir()
    (other / "hosts.toml").write_text('server = "https://harbor.corp.example:5000"\n')
    before = attributes(other)
    assert [row[1] for row in rows(root, wanted(CA_1))] == [Reason.WOULD_SHADOW]

    root.bring_well(wanted(CA_1, replace=True))

    assert root.read() == files_of(CA_1)
    ((state, reason, message),) = rows(root, wanted(CA_1, replace=True))
    assert (state, reason) == (RowState.CURRENT, Reason.EXISTING_FILES_REPLACED)
    assert message == f"{root.entry()} hides {other}, which registry-trust did not write and leaves as it is"
    assert attributes(other) == before

    assert [type(outcome.step) for outcome in root.bring_well(NOTHING)] == [Remove]
    assert attributes(other) == before
