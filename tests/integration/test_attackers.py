"""The store under attack: nothing outside its root changes, and nobody else ever reads a key.

The full run: `python -m tests.integration.attackers`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests.integration.attackers import (
    attack_by_spying,
    attack_by_swapping,
    by_path,
    readable_for_a_moment,
)

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
    assert figures.attempts > CHANGES, "the attacker was too slow to prove anything"


def test_the_swapping_attacker_finds_a_writer_that_goes_by_path(tmp_path):
    assert attack_by_swapping(tmp_path, 10**9, by_path).successes > 0


@needs_root
def test_an_unprivileged_process_never_reads_a_key(open_folder):
    figures = attack_by_spying(open_folder, CHANGES)

    assert figures.successes == 0
    assert figures.changes >= CHANGES
    assert figures.attempts > 100, "the attacker was too slow to prove anything"


@needs_root
def test_the_spying_attacker_finds_a_key_that_is_readable_for_a_moment(open_folder):
    assert attack_by_spying(open_folder, 10**9, readable_for_a_moment).successes > 0
