"""The mass-removal hold on a node: which rows tell of it, to whom, and the word that `kubectl get nt` has for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry_trust.compiler.node_standing import FleetNode, NodeState, Served, judge
from registry_trust.core.bundle import Bundle, IndexedTrust, TrustContent, TrustState
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.removal_hold import held_removals
from registry_trust.core.report import NodeReport, RegistryRow, RowState, TargetRow, TargetState, order_rows, summary
from registry_trust.core.selection import Selector

UNTIL = 1_800_000_000.0
SHARED = ("shared.example",)
HELD = IndexedTrust("gone", "u1", 8, TrustState.REMOVED, TrustContent(SHARED), removed_at=1.0, held_until=UNTIL)
STAYS = IndexedTrust("stays", "u2", 3, TrustState.ACTIVE, TrustContent(SHARED))
GRACE = replace(HELD, name="in-its-grace", since=9, held_until=None)
BUNDLE = Bundle(12, (HELD, STAYS, GRACE))


def rows(bundle: Bundle = BUNDLE, **labels: str) -> tuple[RegistryRow, ...]:
    return held_removals(bundle, labels, "registry-trust", "registry-trust-bundle")


def report(*held: RegistryRow, state: TargetState = TargetState.READ) -> NodeReport:
    current = RegistryRow("shared.example", RowState.CURRENT, generation="aa")
    shown, count, failing = order_rows((current, *held))
    target = TargetRow("/etc/docker/certs.d", "docker", state)
    return NodeReport("1", "", "bundle", 12, "", (target,), shown, count, failing)


def test_a_removal_that_is_held_is_a_row_with_its_end_and_both_ways_out() -> None:
    (row,) = rows()

    assert (row.registry, row.trust, row.state, row.problem.reason) == (
        "shared.example",
        "gone",
        RowState.HELD,
        "RemovalHeld",
    )
    assert row.problem.reason == "RemovalHeld"
    assert "until 2027-01-15T08:00:00Z" in row.problem.message
    assert "apply it again" in row.problem.message
    assert row.problem.message.endswith(
        "kubectl annotate --overwrite -n registry-trust secret registry-trust-bundle registrytrust.io/confirm-removal=8"
    )


def test_a_removal_in_its_grace_or_for_other_nodes_is_no_row() -> None:
    elsewhere = replace(HELD, content=TrustContent(SHARED, selector=Selector((("zone", "b"),))))

    assert rows(Bundle(12, (GRACE, STAYS))) == ()
    assert rows(Bundle(12, (elsewhere,)), zone="a") == ()
    assert len(rows(Bundle(12, (elsewhere,)), zone="b")) == 1


def test_a_withdrawn_bundle_holds_nothing() -> None:
    assert rows(replace(BUNDLE, withdrawn=True)) == ()


@pytest.mark.parametrize("state", [TargetState.READ, TargetState.NOT_READ])
def test_the_nodes_one_word_is_the_hold_whatever_else_there_is(state: TargetState) -> None:
    assert summary(report(*rows(), state=state)) == "RemovalHeld"
    assert summary(report(state=state)) == ("Current" if state is TargetState.READ else "Failing")


def test_another_trust_for_the_same_registry_is_current_all_the_same() -> None:
    node = FleetNode("n", "uid", {}, ready=True)
    served = Served("stays", 3, TrustContent(SHARED))

    standing = judge(node, report(*rows()), served, "bundle", live=True)

    assert standing is not None
    assert standing.state is NodeState.CURRENT


def test_the_index_carries_the_hold_and_an_older_reader_ignores_it() -> None:
    data = encode(BUNDLE)

    assert decode(data) == BUNDLE
    assert b"heldUntil" not in encode(replace(BUNDLE, trusts=(STAYS, GRACE)))["index.json"]
