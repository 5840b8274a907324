"""Verifiers: a few nodes of each trust are chosen to ask its registries, by its content, and stay chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry_trust.compiler.node_standing import FleetNode
from registry_trust.compiler.verifiers import MOST, NOBODY, Verifiers
from registry_trust.core.bundle import Bundle, IndexedTrust, TrustContent, TrustState
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.desired import desired_state
from registry_trust.core.selection import Selector
from registry_trust.core.trust import Verification
from tools.messages.cluster import GOOD, compiled, secret
from tools.pki import root

POOL = {"pool": "build"}
FLEET = [FleetNode(f"node-{number}", f"uid-{number}", POOL if number % 2 else {}, ready=True) for number in range(40)]
CONTENT = TrustContent(("harbor.corp.example",))
TRUST = IndexedTrust("harbor", "uid-harbor", 7, TrustState.ACTIVE, CONTENT)


def chosen(trust: IndexedTrust = TRUST, before: IndexedTrust | None = None, fleet: list[FleetNode] = FLEET) -> set[str]:
    return set(Verifiers(fleet).assigned(trust, before, GOOD).verifiers)


def test_three_nodes_are_chosen_and_the_same_for_the_same_fleet_in_any_order():
    assert len(chosen()) == MOST == 3
    assert chosen() == chosen(fleet=FLEET[::-1])


def test_all_nodes_of_a_small_fleet_are_chosen_and_none_that_runs_windows():
    windows = FleetNode("windows", "uid", {"kubernetes.io/os": "windows"}, ready=True)

    assert chosen(fleet=[*FLEET[:2], windows]) == {"node-0", "node-1"}
    assert chosen(fleet=[]) == set()


def test_only_nodes_that_the_trust_selects_are_chosen():
    content = replace(CONTENT, selector=Selector((("pool", "build"),)))

    assert all(int(name.partition("-")[2]) % 2 for name in chosen(replace(TRUST, content=content)))


def test_new_content_is_asked_about_by_other_nodes_so_that_each_has_its_turn():
    turns = [chosen(replace(TRUST, since=serial)) for serial in range(1, 400)]

    assert {len(each) for each in turns} == {3}
    assert set().union(*turns) == {node.name for node in FLEET}


def test_verifiers_stay_while_one_of_them_is_fit_so_that_nodes_that_come_and_go_write_no_bundle():
    before = replace(TRUST, verifiers=("gone-1", "gone-2", "node-5"))
    content = replace(CONTENT, selector=Selector((("pool", "build"),)))

    assert chosen(before=before) == {"gone-1", "gone-2", "node-5"}
    assert "gone-1" not in chosen(before=replace(before, verifiers=("gone-1", "gone-2", "gone-3")))
    assert "gone-1" not in chosen(replace(TRUST, since=8), before)
    other = replace(before, content=content, verifiers=("node-4",))
    assert "node-4" not in chosen(replace(TRUST, content=content), other), "it is not selected any longer"


def test_a_trust_that_began_with_one_agent_gets_more_verifiers_as_agents_come_and_then_keeps_them():
    names: set[str] = set()
    for count in range(1, 8):
        names = chosen(before=replace(TRUST, verifiers=tuple(sorted(names))), fleet=FLEET[:count])
        assert len(names) == min(count, MOST)

    assert chosen(before=replace(TRUST, verifiers=tuple(sorted(names)))) == names


@pytest.mark.parametrize("state", [TrustState.HELD, TrustState.REMOVED])
def test_nobody_asks_about_what_is_not_served(state: TrustState):
    assert chosen(replace(TRUST, state=state)) == set()


def test_off_means_nobody_and_a_spec_that_cannot_be_understood_changes_nothing():
    off, before = replace(GOOD, verification=Verification.OFF), replace(TRUST, verifiers=("node-5",))
    verifiers = Verifiers(FLEET)

    assert verifiers.assigned(TRUST, before, off).verifiers == ()
    assert verifiers.assigned(TRUST, before, None).verifiers == ("node-5",)
    assert verifiers.assigned(TRUST, replace(before, verifiers=()), None).verifiers == ()
    assert NOBODY.assigned(TRUST, None, GOOD).verifiers == ()


def test_the_bundle_names_them_and_each_node_learns_from_it_what_it_asks():
    made = compiled((GOOD,), secret("harbor-ca", ca_crt=root().pem), verifiers=Verifiers(FLEET)).bundle
    bundle: Bundle = decode(encode(made))
    (trust,) = bundle.trusts

    assert trust.verifiers == made.trusts[0].verifiers
    for node in FLEET:
        (registry,) = desired_state(bundle, node.labels, node.name).registries.values()
        assert registry.verify is (node.name in trust.verifiers)
    (registry,) = desired_state(bundle, {}).registries.values()
    assert not registry.verify


def test_a_change_of_the_verifiers_alone_is_a_new_bundle_and_no_new_content():
    source = secret("harbor-ca", ca_crt=root().pem)
    first = compiled((GOOD,), source).bundle
    second = compiled((GOOD,), source, last=first, verifiers=Verifiers(FLEET))
    third = compiled((GOOD,), source, last=second.bundle, verifiers=Verifiers(FLEET[:20]))

    assert second.changed
    assert (second.bundle.serial, second.bundle.trusts[0].since) == (first.serial + 1, first.trusts[0].since)
    assert second.bundle.trusts[0].verifiers
    assert not third.changed or not set(second.bundle.trusts[0].verifiers) & {node.name for node in FLEET[:20]}
