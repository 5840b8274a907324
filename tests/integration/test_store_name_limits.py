"""Names at the limit: what the store can write, it can replace, give back and remove, on a real file system."""

from __future__ import annotations

import pytest

from registry_trust.core.layout import NAME_LIMIT, STORE, Layout
from registry_trust.core.registry import MAXIMUM_LENGTH, check
from tools.trials.roots import (
    CA_1,
    CA_2,
    LAYOUTS,
    NOTHING,
    PAIR_1,
    THEIRS,
    Root,
    files_of,
    fingerprint,
    names_below,
    wanted,
)

PORT = ":5000"


def registry_of(length: int) -> str:
    """Return a registry with a port, of this many bytes."""
    return f"{'.'.join(['a' * 41] * 6)[: length - len(PORT)]}{PORT}"


@pytest.fixture(params=LAYOUTS)
def root(request, tmp_path) -> Root:
    return Root(tmp_path / "root", request.param)


def theirs(root: Root, registry: str) -> None:
    """Put another process's directory where the entry is to be."""
    root.entry(registry).mkdir()
    (root.entry(registry) / "ca.crt").write_bytes(THEIRS)


def test_at_the_limit_an_entry_is_written_changed_and_removed(root):
    registry = check(registry_of(MAXIMUM_LENGTH))
    before = fingerprint(root.path)

    root.bring_well(wanted(CA_1, pairs=(PAIR_1,), registry=registry))
    assert root.read(registry) == files_of(CA_1, pairs=(PAIR_1,))
    root.bring_well(wanted(CA_2, registry=registry))
    assert root.read(registry) == files_of(CA_2)

    root.bring_well(NOTHING, immediately=True)
    with root.store.lock() as store:
        assert store.dissolve()
    assert fingerprint(root.path) == before


def test_at_the_limit_what_was_there_is_replaced_and_comes_back(root):
    registry = check(registry_of(MAXIMUM_LENGTH))
    theirs(root, registry)
    before = fingerprint(root.entry(registry))

    root.bring_well(wanted(CA_1, registry=registry, replace=True))
    assert root.read(registry) == files_of(CA_1)
    assert len(root.kept(registry).name) == (NAME_LIMIT if root.layout is Layout.CONTAINERD else NAME_LIMIT - 1)

    root.bring_well(NOTHING, immediately=True)
    assert fingerprint(root.entry(registry)) == before


def test_what_an_earlier_version_wrote_under_a_longer_name_is_changed_and_removed(root):
    registry = registry_of(MAXIMUM_LENGTH + 1)
    if root.layout is Layout.CONTAINERD:
        assert len(root.kept(registry).name) > NAME_LIMIT, "else this would prove nothing"
    longest = registry_of(NAME_LIMIT - 1)

    for each in (registry, longest):
        root.bring_well(wanted(CA_1, pairs=(PAIR_1,), registry=each))
        root.restart().bring_well(wanted(CA_2, pairs=(PAIR_1,), registry=each))
        assert root.read(each) == files_of(CA_2, pairs=(PAIR_1,))
        root.restart().bring_well(NOTHING, immediately=True)
        with root.store.lock() as store:
            assert store.dissolve()
        assert names_below(root.path) == []


def test_what_stands_under_a_name_too_long_to_be_kept_is_never_replaced(root):
    registry = registry_of(NAME_LIMIT - 1)
    theirs(root, registry)
    before = fingerprint(root.entry(registry))

    (outcome,) = root.bring(wanted(CA_1, registry=registry, replace=True))

    assert outcome.error is not None
    assert "ENAMETOOLONG" in str(outcome.error)
    assert fingerprint(root.entry(registry)) == before
    assert names_below(root.path / STORE / root.entry(registry).name) == []
