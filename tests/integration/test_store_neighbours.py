"""The store beside others: their files, their attacks on our entries, another process on the same root."""

from __future__ import annotations

import json
import os
import socket

import pytest

from registry_trust.agent.store import directories, linux_calls
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import STORE
from registry_trust.core.observed import ObservedRoot
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RowState
from tools.trials.interruptions import Calls, interrupted
from tools.trials.roots import (
    CA_1,
    CA_2,
    LAYOUTS,
    NOTHING,
    PAIR_1,
    Root,
    add_neighbours,
    files_of,
    fingerprint,
    neighbours,
    unfinished_names,
    wanted,
)


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.value)
def root(request, tmp_path):
    return Root(tmp_path / "certs.d", request.param)


@pytest.fixture
def docker(tmp_path):
    return Root(tmp_path / "certs.d")


# ---- foreign files ---------------------------------------------------------------------------------------------------


def test_the_files_of_others_never_change_in_bytes_mode_owner_or_time(root):
    add_neighbours(root.path)
    before = neighbours(root.path)

    for desired in (wanted(CA_1), wanted(CA_2, pairs=(PAIR_1,)), wanted(CA_2), NOTHING):
        root.bring_well(desired, immediately=True)
        assert neighbours(root.path) == before


def test_a_removed_entry_beside_which_others_left_something_is_at_rest(root):
    """Its manifest stays, and lists nothing any more: else each pass would remove the same again."""
    root.bring_well(wanted(CA_1))
    (root.folder() / "notes").mkdir()

    root.bring_well(NOTHING, immediately=True)

    assert json.loads((root.folder() / "owner.json").read_text())["generations"] == {}
    with interrupted(Calls()) as calls:
        root.bring_well(NOTHING, immediately=True)
    assert calls.names == []


def attributes(path):
    """Return what a change of a file would change; reading a link changes the time of the last access alone."""
    status = path.lstat()
    return status.st_ino, status.st_mtime_ns, fingerprint(path)


def as_a_directory(path):
    path.mkdir()
    (path / "ca.crt").write_text("theirs")


def as_an_empty_directory(path):
    path.mkdir()


def as_a_file(path):
    path.write_text("theirs")


def as_a_link(path):
    path.symlink_to("/etc/ssl/certs")


def as_a_link_into_our_store_to_no_generation_of_ours(path):
    path.symlink_to(f"{STORE}/{path.name}/0123456789abcdef-1")


def as_a_link_that_leads_nowhere(path):
    path.symlink_to("nothing")


def as_a_fifo(path):
    os.mkfifo(path)


FOREIGN = [
    as_a_directory,
    as_an_empty_directory,
    as_a_file,
    as_a_link,
    as_a_link_into_our_store_to_no_generation_of_ours,
    as_a_link_that_leads_nowhere,
    as_a_fifo,
]


@pytest.mark.parametrize(
    "foreign",
    [one for one in FOREIGN if one is not as_a_link_into_our_store_to_no_generation_of_ours],  # without a store: ours
    ids=lambda foreign: foreign.__name__,
)
def test_where_somebody_elses_entry_is_nothing_is_written(root, foreign):
    foreign(root.entry())
    before = fingerprint(root.path)

    with root.store.lock() as store:
        plan = root.plan(store, wanted(CA_1))
    assert plan.steps == ()
    assert [(row.state, row.problem.reason) for row in plan.rows] == [(RowState.FAILED, Reason.FOREIGN_FILE)]
    assert str(root.entry()) in plan.rows[0].problem.message
    assert fingerprint(root.path) == before


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda foreign: foreign.__name__)
def test_where_somebody_replaced_our_entry_theirs_stays_also_when_ours_is_removed(root, foreign):
    root.bring_well(wanted(CA_1))
    root.entry().unlink()
    foreign(root.entry())
    before = attributes(root.entry())

    assert root.bring(wanted(CA_2)) == ()
    root.bring_well(NOTHING, immediately=True)

    assert attributes(root.entry()) == before
    assert not root.folder().exists()


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda foreign: foreign.__name__)
@pytest.mark.parametrize("written", [False, True], ids=["before-the-first-write", "over-our-entry"])
def test_what_somebody_puts_there_after_our_look_is_not_replaced(root, foreign, written):
    if foreign is as_a_link_into_our_store_to_no_generation_of_ours and not written:
        return  # Without a store it is a link of ours whose folder is gone.
    if written:
        root.bring_well(wanted(CA_1))
    with root.store.lock() as store:
        steps = root.plan(store, wanted(CA_2)).steps
        if written:
            root.entry().unlink()
        foreign(root.entry())
        before = attributes(root.entry())
        (outcome,) = store.apply(steps, root.layout)

    assert outcome.error.problem.reason is Reason.FOREIGN_FILE
    assert attributes(root.entry()) == before
    assert unfinished_names(root.path) == []


