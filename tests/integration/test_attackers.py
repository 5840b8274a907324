"""The store under attack: nothing outside its root changes, and nobody else ever reads a key.

The full run: `make torture`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from registry_trust.core.observed import Target
from registry_trust.core.plan import make_plan
from registry_trust.core.report import RowState
from tools.trials.attackers import (
    CONTENTS,
    ENDLESS,
    attack_by_spying,
    attack_by_swapping,
    by_path,
    readable_for_a_moment,
)
from tools.trials.roots import CA_2, PAIR_1, Root, files_of

CHANGES = 2_500

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user: run `sudo make test`")


@pytest.fixture
def open_folder():
    """A folder that everybody may enter, as everybody may enter /etc."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_while_directories_are_swapped_for_links_nothing_outside_the_root_changes(tmp_path):
    figures = attack_by_swapping(tmp_path, CHANGES)

    assert figures.successes == 0
    assert figures.changes >= CHANGES
    assert figures.attacked > CHANGES / 2, "the attacker rested: it must act before most changes"
    assert figures.met > 10, "the store met hardly an attack"


def test_after_the_attack_a_pass_makes_everything_whole_or_says_what_is_in_the_way(tmp_path):
    attack_by_swapping(tmp_path, CHANGES // 10)
    root = Root(tmp_path / "certs.d")
    plan = make_plan(Target(str(root.path), root.layout), CONTENTS[1], {str(root.path): root.observe()})

    outcomes = root.bring(CONTENTS[1])

    # A swap may have taken the manifest away: then the entry is nobody's, and is left alone.
    said = [row for row in plan.rows if row.state is RowState.FAILED] + [each.error for each in outcomes if each.error]
    assert said or root.read() == files_of(CA_2, pairs=(PAIR_1,))


def test_the_swapping_attacker_finds_a_writer_that_goes_by_path(tmp_path):
    assert attack_by_swapping(tmp_path, ENDLESS, by_path).successes > 0


@needs_root
def test_an_unprivileged_process_never_reads_a_key(open_folder):
    figures = attack_by_spying(open_folder, CHANGES)

    assert figures.successes == 0
    assert figures.changes >= CHANGES
    assert figures.attacked > CHANGES / 2, "the attacker rested: it must act before most changes"


@needs_root
def test_the_spying_attacker_finds_a_key_that_is_readable_for_a_moment(open_folder):
    assert attack_by_spying(open_folder, ENDLESS, readable_for_a_moment).successes > 0
