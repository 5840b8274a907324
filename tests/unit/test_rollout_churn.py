"""Rollouts under churn: whatever happens to nodes and sources, a wrong CA is on no more nodes than there are canaries.

The registry shows a certificate of the first CA all the time, so content with that CA works and any other fails. Every
compilation is another leader's, from what the bundle's Secret would hold.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from registry_trust.core.reasons import Reason
from registry_trust.core.selection import Selector
from registry_trust.core.trust import Rollout
from tests.unit.compiling import FIRST, LAST, NEW, OLD, SECOND, THIRD
from tests.unit.rolling import TRUST, Machine, reason_of, rolled_out

NAMES = ("one", "two", "three", "four", "five")
GOOD = (FIRST.pem, FIRST.pem + SECOND.pem, FIRST.pem + THIRD.pem)
WRONG = (SECOND.pem, THIRD.pem, SECOND.pem + THIRD.pem)
ROLLOUTS = (Rollout(1), Rollout(2), Rollout(20, percent=True), Rollout(1, minimum=60.0))


SEQUENCES, STEPS = 60, 60


class RolloutChurn:
    """Drives the compiler, with agents that are late, die, come back and lose their labels."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        rollout = chance.choice(ROLLOUTS)
        pool = Selector((("pool", "a"),))
        self.cluster = rolled_out(*NAMES, trust=replace(TRUST, selector=pool), labels={"pool": "a"})
        self.cluster.change(rollout=rollout)
        self.most = 1 if rollout.percent else rollout.canaries

    def step(self) -> None:
        """Let one thing happen."""
        machine = self.cluster.machines[self.chance.choice(NAMES)]
        yes = self.chance.random() < 0.6
        happenings: tuple[Callable[[], object], ...] = (
            lambda: self.cluster.pems.update(ca=self.chance.choice((*GOOD, *WRONG))),
            lambda: self.cluster.pems.pop("ca", None),
            lambda: self.cluster.change(suspend=not yes),
            lambda: setattr(machine, "ready", yes),
            lambda: setattr(machine, "live", yes),
            lambda: setattr(machine, "labels", {"pool": "a" if yes else "b"}),
            lambda: setattr(machine, "fails", not yes),
            lambda: setattr(machine, "blind", not yes),
            lambda: self.cluster.machines.update({machine.name: Machine(machine.name, {"pool": "a"})}),
            *(lambda: self.cluster.apply(machine.name),) * 8,
            *(lambda: self.cluster.compile(later=self.chance.choice((0.0, 59.0, 61.0))),) * 8,
        )
        self.chance.choice(happenings)()

    def end(self) -> None:
        """Let everybody come back: then content that works is everywhere, and any other is nowhere."""
        cluster, pem = self.cluster, self.chance.choice((*GOOD, *WRONG))
        cluster.pems["ca"] = pem
        cluster.change(suspend=False)
        for machine in cluster.machines.values():
            machine.ready = machine.live = True
            machine.fails = machine.blind = False
            machine.labels = {"pool": "a"}
        cluster.settle()
        cluster.compile(later=61.0)
        outcome = cluster.settle()
        have = {frozenset(machine.has()) for machine in cluster.machines.values()}
        assert len(have) == 1, have
        (everywhere,) = have
        assert OLD in everywhere
        assert outcome.rollout is None or reason_of(outcome) is Reason.CANARY_FAILED
        if outcome.rollout is None:
            wanted = {
                reference for reference, pem_of in ((OLD, FIRST), (NEW, SECOND), (LAST, THIRD)) if pem_of.pem in pem
            }
            assert everywhere == wanted

    def what_is_for_all_nodes_works(self) -> None:
        trust = self.cluster.bundle.trust("harbor")
        if trust is not None and trust.content is not None:
            assert OLD in trust.content.ca_certificates

    def canaries_are_as_few_as_asked_for(self) -> None:
        assert len(self.cluster.canaries()) <= self.most

    def pulls_fail_on_no_node_that_is_no_canary(self) -> None:
        """A node that was a canary, and has not read the bundle since, is one still."""
        canaries = set(self.cluster.canaries())
        for name, machine in self.cluster.machines.items():
            if machine.disk and OLD not in machine.has():
                late = machine.report is None or machine.report.serial < self.cluster.bundle.serial
                assert name in canaries or late, f"{name} has {machine.has()}"


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_whatever_happens_a_wrong_ca_stays_on_canaries_and_a_right_one_goes_everywhere(seed: int) -> None:
    churn = RolloutChurn(random.Random(seed))  # noqa: S311 - a sequence that can be played again
    for _ in range(STEPS):
        churn.step()
        churn.what_is_for_all_nodes_works()
        churn.canaries_are_as_few_as_asked_for()
        churn.pulls_fail_on_no_node_that_is_no_canary()
    churn.end()