@pytest.mark.parametrize("foreign", [as_a_directory, as_a_file, as_a_link], ids=lambda foreign: foreign.__name__)
@pytest.mark.parametrize("call", ["exchange", "rename"])
def test_what_appears_between_our_check_and_our_step_is_put_back(root, foreign, call, monkeypatch):
    root.bring_well(wanted(CA_1))
    theirs = []

    def replace():
        root.entry().unlink()
        foreign(root.entry())
        theirs.append(root.entry().lstat().st_ino)

    with root.store.lock() as store:
        steps = root.plan(store, wanted(CA_2) if call == "exchange" else NOTHING).steps
        _act_before(monkeypatch, call, root.entry().name, replace)
        (outcome,) = store.apply(steps, root.layout)

    assert [root.entry().lstat().st_ino] == theirs
    assert unfinished_names(root.path) == []
    if call == "exchange":
        assert outcome.error.problem.reason is Reason.FOREIGN_FILE


def _act_before(monkeypatch, method, entry, act):
    """Let somebody act directly before our first call of a method that names the entry."""
    original = getattr(directories.Directory, method)

    def raced(directory, *arguments):
        if entry in arguments:
            monkeypatch.setattr(directories.Directory, method, original)
            act()
        return original(directory, *arguments)

    monkeypatch.setattr(directories.Directory, method, raced)


@pytest.mark.parametrize("step", ["point", "take_away"])
def test_a_crash_while_somebody_elses_entry_is_out_of_its_place_is_cured_by_the_next_start(docker, step):
    docker.bring_well(wanted(CA_1))
    text = docker.entry().readlink()
    docker.entry().unlink()
    aside = docker.folder() / ".link-0123456789abcdef"
    as_a_directory(aside)  # theirs, exchanged or moved in here by a process that then died
    if step == "point":
        docker.entry().symlink_to(text)

    docker.restart().bring(wanted(CA_1))

    assert (docker.entry() / "ca.crt").read_text() == "theirs"
    assert unfinished_names(docker.path) == []


def test_without_exchange_and_noreplace_the_store_works_all_the_same(root, monkeypatch):
    def unsupported(*_):
        raise OSError(22, "EINVAL")

    monkeypatch.setattr(linux_calls, "renameat2", unsupported)
    for desired in (wanted(CA_1), wanted(CA_2, pairs=(PAIR_1,)), wanted(CA_1)):
        root.bring_well(desired)
    assert root.read() == files_of(CA_1)
    root.bring_well(NOTHING)
    assert root.read() is None


def test_another_installations_entry_is_left_alone_and_reported(docker):
    docker.bring_well(wanted(CA_1))
    manifest = docker.folder() / "owner.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "installation": "somebody-else"}))
    before = fingerprint(docker.path)

    assert docker.restart().bring(wanted(CA_2)) == ()
    assert docker.bring(NOTHING, immediately=True) == ()

    assert fingerprint(docker.path) == before
    assert "another installation" in docker.findings()[0].message


def test_leftovers_with_anything_of_others_in_them_stay(docker):
    docker.bring_well(wanted(CA_1))
    unfinished = docker.folder() / ".new-0123456789abcdef"
    unfinished.mkdir()
    (unfinished / "ca.crt").write_text("ours, unfinished")
    (unfinished / "notes.txt").write_text("not ours")
    os.link(docker.path / STORE / "state.json", unfinished / "client.key")

    docker.restart().bring_well(wanted(CA_2))

    assert sorted(path.name for path in unfinished.iterdir()) == ["client.key", "notes.txt"]


