"""A host in no cluster: one pass with the agent's own store, taken over by an agent later, and taken back whole."""

from __future__ import annotations

from registry_trust.agent.single_pass import apply_once
from registry_trust.core.layout import Layout
from tools.trials.roots import (
    CA_1,
    CA_2,
    NOTHING,
    OTHER,
    PAIR_1,
    PAIR_2,
    THEIRS,
    Root,
    add_neighbours,
    add_theirs,
    both,
    files_of,
    fingerprint,
    wanted,
)


def test_a_host_in_no_cluster_gets_the_same_store_which_an_agent_takes_over(tmp_path):
    path = tmp_path / "etc" / "docker" / "certs.d"
    done = apply_once(str(path), Layout.DOCKER, wanted(CA_1, pairs=(PAIR_1,)))
    assert (done.failures, len(done.outcomes)) == ((), 1)

    root = Root(path)
    assert root.bring(wanted(CA_1, pairs=(PAIR_1,))) == ()
    assert root.read() == files_of(CA_1, pairs=(PAIR_1,))


def test_its_removal_leaves_no_trace_of_ours_and_everything_of_others(tmp_path):
    root = Root(tmp_path / "certs.d")
    add_neighbours(root.path)
    before = fingerprint(root.path)
    apply_once(str(root.path), Layout.DOCKER, both(wanted(CA_1, pairs=(PAIR_1,)), wanted(CA_2, registry=OTHER)))
    apply_once(str(root.path), Layout.DOCKER, wanted(CA_2, pairs=(PAIR_2,)))

    done = apply_once(str(root.path), Layout.DOCKER, NOTHING, remove=True)

    assert done.failures == ()
    assert fingerprint(root.path) == before
    assert apply_once(str(root.path), Layout.DOCKER, NOTHING, remove=True).outcomes == ()


def test_its_removal_says_what_of_others_keeps_the_store_folder_in_place(tmp_path):
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    kept = root.generation() / "mine.crt"
    kept.write_text("somebody's")

    done = apply_once(str(root.path), Layout.DOCKER, NOTHING, remove=True)

    assert any(str(kept) in failure for failure in done.failures)
    assert kept.read_text() == "somebody's"
    assert root.read() is None


def test_its_removal_gives_back_what_a_trust_with_replace_put_aside(tmp_path):
    root = Root(tmp_path / "certs.d")
    add_theirs(root)
    before = fingerprint(root.path)

    done = apply_once(str(root.path), Layout.DOCKER, wanted(CA_1, replace=True))
    assert (done.failures, root.read()) == ((), files_of(CA_1))
    done = apply_once(str(root.path), Layout.DOCKER, NOTHING, remove=True)

    assert done.failures == ()
    assert fingerprint(root.path) == before


def test_its_removal_says_where_that_is_when_its_place_is_taken(tmp_path):
    root = Root(tmp_path / "certs.d")
    add_theirs(root)
    apply_once(str(root.path), Layout.DOCKER, wanted(CA_1, replace=True))
    root.entry().unlink()
    root.entry().mkdir()

    done = apply_once(str(root.path), Layout.DOCKER, NOTHING, remove=True)

    assert [str(root.kept()) in failure for failure in done.failures] == [True]
    assert (root.kept() / "ca.crt").read_bytes() == THEIRS
