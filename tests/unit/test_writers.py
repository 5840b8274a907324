"""Writers: a bundle names the processes that wrote it, and a node sees by that if its own history was lost."""

from __future__ import annotations

from dataclasses import replace

from registry_trust.agent.acceptance import Acceptance
from registry_trust.agent.delivery.inbox import ReceivedBundle
from registry_trust.agent.rollback import PATIENCE, Applied, is_of_another_history
from registry_trust.agent.store.manifest import StoreState, decode_state, encode_state
from registry_trust.compiler.lost_history import is_contradicted
from registry_trust.core.bundle import MOST_WRITERS, Bundle, LostHistory, Writer
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport

UID = "secret-1"
WALL = 1_800_000_000.0
LINE = Bundle(57).written_by("first", 1)
BACKUP = replace(LINE, serial=40)
FORK = replace(BACKUP.written_by("second", 41), serial=60)
"""What a process wrote after the backup, without a word of what the first one had written from 41 to 57."""
KNOWN = Applied(UID, 57, "first")


def received(bundle: Bundle) -> ReceivedBundle:
    return ReceivedBundle(UID, str(bundle.serial), bundle)


def test_a_process_names_itself_once_for_all_that_it_writes() -> None:
    after = replace(FORK, serial=61).written_by("second", 62)

    assert after.writers == (Writer("first", 1), Writer("second", 41))
    assert [after.writer(serial) for serial in (0, 40, 41)] == [None, *after.writers]


def test_a_process_that_wrote_nothing_is_not_named_by_the_next_one() -> None:
    idle = BACKUP.written_by("idle", 41)

    assert idle.written_by("second", 41).writers == (Writer("first", 1), Writer("second", 41))


def test_another_writer_alone_is_no_reason_to_write() -> None:
    assert BACKUP.written_by("second", 41).same_content(BACKUP)


def test_a_bundle_names_the_last_processes_and_is_read_back_with_them() -> None:
    bundle = Bundle()
    for number in range(1, MOST_WRITERS + 5):
        bundle = replace(bundle.written_by(f"process-{number}", number), serial=number)

    assert len(bundle.writers) == MOST_WRITERS
    assert decode(encode(bundle)).writers == bundle.writers
    assert b"writers" not in encode(Bundle(3))["index.json"], "as an earlier version wrote it"


def test_a_state_remembers_the_writer_and_an_older_one_has_none() -> None:
    state = StoreState("i", UID, 57, writer="first")

    assert decode_state(encode_state(state)) == state
    assert decode_state(encode_state(state).replace(b'"writer"', b'"later"')).writer == ""


def test_only_another_writer_of_the_same_serial_contradicts() -> None:
    next_process = replace(LINE.written_by("third", 58), serial=70)

    assert is_of_another_history(KNOWN, UID, FORK)
    assert not is_of_another_history(KNOWN, UID, next_process)
    assert not is_of_another_history(KNOWN, "secret-2", FORK), "another Secret has a history of its own"
    assert not is_of_another_history(replace(KNOWN, writer=""), UID, FORK), "an earlier version did not remember it"
    assert not is_of_another_history(KNOWN, UID, replace(FORK, writers=())), "nor did it write it"
    assert not is_of_another_history(KNOWN, UID, replace(FORK, writers=(Writer("x", 58),))), "no longer in the list"
    assert not is_of_another_history(None, UID, FORK)


def test_a_node_holds_what_it_has_for_ten_minutes_and_remembers_what_it_had_for_as_long() -> None:
    acceptance, fork = Acceptance(), received(FORK)
    acceptance.remember((KNOWN,))
    acceptance.consider(fork, 0.0, WALL)

    assert acceptance.bundle is not None
    assert acceptance.bundle.bundle.lost_history == LostHistory(60, WALL + PATIENCE)
    assert str(acceptance.notice).startswith(Reason.HISTORY_LOST)
    new = Applied(UID, 60, "second")
    assert acceptance.to_remember(new) == KNOWN, "an agent that starts again finds it again"
    acceptance.applied(KNOWN)
    later = received(replace(FORK, serial=61))
    acceptance.consider(later, 1.0, WALL + 1)
    assert acceptance.bundle.bundle.lost_history == LostHistory(60, WALL + PATIENCE), "each bundle begins no new hold"
    assert acceptance.wait(1.0) == PATIENCE - 1

    acceptance.consider(later, PATIENCE, WALL + PATIENCE)
    assert acceptance.bundle is later
    assert acceptance.notice is None
    assert acceptance.wait(PATIENCE) is None
    assert acceptance.to_remember(new) == new


def test_an_operator_that_knows_of_the_loss_decides_how_long_a_node_holds() -> None:
    acceptance = Acceptance()
    acceptance.remember((KNOWN,))
    acceptance.consider(received(FORK), 0.0, WALL)
    told = received(replace(FORK.written_by("second-again", 61), serial=61, lost_history=LostHistory(61, WALL + 900)))
    acceptance.consider(told, 5.0, WALL + 5)

    assert acceptance.bundle is told
    assert acceptance.notice is None
    assert acceptance.to_remember(Applied(UID, 61, "second-again")).serial == 61


def test_an_operator_hears_of_a_loss_until_it_has_gone_on_under_another_name() -> None:
    notice = Problem(Reason.HISTORY_LOST, "")
    report = NodeReport("", "", UID, 60, "", (), (), 0, 0, (notice,))

    assert is_contradicted([report], UID, FORK)
    assert is_contradicted([report], UID, FORK.written_by("third", 61)), "a process that starts has not answered"
    assert not is_contradicted([replace(report, notices=())], UID, FORK)
    assert not is_contradicted([report], "secret-2", FORK)
    answered = replace(FORK.written_by("second-again", 61), serial=61)
    assert not is_contradicted([report], UID, answered), "the node may be gone, and its report stays"
    assert is_contradicted([replace(report, serial=61)], UID, answered)
