"""Registry names: what we accept is a domain of the distribution project's reference grammar, and stays in its root."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct
from pathlib import Path

import pytest

from registry_trust.core.layout import directory_names
from tests.integration import registry_grammar
from tests.integration.registry_grammar import Figures
from tests.integration.reviewed import STRICTER_THAN_THE_GRAMMAR

pytestmark = pytest.mark.tools("oracle")

CASES, SEED = 12_000, 1


class Beneath:
    """openat2(2) below one directory, with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_XDEV."""

    SYSTEM_CALL = 437
    HOW = struct.pack("QQQ", os.O_PATH, 0, 0x08 | 0x04 | 0x01)

    def __init__(self, root: Path) -> None:
        self.root = root
        self.call = ctypes.CDLL(None, use_errno=True).syscall

    def __call__(self, name: str) -> int:
        """Open a name; return 0 or the errno."""
        top = os.open(self.root, os.O_PATH)
        try:
            found = self.call(self.SYSTEM_CALL, top, os.fsencode(name), self.HOW, len(self.HOW))
            error = ctypes.get_errno() if found < 0 else 0
            if found >= 0:
                os.close(found)
        finally:
            os.close(top)
        if error == errno.ENOSYS:
            pytest.skip("needs openat2 (Linux 5.6)")
        return error


@pytest.fixture
def beneath(tmp_path: Path) -> Beneath:
    return Beneath(tmp_path)


@pytest.fixture(scope="module")
def figures() -> Figures:
    return registry_grammar.run(CASES, SEED)


def test_every_accepted_name_is_a_domain_that_an_image_reference_carries_byte_for_byte(figures):
    assert figures.not_in_the_grammar == []
    assert len(figures.taken) > CASES / 50, "hardly a name was accepted: the test would prove nothing"


def test_every_accepted_name_is_one_directory_inside_its_root_in_every_layout(figures):
    assert figures.outside == []


def test_the_kernel_resolves_every_directory_of_an_accepted_name_beneath_its_root(figures, beneath):
    for name in sorted({one for taken in figures.taken for one in directory_names(taken)}):
        assert beneath(name) == errno.ENOENT, f"{name!r} is there already, or is no name of a directory"
        (beneath.root / name).mkdir()
        assert beneath(name) == 0
    assert all(child.parent == beneath.root for child in beneath.root.iterdir())


@pytest.mark.parametrize("name", ["..", "/etc", "a/../../b", "link"])
def test_the_kernel_refuses_what_leaves_the_root(beneath, name):
    (beneath.root / "a").mkdir()
    (beneath.root / "link").symlink_to("/etc")

    assert beneath(name) in (errno.EXDEV, errno.ELOOP)


@pytest.mark.parametrize("name", ["..", "a/b", "/etc", "a\0b", "x" * 256])
def test_the_test_would_notice_a_name_that_leaves_its_root(name):
    assert registry_grammar.leaves_root(name)


def test_what_the_grammar_allows_and_we_refuse_is_reviewed(figures):
    found = {kind for kind in figures.stricter if not any(re.match(known, kind) for known in STRICTER_THAN_THE_GRAMMAR)}

    assert {kind: figures.examples[kind] for kind in found} == {}


def test_every_reviewed_kind_of_refusal_is_met(figures):
    assert [
        known for known in STRICTER_THAN_THE_GRAMMAR if not any(re.match(known, kind) for kind in figures.stricter)
    ] == []
