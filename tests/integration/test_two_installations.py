"""Two installations on one root: one waits and says so, and takes over when the other one has gone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from registry_trust.agent.options import Mount
from registry_trust.agent.passes import Passes
from registry_trust.agent.rollback import Applied
from registry_trust.agent.runtime.candidates import read
from registry_trust.agent.single_pass import apply_once
from registry_trust.agent.store.tenure import ABANDONED, SIGN_EVERY
from registry_trust.core.desired import Desired
from registry_trust.core.layout import STORE, Layout
from registry_trust.core.observed import Target
from registry_trust.core.reasons import Reason
from registry_trust.core.report import TargetRow, TargetState
from tests.rows import reason_of
from tools.trials.roots import CA_1, CA_2, NOTHING, REGISTRY, MovedClock, files_of, read_as_runtime, wanted


@dataclass
class Installation:
    """The passes of one installation's agent."""

    root: Path
    source: str
    clock: MovedClock
    uid: str = "uid"

    def __post_init__(self) -> None:
        path = str(self.root)
        self.root.mkdir(exist_ok=True)
        self.passes = Passes([Mount(path, path)], source=self.source, monotonic=self.clock)

    def turn(self, desired: Desired, serial: int = 1) -> TargetRow:
        """Make a pass; return how the root stands."""
        path = str(self.root)
        (row,) = self.passes.apply(
            [read(Target(path, Layout.DOCKER))],
            desired,
            Applied(self.uid, serial),
            self.clock(),
        ).targets
        return row

    def works(self, seconds: float, desired: Desired) -> None:
        """Let the agent work for so long."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now += 15
            self.turn(desired)

    def read(self) -> dict[str, bytes] | None:
        return read_as_runtime(self.root, Layout.DOCKER, REGISTRY)


def two(tmp_path: Path) -> tuple[Installation, Installation, MovedClock]:
    clock = MovedClock()
    first, second = (Installation(tmp_path / "certs.d", f"{name}/bundle", clock, name) for name in ("first", "second"))
    assert first.turn(wanted(CA_1)).state is TargetState.READ
    return first, second, clock


def waits(row: TargetRow) -> bool:
    said = 'is written by another installation of registry-trust, for the bundle "first/bundle"' in row.message
    return (row.state, reason_of(row)) == (TargetState.FAILED, Reason.OTHER_INSTALLATION) and said


def test_the_second_one_waits_for_as_long_as_the_first_one_works_and_changes_nothing(tmp_path: Path) -> None:
    first, second, _ = two(tmp_path)

    for _ in range(5):
        assert waits(second.turn(wanted(CA_2)))
        first.works(ABANDONED - SIGN_EVERY, wanted(CA_1))
        assert first.read() == files_of(CA_1)
        assert first.passes.repairs.total == 0, "nothing was undone"
    assert waits(second.turn(NOTHING)), "nor is anything taken away"
    assert first.turn(wanted(CA_2)).state is TargetState.READ
    assert first.read() == files_of(CA_2)
    assert second.passes.roots.written == frozenset()


def test_the_second_one_takes_over_ten_minutes_after_the_last_sign_of_the_first_one(tmp_path: Path) -> None:
    first, second, clock = two(tmp_path)
    assert waits(second.turn(wanted(CA_2)))
    clock.now += ABANDONED - 1
    assert waits(second.turn(wanted(CA_2)))
    clock.now += 1

    assert second.turn(wanted(CA_2)).state is TargetState.READ
    assert second.read() == files_of(CA_2)

    late = first.turn(wanted(CA_1))
    assert late.problem.reason is Reason.OTHER_INSTALLATION, "the first one came back, and now waits itself"
    assert second.read() == files_of(CA_2)


def test_a_restart_of_the_second_one_begins_its_waiting_anew(tmp_path: Path) -> None:
    _, second, clock = two(tmp_path)
    assert waits(second.turn(wanted(CA_2)))
    clock.now += ABANDONED

    again = Installation(second.root, second.source, clock)

    assert waits(again.turn(wanted(CA_2))), "nobody knows what happened meanwhile"


def test_after_an_uninstallation_with_cleanup_or_without_the_state_it_takes_over_at_once(tmp_path: Path) -> None:
    first, second, _ = two(tmp_path)
    first.turn(Desired({}, withdrawn=True))
    assert second.turn(wanted(CA_2)).state is TargetState.READ

    third = Installation(second.root, "third/bundle", second.clock)
    assert third.turn(wanted(CA_1)).problem.reason is Reason.OTHER_INSTALLATION
    (second.root / STORE / "state.json").unlink()
    assert third.turn(wanted(CA_1)).state is TargetState.READ
    assert third.read() == files_of(CA_1)


def test_a_new_secret_of_the_same_name_is_the_same_installation(tmp_path: Path) -> None:
    first, _, clock = two(tmp_path)

    renewed = Installation(first.root, first.source, clock, uid="another-uid")

    assert renewed.turn(wanted(CA_2)).state is TargetState.READ
    assert renewed.read() == files_of(CA_2)


def test_what_was_laid_down_at_boot_or_by_an_earlier_version_is_taken_over_at_once(tmp_path: Path) -> None:
    root = tmp_path / "certs.d"
    apply_once(str(root), Layout.DOCKER, wanted(CA_1))
    state = root / STORE / "state.json"
    document = json.loads(state.read_text())
    assert document["bundle"]["source"] == ""
    del document["bundle"]["source"]
    state.write_text(json.dumps(document))
    clock = MovedClock()

    assert Installation(root, "first/bundle", clock).turn(wanted(CA_1)).state is TargetState.READ
    assert waits(Installation(root, "second/bundle", clock).turn(wanted(CA_2)))


def test_two_that_begin_at_once_agree_on_one(tmp_path: Path) -> None:
    clock = MovedClock()
    first, second = (Installation(tmp_path / "certs.d", f"{name}/bundle", clock) for name in ("first", "second"))

    rows = [first.turn(wanted(CA_1)), second.turn(wanted(CA_2)), first.turn(wanted(CA_1))]

    assert [row.state for row in rows] == [TargetState.READ, TargetState.FAILED, TargetState.READ]
    assert first.read() == files_of(CA_1)
