"""Neighbours that fight: what other programs do to a root, again and again, and what the agent does and says of it.

Their behaviour is taken from their source: OpenShift's node-ca removes the directories that it does not know, the
machine-config operator every file, Spegel moves everything into `_backup` and clears the root when
it starts, k3s and Talos write their own directory of a registry.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
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
from tools.torture.scenarios import SCENARIOS, prepared
from tools.trials.roots import CA_1, REGISTRY, Root, files_of, fingerprint, wanted

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


def test_a_link_into_the_store_that_still_leads_to_files_is_left_alone_without_its_manifest(tmp_path: Path) -> None:
    root = Root(tmp_path / "certs.d")
    root.bring_well(wanted(CA_1))
    (root.folder() / "owner.json").unlink()
    before = fingerprint(root.path)

    with root.store.lock() as store:
        plan = root.plan(store, wanted(CA_1))

    assert [row.problem.reason for row in plan.rows] == [Reason.FOREIGN_FILE]
    assert fingerprint(root.path) == before


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
