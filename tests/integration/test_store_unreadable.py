"""One entry at which the system refuses to look (a bad sector, a label, a stale mount): the others go on."""

from __future__ import annotations

import errno
import os
from functools import partial

import pytest

from registry_trust.agent.single_pass import apply_once
from registry_trust.core.observed import Target
from registry_trust.core.plan import make_plan
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RowState
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
    wanted,
)


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.value)
def root(request, tmp_path):
    return Root(tmp_path / "certs.d", request.param)


def refuse(number, _):
    raise OSError(number, os.strerror(number))


def unreadable(root, number=errno.EIO):
    """Let every call that names the entry fail."""
    return interrupted(Calls(partial(refuse, number), 1, lasting=True, reading=True, about=root.entry().name))


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE], ids=errno.errorcode.get)
def test_an_entry_that_cant_be_read_fails_alone_with_errno_and_path_and_stays_as_it_is(root, number):
    root.bring_well(both(wanted(CA_1, pairs=(PAIR_1,)), wanted(CA_1, registry=OTHER)))
    desired = both(wanted(CA_2), wanted(CA_2, registry=OTHER))
    before = fingerprint(root.folder())

    with unreadable(root, number), root.restart().store.lock() as store:
        target = Target(str(root.path), root.layout)
        plan = make_plan(target, desired, {str(root.path): store.observe().root})
        (outcome,) = store.apply(plan.steps, root.layout)

    assert (outcome.step.entry, outcome.error) == (OTHER, None)
    (row,) = [row for row in plan.rows if row.state is RowState.FAILED]
    assert (row.registry, row.problem.reason) == (REGISTRY, Reason.WRITE_FAILED)
    assert f"{root.folder()}: {errno.errorcode[number]} (" in row.problem.message
    assert root.read(OTHER) == files_of(CA_2)
    assert root.read() == files_of(CA_1, pairs=(PAIR_1,))
    assert fingerprint(root.folder()) == before

    root.bring_well(desired)
    assert root.read() == files_of(CA_2)


def test_it_keeps_no_garbage_of_others_in_place(root):
    root.bring_well(both(wanted(CA_1), wanted(CA_1, registry=OTHER)))

    with unreadable(root):
        root.restart().bring_well(both(wanted(CA_1), wanted(CA_2, registry=OTHER)), immediately=True)

    assert len([path for path in root.folder(OTHER).iterdir() if path.is_dir()]) == 1


def test_its_removal_is_not_claimed(root):
    root.bring_well(both(wanted(CA_1), wanted(CA_1, registry=OTHER)))

    with unreadable(root):
        done = apply_once(str(root.path), root.layout, NOTHING, remove=True)

    assert any(f"{root.folder()}: EIO (" in failure for failure in done.failures)
    assert root.read(OTHER) is None
    assert root.read() == files_of(CA_1)
    assert apply_once(str(root.path), root.layout, NOTHING, remove=True).failures == ()
    assert list(root.path.iterdir()) == []


def test_an_entry_that_nobody_wants_any_more_and_cant_be_read_has_a_failing_row(root):
    root.bring_well(wanted(CA_1))

    with unreadable(root), root.store.lock() as store:
        plan = root.plan(store, NOTHING)

    assert plan.steps == ()
    assert [(row.registry, row.state) for row in plan.rows] == [(root.entry().name, RowState.FAILED)]


def test_somebody_elses_directory_that_cant_be_looked_at_is_taken_for_one_that_is_read(root):
    (root.path / "theirs.example").mkdir()

    calls = Calls(partial(refuse, errno.EIO), 1, lasting=True, reading=True, about="theirs.example")
    with interrupted(calls), root.store.lock() as store:
        foreign = store.observe().root.foreign["theirs.example"]

    assert (foreign.reads, foreign.hides) == (True, True)
    assert "EIO" in foreign.description
