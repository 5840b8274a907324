"""Rollouts among everything else: new, renamed, removed and suspended trusts, lost histories, fleets, old readers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from registry_trust.compiler.canaries import Canaries
from registry_trust.compiler.compile import compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.lost_history import go_on_after
from registry_trust.compiler.node_standing import FleetNode
from registry_trust.compiler.removals import GRACE
from registry_trust.core.bundle import INDEX_KEY, Bundle, Refusal, TrustContent
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.names import MAXIMUM_CANARIES
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport
from registry_trust.core.selection import labels_hash
from registry_trust.core.trust import Rollout
from tests.unit.compiling import DAY, FIRST, LAST, NEW, OLD, SECOND, pair_of, sources
from tests.unit.rolling import REGISTRY, TRUST, UID, Rolling, reason_of, rolled_out

BOTH = FIRST.pem + SECOND.pem


def test_a_new_trust_goes_to_a_canary_first_and_leaves_nothing_there_if_it_fails():
    cluster = rolled_out()
    other = replace(TRUST, name="other", uid="other", registries=("other.example",))
    cluster.trusts["other"] = other
    cluster.shown["other.example"] = NEW
    cluster.compile()
    cluster.apply()
    have = {name for name, machine in cluster.machines.items() if machine.has("other.example")}
    assert have == set(cluster.canaries("other"))
    assert len(have) == 1

    cluster.settle()
    outcome = cluster.result.outcomes["other"]
    assert reason_of(outcome) is Reason.CANARY_FAILED
    assert outcome.content is None
    assert not any(machine.has("other.example") for machine in cluster.machines.values())

    cluster.trusts["other"] = replace(other, registries=("other.example", REGISTRY))
    cluster.shown["other.example"] = OLD
    cluster.settle()
    assert cluster.result.outcomes["other"].waits is None
    assert all(machine.has("other.example") for machine in cluster.machines.values())


def test_a_trust_whose_source_comes_later_goes_to_its_canary_first():
    cluster = Rolling()
    del cluster.pems["ca"]
    cluster.compile()
    cluster.compile()
    cluster.apply()
    cluster.pems["ca"] = FIRST.pem
    cluster.compile()
    cluster.apply()
    assert cluster.with_ca(OLD) == set(cluster.canaries())
    assert cluster.settle().waits is None


def test_after_a_lost_history_no_node_loses_what_it_has_while_canaries_try_it():
    cluster = rolled_out()
    cluster.handover = False
    cluster.bundle = go_on_after(Bundle(), cluster.bundle.serial, cluster.now)
    del cluster.shown[REGISTRY]
    cluster.compile()
    assert reason_of(cluster.settle()) is Reason.CANARY_UNVERIFIED
    cluster.compile(later=DAY)
    assert reason_of(cluster.settle()) is Reason.CANARY_UNVERIFIED
    assert cluster.bundle.lost_history is None
    assert cluster.with_ca(OLD) == set(cluster.machines)
    cluster.shown[REGISTRY] = OLD
    assert cluster.settle().waits is None


def test_a_candidate_goes_on_after_the_serials_of_a_lost_history():
    cluster = rolled_out()
    cluster.pems["ca"] = BOTH
    cluster.compile()
    cluster.apply()
    cluster.bundle = go_on_after(cluster.bundle, cluster.bundle.serial + 100, cluster.now)
    assert reason_of(cluster.compile()) is Reason.ROLLING_OUT, "what was said of the lost bundles does not count"
    assert cluster.settle().waits is None


def test_a_rename_has_no_gap_however_long_the_new_trust_is_on_its_canaries():
    cluster = rolled_out()
    cluster.handover = False
    cluster.trusts["renamed"] = replace(TRUST, name="renamed", uid="renamed")
    del cluster.shown[REGISTRY]
    cluster.settle()
    del cluster.trusts["harbor"]
    for _ in range(3):
        cluster.compile(later=GRACE + 1)
        cluster.apply()
        assert cluster.with_ca(OLD) == set(cluster.machines)
    cluster.shown[REGISTRY] = OLD
    cluster.settle()
    cluster.compile(later=GRACE + 1)
    cluster.apply()
    assert cluster.with_ca(OLD) == set(cluster.machines)
    assert [trust.name for trust in cluster.bundle.trusts] == ["renamed"]


def test_a_deletion_is_not_staged_and_takes_the_candidate_along():
    cluster = rolled_out()
    cluster.handover = False
    cluster.pems["ca"] = BOTH
    cluster.compile()
    cluster.apply()
    cluster.trusts["other"] = replace(TRUST, name="other", uid="o", registries=("other.example",), rollout=None)
    del cluster.trusts["harbor"]
    cluster.compile()
    cluster.apply()
    assert cluster.with_ca(OLD) == set(cluster.machines)
    cluster.compile(later=GRACE)
    cluster.apply()
    assert cluster.with_ca() == set(cluster.machines)


def test_a_withdrawal_stops_a_rollout_where_it_is():
    cluster = rolled_out()
    cluster.pems["ca"] = BOTH
    cluster.compile()
    cluster.bundle = replace(cluster.bundle, withdrawn=True)
    cluster.apply()
    cluster.compile()
    assert cluster.bundle.trust("harbor").candidate is not None
    assert cluster.with_ca() == set(cluster.machines)


def test_a_trust_that_is_suspended_goes_no_further_but_a_canary_that_fails_goes_back():
    cluster = rolled_out()
    cluster.pems["ca"] = BOTH
    cluster.compile()
    cluster.change(suspend=True)
    outcome = cluster.settle()
    assert reason_of(outcome) is Reason.ROLLING_OUT
    assert "suspended" in outcome.waits.message
    assert len(cluster.with_ca(OLD, NEW)) == 1
    cluster.shown[REGISTRY] = LAST
    assert reason_of(cluster.settle()) is Reason.CANARY_FAILED
    assert cluster.with_ca(OLD) == set(cluster.machines)


def test_a_source_that_turns_bad_keeps_what_canaries_have_and_promotes_nothing():
    cluster = rolled_out()
    cluster.pems["ca"] = BOTH
    cluster.compile()
    cluster.pems["ca"] = b"nothing"
    outcome = cluster.settle()
    assert not outcome.accepted
    assert len(cluster.with_ca(OLD, NEW)) == 1
    cluster.pems["ca"] = BOTH
    assert cluster.settle().waits is None


def test_taking_the_rollout_out_of_a_trust_serves_its_content_to_all():
    cluster = rolled_out()
    cluster.pems["ca"] = SECOND.pem
    cluster.settle()
    cluster.change(rollout=None)
    assert cluster.compile().waits is None
    cluster.apply()
    assert cluster.with_ca(NEW) == set(cluster.machines)


def test_a_conflict_of_client_certificates_shows_on_the_canary_and_goes_no_further():
    cluster = rolled_out()
    cluster.pairs = {name: FIRST.client(name) for name in ("a", "b")}
    older = replace(TRUST, name="older", uid="older", rollout=None, client_sources=(pair_of("a"),))
    cluster.trusts["older"] = replace(older, created="2026-01-01T00:00:00Z")
    cluster.settle()
    cluster.trusts["younger"] = replace(TRUST, name="younger", uid="younger", client_sources=(pair_of("b"),))
    cluster.settle()

    outcome = cluster.result.outcomes["younger"]
    assert reason_of(outcome) is Reason.CANARY_FAILED
    assert "ClientCertificateConflict" in outcome.waits.message
    assert cluster.result.outcomes["harbor"].waits is None
    assert cluster.with_ca(OLD) == set(cluster.machines)


@pytest.mark.parametrize(
    ("rollout", "count"),
    [(Rollout(3), 3), (Rollout(10, percent=True), 4), (Rollout(1, percent=True), 1), (Rollout(50), 40)],
)
def test_a_part_of_the_fleet_is_rounded_up_and_never_more_than_there_is(rollout: Rollout, count: int):
    cluster = rolled_out(*(f"node-{number}" for number in range(40)), trust=replace(TRUST, rollout=rollout))
    cluster.pems["ca"] = BOTH
    cluster.compile()
    assert len(cluster.canaries()) == count
    assert len(cluster.bundle.trust("harbor").verifiers) == min(3, count), "a registry sees as many as ever"
    assert cluster.settle().waits is None


def test_of_5000_nodes_a_tenth_is_a_hundred_and_the_same_for_each_leader():
    nodes = [FleetNode(f"node-{number}", "uid", {}, ready=True) for number in range(5000)]
    report = NodeReport("1", "", UID, 1, labels_hash({}), (), (), 0, 0, schema=2)
    reports = {node.name: report for node in nodes}

    def chosen(found: list[FleetNode], kept: tuple[str, ...] = ()) -> tuple[str, ...]:
        canaries = Canaries(lambda: found, reports, UID, 1)
        return canaries.chosen(kept, TrustContent((REGISTRY,)), Rollout(10, percent=True), "place")

    first = chosen(nodes)
    assert len(first) == MAXIMUM_CANARIES
    assert chosen(nodes[::-1]) == first
    left = [node for node in nodes if node.name != first[0]]
    assert set(first[1:]) < set(chosen(left, first))


def test_nothing_is_asked_of_the_fleet_without_a_change():
    def never() -> list[FleetNode]:
        raise AssertionError("asked")

    canaries = Canaries(never, {}, UID, 1)
    cluster = rolled_out()
    item = TrustInput("harbor", "uid", TRUST.created, 1, TRUST)
    compile_bundle([item], sources(**cluster.pems), cluster.bundle, cluster.now, checker=Checker(), canaries=canaries)


def test_a_reader_of_before_candidates_finds_the_same_as_without_them():
    cluster = rolled_out()
    cluster.pems["ca"] = BOTH
    cluster.compile()
    written = encode(cluster.bundle)
    index = json.loads(written[INDEX_KEY])
    assert index["minReader"] == 1
    without = {**index, "trusts": [{k: v for k, v in each.items() if k != "candidate"} for each in index["trusts"]]}
    old = decode({**written, INDEX_KEY: json.dumps(without).encode()})

    assert old.trust("harbor").content == cluster.bundle.trust("harbor").content
    assert old.trust("harbor").candidate is None
    assert decode(written) == cluster.bundle


def test_a_refusal_is_the_same_after_it_was_written_and_read():
    cluster = rolled_out()
    cluster.pems["ca"] = SECOND.pem
    cluster.settle()
    refusal = cluster.bundle.trust("harbor").rollout
    assert isinstance(refusal, Refusal)
    assert decode(encode(cluster.bundle)).trust("harbor").rollout == refusal
