"""The store on a real file system: what a pass writes, what it leaves alone, and what it repairs."""

from __future__ import annotations

import json
import os
import stat

import pytest

from registry_trust.agent.store.store import Store
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import STORE
from registry_trust.core.reasons import Reason
from tools.trials.interruptions import Calls, interrupted
from tools.trials.roots import (
    CA_1,
    CA_2,
    LAYOUTS,
    NOTHING,
    OTHER,
    PAIR_1,
    REGISTRY,
    Root,
    both,
    files_of,
    fingerprint,
    names_below,
    wanted,
)


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.value)
def root(request, tmp_path):
    return Root(tmp_path / "certs.d", request.param)


@pytest.fixture
def docker(tmp_path):
    return Root(tmp_path / "certs.d")


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


# ---- writing ---------------------------------------------------------------------------------------------------------


def test_a_runtime_reads_exactly_the_files_that_are_wanted(root):
    root.bring_well(wanted(CA_1, CA_2, pairs=(PAIR_1,)))

    assert root.read() == files_of(CA_1, CA_2, pairs=(PAIR_1,))


def test_the_entry_is_one_relative_link_into_the_store_and_nothing_else_is_in_the_root(root):
    root.bring_well(wanted(CA_1))

    entry = root.entry()
    assert sorted(path.name for path in root.path.iterdir()) == sorted([STORE, entry.name])
    assert entry.readlink().parts[:-1] == (STORE, entry.name)
    assert sorted(path.name for path in root.folder().iterdir()) == sorted([root.generation().name, "owner.json"])


def test_a_host_without_a_port_has_its_plain_name_in_every_layout(root):
    root.bring_well(wanted(CA_1, registry=OTHER))

    assert (root.path / OTHER / "ca.crt").read_bytes() == CA_1


def test_the_manifest_says_whose_it_is_where_it_comes_from_and_what_was_written(docker):
    docker.bring_well(wanted(CA_1, trusts=("a", "b")))

    owner = json.loads((docker.folder() / "owner.json").read_text())
    state = json.loads((docker.path / STORE / "state.json").read_text())
    assert owner["installation"] == state["installation"]
    assert (owner["registry"], owner["trusts"], owner["layout"]) == (REGISTRY, ["a", "b"], "docker")
    assert owner["current"] == docker.generation().name
    assert owner["generations"][owner["current"]]["files"]["ca.crt"]["size"] == len(CA_1)


def test_a_second_pass_over_the_same_content_changes_nothing_at_all(root):
    root.bring_well(wanted(CA_1, pairs=(PAIR_1,)))
    before = fingerprint(root.path)

    with interrupted(Calls()) as calls:
        assert root.bring(wanted(CA_1, pairs=(PAIR_1,))) == ()
    assert calls.names == []
    assert root.restart().bring(wanted(CA_1, pairs=(PAIR_1,))) == ()
    assert fingerprint(root.path) == before


def test_another_trust_with_the_same_content_changes_the_manifest_and_no_file(root):
    root.bring_well(wanted(CA_1))
    before = fingerprint(root.generation())

    root.bring_well(wanted(CA_1, trusts=("a", "b")))

    assert fingerprint(root.generation()) == before
    assert root.observe().own[root.entry().name].trusts == ("a", "b")


def test_what_was_applied_is_remembered_across_restarts_and_remembering_it_again_writes_nothing(docker):
    with docker.store.lock() as store:
        assert store.state is None
        store.remember("uid-1", 7)
    before = fingerprint(docker.path)

    with docker.restart().store.lock() as again:
        assert (again.state.bundle_uid, again.state.serial) == ("uid-1", 7)
        again.remember("uid-1", 7)

    assert fingerprint(docker.path) == before


# ---- modes -----------------------------------------------------------------------------------------------------------


def test_with_a_key_every_file_is_0600_and_both_directories_are_0700(root):
    root.bring_well(wanted(CA_1, pairs=(PAIR_1,)))

    assert {mode(path) for path in root.generation().iterdir()} == {0o600}
    assert (mode(root.generation()), mode(root.folder())) == (0o700, 0o700)


