"""Rollouts and nodes that lie: what one canary, or a node that is none, can do to what others have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry_trust.compiler.rollout import PATIENCE
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RegistryRow, RowState, TargetRow, TargetState
from registry_trust.core.trust import Rollout
from registry_trust.core.verdict.verdict import Verdict, failed, verified
from tests.unit.compiling import FIRST, LAST, NEW, OLD, SECOND
from tests.unit.rolling import REGISTRY, TRUST, Rolling, reason_of, rolled_out

FINE = verified("it answers 401", ())
BAD = failed(Reason.UNKNOWN_AUTHORITY, "another CA")


def on_its_canaries(count: int, pem: bytes) -> Rolling:
    """Return a cluster in which canaries have the content that a source has now, and have reported."""
    cluster = rolled_out("one", "two", "three", "four", "five")
    cluster.change(rollout=Rollout(count))
    cluster.pems["ca"] = pem
    cluster.compile()
    cluster.apply()
    return cluster


def says(cluster: Rolling, name: str, **changes: object) -> None:
    """Let a node report something else."""
    report = cluster.machines[name].report
    assert report is not None
    cluster.machines[name].report = replace(report, **changes)  # type: ignore[arg-type]


def row(verdict: Verdict) -> tuple[RegistryRow, ...]:
    return (RegistryRow(REGISTRY, RowState.CURRENT, "1", verdict=verdict),)


def test_a_canary_that_lies_about_being_fine_promotes_only_if_it_is_the_only_one():
    cluster = on_its_canaries(1, SECOND.pem)
    says(cluster, cluster.canaries()[0], registries=row(FINE))
    assert cluster.compile().rollout is None

    cluster = on_its_canaries(2, SECOND.pem)
    says(cluster, cluster.canaries()[0], registries=row(FINE))
    assert reason_of(cluster.compile()) is Reason.CANARY_FAILED


def test_a_canary_that_lies_about_failing_costs_no_node_what_it_has_and_an_admin_goes_on():
    cluster = on_its_canaries(2, FIRST.pem + SECOND.pem)
    liar = cluster.canaries()[0]
    says(cluster, liar, registries=row(BAD))
    outcome = cluster.compile()
    assert reason_of(outcome) is Reason.CANARY_FAILED
    cluster.apply()
    assert cluster.with_ca(OLD) == set(cluster.machines)

    cluster.promoted["harbor"] = outcome.next_revision
    says(cluster, liar, registries=row(BAD))
    cluster.compile()
    cluster.apply()
    assert cluster.with_ca(OLD, NEW) == set(cluster.machines)


def test_no_other_node_has_a_word_in_it():
    cluster = on_its_canaries(1, FIRST.pem + SECOND.pem)
    for name in cluster.machines.keys() - set(cluster.canaries()):
        says(cluster, name, registries=row(BAD))
    assert cluster.compile().rollout is None

    cluster = on_its_canaries(1, SECOND.pem)
    for name in cluster.machines.keys() - set(cluster.canaries()):
        says(cluster, name, registries=row(FINE))
    assert reason_of(cluster.compile()) is Reason.CANARY_FAILED


@pytest.mark.parametrize(
    "changes", [{"serial": 2**52}, {"bundle_uid": "another"}, {"serial": 0}, {"schema": 1}], ids=str
)
def test_a_report_that_can_not_be_about_the_candidate_promotes_nothing(changes: dict[str, object]):
    cluster = on_its_canaries(1, FIRST.pem + SECOND.pem)
    says(cluster, cluster.canaries()[0], **changes)

    assert reason_of(cluster.compile()) is Reason.ROLLING_OUT


@pytest.mark.parametrize(
    "registries",
    [
        (),
        (RegistryRow("another.example", RowState.CURRENT, verdict=FINE),),
        (RegistryRow(REGISTRY, RowState.CURRENT, verdict=FINE, trust="harbor"),),
        (RegistryRow(REGISTRY, RowState.PENDING, verdict=FINE, problem=Problem(Reason.NODE_PENDING, "")),),
        (*row(FINE), RegistryRow(REGISTRY, RowState.HELD, problem=Problem(Reason.CONTENT_HELD, ""))),
    ],
)
def test_rows_that_do_not_say_that_its_own_files_work_promote_nothing(registries: tuple[RegistryRow, ...]):
    cluster = on_its_canaries(1, FIRST.pem + SECOND.pem)
    says(cluster, cluster.canaries()[0], registries=registries)

    assert reason_of(cluster.compile()) is Reason.ROLLING_OUT


def test_a_canary_that_says_both_has_failed_and_so_has_one_that_takes_it_back():
    cluster = on_its_canaries(1, FIRST.pem + SECOND.pem)
    (canary,) = cluster.canaries()
    says(cluster, canary, registries=(*row(FINE), RegistryRow(REGISTRY, RowState.FAILED)))
    assert reason_of(cluster.compile()) is not None
    says(cluster, canary, registries=row(BAD))
    assert reason_of(cluster.compile()) is Reason.CANARY_FAILED
    writes = cluster.writes
    for verdict in (FINE, BAD) * 5:
        says(cluster, canary, registries=row(verdict))
        assert reason_of(cluster.compile()) is Reason.CANARY_FAILED
    assert cluster.writes == writes


def test_a_canary_that_flaps_writes_the_bundle_once_in_a_while():
    cluster = rolled_out("one")
    cluster.pems["ca"] = FIRST.pem + SECOND.pem
    cluster.compile()
    cluster.apply()
    cluster.shown = {}
    writes = cluster.writes
    unread = (TargetRow("/etc/docker/certs.d", "docker", TargetState.NOT_READ, Problem(Reason.ROOT_NOT_READ, "")),)
    silent: NodeReport | None = cluster.machines["one"].report
    assert silent is not None
    for _ in range(100):
        cluster.machines["one"].report = replace(silent, targets=unread, registries=())
        cluster.compile(later=PATIENCE / 20)
        cluster.machines["one"].report = replace(silent, serial=cluster.bundle.serial, registries=())
        cluster.compile(later=PATIENCE / 20)
    assert cluster.writes - writes <= 2 * 100 / 10


def test_a_clock_that_jumps_under_another_leader_ends_no_minimum_early():
    cluster = on_its_canaries(1, FIRST.pem + SECOND.pem)
    cluster.change(rollout=Rollout(1, minimum=600.0))
    assert reason_of(cluster.compile()) is Reason.ROLLING_OUT
    cluster.now -= 3600.0
    assert reason_of(cluster.compile()) is Reason.ROLLING_OUT
    assert reason_of(cluster.compile(later=599.0)) is Reason.ROLLING_OUT
    assert cluster.compile(later=1.0).waits is None, "a beginning in the future is now"


def test_text_of_a_canary_is_bounded_in_what_the_bundle_keeps_of_it():
    cluster = on_its_canaries(1, SECOND.pem)
    long = RegistryRow(REGISTRY, RowState.FAILED, problem=Problem(Reason.WRITE_FAILED, "x" * 100_000))
    says(cluster, cluster.canaries()[0], registries=(long,))
    outcome = cluster.compile()
    assert reason_of(outcome) is Reason.CANARY_FAILED
    assert len(outcome.waits.message) < 2000
    assert TRUST.name == outcome.name
    assert LAST not in cluster.machines["one"].has()
