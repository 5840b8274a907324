"""Neighbours that fight: what other programs do to a root, again and again, and what the agent does and says of it.

Their behaviour is taken from their source: OpenShift's node-ca removes the directories that it does not know, the
machine-config operator every file, Spegel moves everything into `_backup` and clears the root when
it starts, k3s and Talos write their own directory of a registry.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from registry_trust.agent.options import Mount
from registry_trust.agent.pacing import SLOWEST_REPAIR
from registry_trust.agent.passes import Passes
from registry_trust.core.layout import STORE, Layout
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState
from tools.torture.errors import AgentOnRoot
from tools.torture.scenarios import SCENARIOS, prepared, quick_folder
from tools.trials.roots import CA_1, CA_2, PAIR_1, REGISTRY, Root, copy, files_of, fingerprint, wanted

(ROTATION,) = [scenario for scenario in SCENARIOS if scenario.name == "rotate-pair"]
CONTESTED_AFTER = 5


def node_ca(root: Path) -> None:
    for child in root.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)


def machine_config_operator(root: Path) -> None:
    for child in root.iterdir():
        child.unlink() if child.is_symlink() or child.is_file() else shutil.rmtree(child)


def spegel(root: Path) -> None:
    backup = root / "_backup"
    first = not backup.exists()
    backup.mkdir(exist_ok=True)
    for child in [child for child in root.iterdir() if child != backup]:
        if first:
            child.rename(backup / child.name)
        else:
            child.unlink() if child.is_symlink() else shutil.rmtree(child)


def k3s_or_talos(root: Path) -> None:
    entry = Root(root, Layout.CONTAINERD).entry()
    if entry.is_symlink():
        entry.unlink()
    entry.mkdir(exist_ok=True)
    (entry / "hosts.toml").write_text('server = "https://mirror.example"\n')


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def place() -> Iterator[Path]:
    """Give a folder in memory: what a clearing leaves does not depend on the disk."""
    with quick_folder() as folder:
        yield folder


def row_of(agent: AgentOnRoot) -> RegistryRow:
    (row,) = [row for row in agent.turn().rows if row.registry == REGISTRY]
    return row


@pytest.mark.parametrize(
    ("neighbour", "layout"),
    [
        (node_ca, Layout.DOCKER),
        (machine_config_operator, Layout.DOCKER),
        (spegel, Layout.CONTAINERD),
        (spegel, Layout.CONTAINERS),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_a_neighbour_removes_is_repaired_at_once_and_then_three_times_in_15_seconds_at_most(
    neighbour: Callable[[Path], None], layout: Layout, tmp_path: Path
) -> None:
    root = prepared(ROTATION, layout, tmp_path / "certs.d")
    agent = AgentOnRoot(root, ROTATION)
    assert row_of(agent).state is RowState.CURRENT

    for _ in range(CONTESTED_AFTER):
        neighbour(root.path)
        assert root.read() != ROTATION.new
        assert row_of(agent).state is RowState.CURRENT
        assert root.read() == ROTATION.new
    repairs = []
    for _ in range(6):
        neighbour(root.path)
        while root.read() != ROTATION.new:
            made = agent.now
            row = row_of(agent)
        repairs.append(made)

    assert (row.state, row.problem.reason) == (RowState.FAILED, Reason.CONTESTED)
    assert "changed or removed by another process more than 5 times within 10 minutes" in row.problem.message
    assert str(root.entry()) in row.problem.message
    for first, fourth in zip(repairs, repairs[3:], strict=False):
        assert fourth - first >= SLOWEST_REPAIR, "three repairs within 15 seconds are enough"


def test_a_directory_that_a_distribution_writes_in_our_place_is_left_alone_and_named(tmp_path: Path) -> None:
    root = prepared(ROTATION, Layout.CONTAINERD, tmp_path / "certs.d")
    agent = AgentOnRoot(root, ROTATION)
    agent.turn()
    k3s_or_talos(root.path)
    theirs = fingerprint(root.entry())

    for _ in range(10):
        k3s_or_talos(root.path)
        row = row_of(agent)
        assert (row.state, row.problem.reason) == (RowState.FAILED, Reason.FOREIGN_FILE)
        assert f"{root.entry()} is a directory (with hosts.toml)" in row.problem.message
    assert fingerprint(root.entry()).keys() == theirs.keys()
    assert agent.turns <= 11


@pytest.mark.parametrize("layout", Layout, ids=str)
def test_links_whose_store_was_taken_away_are_ours_and_are_written_anew(layout: Layout, tmp_path: Path) -> None:
    root = Root(tmp_path / "certs.d", layout)
    root.bring_well(wanted(CA_1))
    shutil.rmtree(root.path / STORE)

    root.restart().bring_well(wanted(CA_1))

    assert root.read() == files_of(CA_1)


@pytest.mark.parametrize("layout", Layout, ids=str)
def test_whatever_a_clearing_leaves_of_an_entry_one_pass_makes_it_whole(layout: Layout, place: Path) -> None:
    desired, files = wanted(CA_1, pairs=(PAIR_1,)), files_of(CA_1, pairs=(PAIR_1,))
    template = Root(place / "template", layout)
    template.bring_well(desired)
    parts = [path.relative_to(template.path) for path in template.path.rglob("*") if not path.is_dir()]
    parts += [path.relative_to(template.path) for path in template.path.iterdir() if path.is_symlink()]
    assert len(parts) >= 7

    for number in range(1 << len(parts)):
        root = Root(copy(template.path, place / "certs.d"), layout)
        gone = [path for bit, path in enumerate(parts) if number >> bit & 1]
        for path in gone:
            (root.path / path).unlink()
        for folder in sorted((path for path in root.path.rglob("*") if path.is_dir()), reverse=True):
            with suppress(OSError):
                folder.rmdir()  # As a clearing does; one that still holds something stays.

        assert [outcome.error for outcome in root.bring(desired) if outcome.error] == [], gone
        assert root.read() == files, gone
        root.bring_well(desired, immediately=True)
        assert root.bring(desired) == (), gone
        assert root.findings() == (), gone
        assert len([path for path in root.folder().iterdir() if path.is_dir()]) == 1, gone
        shutil.rmtree(root.path)


def test_in_a_directory_that_lost_its_manifest_what_others_wrote_stays_and_is_named(tmp_path: Path) -> None:
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_2))
    (root.generation() / "ca.crt").write_bytes(b"theirs\n")
    (theirs,) = root.generation().iterdir()
    (root.folder() / "owner.json").unlink()

    root.bring_well(wanted(CA_2))
    root.bring_well(wanted(CA_2), immediately=True)

    assert root.read() == files_of(CA_2)
    assert theirs.read_bytes() == b"theirs\n"
    (finding,) = root.findings()
    assert finding.reason is Reason.FOREIGN_FILE
    assert str(theirs) in finding.message


def test_of_content_that_nobody_knows_any_longer_the_link_alone_is_exchanged(tmp_path: Path) -> None:
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    (left,) = root.generation().iterdir()
    (root.folder() / "owner.json").unlink()

    root.bring_well(wanted(CA_2), immediately=True)
    root.bring_well(wanted(CA_2), immediately=True)

    assert root.read() == files_of(CA_2)
    assert left.read_bytes() == CA_1
    assert str(left) in root.findings()[0].message


def test_without_a_bundle_drift_is_named_and_left_for_the_bundle_to_repair(tmp_path: Path, caplog: Any) -> None:
    logging.disable(logging.NOTSET)
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    (root.generation() / "ca.crt").write_bytes(b"edited\n")
    before = fingerprint(root.path)
    passes = Passes([Mount(str(root.path), str(root.path))])

    looks = [passes.look() for _ in range(3)]

    assert {row.problem.message for _, rows, _ in looks for row in rows} == {
        f"{root.entry()}: ca.crt has different content; it will be written again once a bundle is received"
    }
    assert fingerprint(root.path) == before
    assert [record.getMessage() for record in caplog.records] == [
        f"{root.entry()}: ca.crt has different content; no usable bundle has been received yet to write it again"
    ]