def test_a_store_folder_that_is_a_link_is_not_followed(docker, tmp_path):
    (tmp_path / "outside").mkdir()
    (docker.path / STORE).symlink_to(tmp_path / "outside")

    with pytest.raises(StoreFailure) as caught:
        docker.bring(wanted(CA_1))
    assert caught.value.problem.reason is Reason.FOREIGN_FILE
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("name", ["entry-folder", "generation", "manifest"])
def test_a_link_planted_below_the_store_is_not_followed(docker, tmp_path, name):
    docker.bring_well(wanted(CA_1))
    places = {
        "entry-folder": docker.folder(),
        "generation": docker.generation(),
        "manifest": docker.folder() / "owner.json",
    }
    planted = places[name]
    outside = tmp_path / "outside"
    planted.rename(outside)
    planted.symlink_to(outside)
    before = fingerprint(outside)

    docker.bring(wanted(CA_2))
    docker.bring(NOTHING, immediately=True)

    assert fingerprint(outside) == before


def test_where_the_entry_is_gone_and_a_link_stands_for_its_manifest_the_pass_says_so_and_follows_nothing(
    docker, tmp_path
):
    docker.bring_well(wanted(CA_1))
    docker.entry().unlink()
    manifest = docker.folder() / "owner.json"
    manifest.rename(tmp_path / "outside")
    manifest.symlink_to(tmp_path / "outside")
    before = fingerprint(tmp_path / "outside")

    (outcome,) = docker.bring(wanted(CA_2))

    assert outcome.error.problem.reason is Reason.FOREIGN_FILE
    assert f"{manifest} was not written by registry-trust" in outcome.error.problem.message
    assert fingerprint(tmp_path / "outside") == before


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 99}', "\x00", '{"format": 1, "installation": "x"}'])
def test_a_state_that_cant_be_understood_stops_every_change(docker, content):
    docker.bring_well(wanted(CA_1))
    (docker.path / STORE / "state.json").write_text(content)
    before = fingerprint(docker.path)

    with pytest.raises(StoreFailure, match=r"state.json can't be used"):
        docker.restart().bring(wanted(CA_2))
    assert fingerprint(docker.path) == before


def test_a_name_that_is_no_file_name_is_refused_before_any_call(docker):
    with directories.Directory.open_root(str(docker.path), "root") as directory:
        for name in ("", ".", "..", "a/b", "/etc/passwd", "a\0b"):
            for call in (directory.open, directory.unlink, directory.look, directory.link_text):
                with pytest.raises(ValueError, match="not the name of a file"):
                    call(name)


# ---- what a foreign entry is called, and whether it is read ----------------------------------------------------------


def described(root: Root, name: str):
    observed: ObservedRoot = root.observe()
    entry = observed.foreign[name]
    return entry.description, entry.reads, entry.hides


def test_foreign_entries_are_described_by_what_a_runtime_would_find_in_them(docker, monkeypatch):
    add_neighbours(docker.path)
    (docker.path / "notes").mkdir()
    (docker.path / "notes" / "a\x1b[31m.txt").write_text("")
    (docker.path / "empty-toml").mkdir()
    (docker.path / "empty-toml" / "hosts.toml").write_text("")
    (docker.path / "notes" / "z.crt").write_text("")
    (docker.path / "nowhere").symlink_to("nothing-here")
    with socket.socket(socket.AF_UNIX) as unix:
        monkeypatch.chdir(docker.path)  # a socket's path is short
        unix.bind("socket")

    assert described(docker, "mirror.example") == ("a directory (with hosts.toml)", True, True)
    assert described(docker, "lonely.example") == ("an empty directory", False, True)
    assert described(docker, "README") == ("a file", False, True)
    assert described(docker, "elsewhere.example") == ('a symbolic link to "/nowhere/at/all"', True, True)
    assert described(docker, "nowhere") == ('a symbolic link to "nothing-here", which is not there,', False, False)
    assert described(docker, "notes") == ("a directory (with z.crt, a\\x1b[31m.txt)", True, True)
    assert described(docker, "empty-toml") == ("a directory (with hosts.toml)", False, True)
    assert described(docker, "socket")[1] is False