def test_without_a_key_everything_may_be_read_by_everybody_whatever_the_umask_says(root):
    old = os.umask(0o077)
    try:
        root.bring_well(wanted(CA_1))
    finally:
        os.umask(old)

    assert {mode(path) for path in root.generation().iterdir()} == {0o644}
    assert [mode(path) for path in (root.generation(), root.folder(), root.path / STORE)] == [0o755] * 3


def test_the_folder_is_narrowed_with_the_first_key_and_widened_when_the_last_one_is_gone(root):
    root.bring_well(wanted(CA_1))
    root.bring_well(wanted(CA_1, pairs=(PAIR_1,)))
    assert mode(root.folder()) == 0o700

    root.bring_well(wanted(CA_1))
    assert mode(root.folder()) == 0o700, "the old generation still holds a key"

    root.clock.now += 61
    root.bring_well(wanted(CA_1))
    assert mode(root.folder()) == 0o755
    assert root.bring(wanted(CA_1)) == ()


# ---- garbage ---------------------------------------------------------------------------------------------------------


def test_a_superseded_generation_goes_a_minute_after_this_process_saw_it_superseded(root):
    root.bring_well(wanted(CA_1))
    old = root.generation()
    root.bring_well(wanted(CA_2))
    with root.store.lock() as store:
        assert store.collect_garbage().due == 60

    root.clock.now += 59
    with root.store.lock() as store:
        assert store.collect_garbage().due == 1
    assert old.exists()

    root.clock.now += 1
    with root.store.lock() as store:
        assert store.collect_garbage().due is None
    assert not old.exists()
    assert root.read() == files_of(CA_2)


def test_what_a_burst_left_goes_ten_at_a_time_the_oldest_first_and_a_withdrawal_takes_all(docker):
    ages = {}
    for age in range(25):
        docker.bring_well(wanted(CA_1 if age % 2 else CA_2))
        ages[docker.generation().name] = age
        docker.clock.now += 0.1
    docker.clock.now += 60

    with docker.store.lock() as store:
        for expected in (15, 5):
            assert store.collect_garbage().due == 0
            names = {path.name for path in docker.folder().iterdir() if path.is_dir()}
            assert sorted(ages[name] for name in names) == list(range(25 - expected, 25))
        assert store.collect_garbage().due is None

    for age in range(12):
        docker.bring_well(wanted(CA_1 if age % 2 else CA_2))
    with docker.store.lock() as store:
        store.collect_garbage(immediately=True)
    assert [path.name for path in docker.folder().iterdir() if path.is_dir()] == [docker.generation().name]


def test_a_restart_gives_a_superseded_generation_its_whole_minute_again(docker):
    docker.bring_well(wanted(CA_1))
    old = docker.generation()
    docker.bring_well(wanted(CA_2))
    docker.clock.now += 3600

    docker.restart().bring_well(wanted(CA_2))

    assert old.exists()


def test_removal_takes_the_entry_at_once_and_the_rest_after_its_minute(root):
    root.bring_well(both(wanted(CA_1, pairs=(PAIR_1,)), wanted(CA_2, registry=OTHER)))

    root.bring_well(wanted(CA_2, registry=OTHER))
    assert root.read() is None
    assert root.folder().exists()
    assert root.bring(wanted(CA_2, registry=OTHER)) == (), "a removed entry is not removed again"

    root.clock.now += 60
    root.bring_well(wanted(CA_2, registry=OTHER))
    assert sorted(path.name for path in (root.path / STORE).iterdir()) == [".lock", OTHER, "state.json"]


def test_a_registry_that_comes_back_within_the_minute_is_written_anew_and_stays(root):
    root.bring_well(wanted(CA_1))
    root.bring_well(NOTHING)
    root.bring_well(wanted(CA_1))
    root.clock.now += 61
    root.bring_well(wanted(CA_1))

    assert root.read() == files_of(CA_1)
    assert len([path for path in root.folder().iterdir() if path.is_dir()]) == 1


# ---- drift -----------------------------------------------------------------------------------------------------------


