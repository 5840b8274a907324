"""Registry names: what we accept is a domain of the distribution project's reference grammar, and stays in its root."""

from __future__ import annotations

import re

import pytest

from tests.integration import registry_grammar
from tests.integration.registry_grammar import Figures

CASES, SEED = 12_000, 1

REVIEWED = {
    r"InvalidHost: .* has upper case": "Directory names are compared byte for byte, and each tool folds case in its "
    "own way before it looks; the lower-case name is the one that they agree on.",
    r"InvalidPort: .* has no port between # and #": "The grammar takes any digits; nothing can connect to such a port.",
    r"InvalidPort: .* has a port with a leading zero": "The same port under another directory name: a trap.",
    r"InvalidHost: .* is not a canonical IPv# address": "No host of that name can exist (its last label is a number), "
    "and what looks like an address is read differently by each resolver.",
    r"InvalidHost: .* has a label of more than # characters": "No DNS name can have it (RFC 1035 2.3.4).",
    r"InvalidHost: .* is longer than # characters": "No DNS name can be it (RFC 1035 2.3.4).",
    r"InvalidHost: .* is # bytes as a directory name": "No file system can hold the directory (NAME_MAX).",
    r"InvalidHost: .* has no IPv# address between the brackets": "The grammar takes any hexadecimal digits and colons.",
    r"InvalidHost: .* is not the canonical form of the address": "The same address under another directory name.",
    r"ReservedHost: .* is Docker Hub": "The classic store of dockerd reads no directory for it.",
}
"""What an image reference can name and we refuse, and why that is right."""


@pytest.fixture(scope="module")
def figures() -> Figures:
    return registry_grammar.run(CASES, SEED)


def test_every_accepted_name_is_a_domain_that_an_image_reference_carries_byte_for_byte(figures):
    assert figures.not_in_the_grammar == []
    assert figures.accepted > CASES / 50, "hardly a name was accepted: the test would prove nothing"


def test_every_accepted_name_is_one_directory_inside_its_root_in_every_layout(figures):
    assert figures.outside == []


@pytest.mark.parametrize("name", ["..", "a/b", "/etc", "a\0b", "x" * 256])
def test_the_test_would_notice_a_name_that_leaves_its_root(name):
    assert registry_grammar.leaves_root(name)


def test_what_the_grammar_allows_and_we_refuse_is_reviewed(figures):
    found = {kind for kind in figures.stricter if not any(re.match(known, kind) for known in REVIEWED)}

    assert {kind: figures.examples[kind] for kind in found} == {}


def test_every_reviewed_kind_of_refusal_is_met(figures):
    assert [known for known in REVIEWED if not any(re.match(known, kind) for kind in figures.stricter)] == []