def edited(root):
    (root.generation() / "ca.crt").write_bytes(b"X" * len(CA_1))


def with_another_mode(root):
    (root.generation() / "ca.crt").chmod(0o666)


def with_a_wider_directory(root):
    root.generation().chmod(0o777)


def with_a_wider_folder(root):
    root.folder().chmod(0o777)


def without_a_file(root):
    (root.generation() / "ca.crt").unlink()


def without_its_link(root):
    root.entry().unlink()


def with_a_file_of_somebody_else(root):
    (root.entry() / "extra.crt").write_text("written through our link")


def with_a_link_in_place_of_a_file(root):
    (root.generation() / "ca.crt").unlink()
    (root.generation() / "ca.crt").symlink_to("/etc/passwd")


def with_a_fifo_in_place_of_a_file(root):
    (root.generation() / "ca.crt").unlink()
    os.mkfifo(root.generation() / "ca.crt")


def without_its_generation(root):
    root.generation().rename(root.path.parent / "taken")


DRIFT = [
    edited,
    with_another_mode,
    with_a_wider_directory,
    with_a_wider_folder,
    without_a_file,
    without_its_link,
    with_a_file_of_somebody_else,
    with_a_link_in_place_of_a_file,
    with_a_fifo_in_place_of_a_file,
    without_its_generation,
]


@pytest.mark.parametrize("drift", DRIFT, ids=lambda drift: drift.__name__)
def test_an_entry_that_somebody_changed_is_repaired_by_a_new_generation(root, drift):
    root.bring_well(wanted(CA_1))
    first = root.generation().name
    drift(root)

    with root.store.lock() as store:
        steps = root.plan(store, wanted(CA_1)).steps
        assert [step.repair for step in steps] == [True]
        assert root.seen.faults.keys() == {root.entry().name}
    root.bring_well(wanted(CA_1))

    assert root.read() == files_of(CA_1)
    assert root.generation().name == first.removesuffix("-1") + "-2"
    assert (mode(root.folder()), mode(root.generation())) == (0o755, 0o755)
    assert root.bring(wanted(CA_1)) == ()


def test_a_file_written_through_our_link_is_kept_and_reported_and_no_longer_read(docker):
    docker.bring_well(wanted(CA_1, pairs=(PAIR_1,)))
    old = docker.generation()
    (docker.entry() / "extra.crt").write_text("somebody's")

    docker.bring_well(wanted(CA_1, pairs=(PAIR_1,)))
    docker.clock.now += 61
    docker.bring_well(wanted(CA_1, pairs=(PAIR_1,)))

    assert names_below(old) == ["extra.crt"]
    assert docker.read() == files_of(CA_1, pairs=(PAIR_1,))
    docker.observe()
    (finding,) = docker.findings()
    assert finding.reason is Reason.FOREIGN_FILE
    assert str(old / "extra.crt") in finding.message

    (old / "extra.crt").rename(docker.path.parent / "extra.crt")
    docker.bring_well(wanted(CA_1, pairs=(PAIR_1,)))
    docker.observe()
    assert not old.exists()
    assert docker.findings() == ()


def test_a_lost_state_file_is_made_again_for_the_installation_that_all_manifests_name(docker):
    docker.bring_well(wanted(CA_1))
    before = json.loads((docker.path / STORE / "state.json").read_text())["installation"]
    (docker.path / STORE / "state.json").unlink()

    docker.restart().bring_well(wanted(CA_2))

    assert json.loads((docker.path / STORE / "state.json").read_text())["installation"] == before
    assert docker.read() == files_of(CA_2)


# ---- use -------------------------------------------------------------------------------------------------------------


def test_a_root_that_is_not_there_is_named_by_its_path_on_the_host(tmp_path):
    store = Store(str(tmp_path / "host-root"), shown_path="/etc/docker/certs.d")

    with pytest.raises(StoreFailure, match=r"open /etc/docker/certs.d: ENOENT") as caught, store.lock():
        pass
    assert caught.value.problem.reason is Reason.WRITE_FAILED
