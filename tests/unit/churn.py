"""A simple model of a fleet in which everything goes wrong, driven side by side with the operator's own books."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from registry_trust.compiler.compile import Outcome
from registry_trust.compiler.fleet import Fleet, Standing
from registry_trust.compiler.lost_history import go_on_after, highest_reported
from registry_trust.compiler.node_standing import FleetNode, Served
from registry_trust.compiler.objects import OwnedReport
from registry_trust.compiler.placement import Agents
from registry_trust.compiler.status import make_status
from registry_trust.controller.api_server import ApiServer
from registry_trust.controller.clock import Clock
from registry_trust.controller.cluster import ClusterMap
from registry_trust.controller.reconcile import Reconciler
from registry_trust.controller.settings import OperatorSettings
from registry_trust.core.bundle import Bundle, TrustContent
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RegistryRow, RowState
from registry_trust.core.selection import Selector, labels_hash
from tests.unit.machines import Machine, Written

NAMES = ("n1", "n2", "n3")
ZONES = ("a", "b")
CONTENTS = {
    "everywhere": TrustContent(("every.example",)),
    "zone-a": TrustContent(("zone.example",), selector=Selector((("zone", "a"),))),
}
NOW = datetime(2027, 1, 1, tzinfo=UTC)
LABELS = {zone: {"zone": zone} for zone in ZONES}
HASHES = {zone: labels_hash(LABELS[zone]) for zone in ZONES}
VERDICTS: dict[tuple[object, ...], dict[str, str]] = {}
"""Conditions by all that they follow from: computed once, so that thousands of sequences cost seconds."""


class Churn(RuleBasedStateMachine):
    """Drives the operator's own books (no API server: nothing is read or written) and the model side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = ClusterMap("registry-trust")
        self.reconciler = Reconciler(ApiServer(None), OperatorSettings("n", "n", "i"), self.cluster, Clock())  # type: ignore[arg-type]
        self.fleet: Fleet = self.reconciler._fleet
        self.machines: dict[str, Machine] = {}
        self.mail: list[tuple[str, int, OwnedReport]] = []
        self.version = 0
        self.serial = 1
        self.uid = "bundle-1"
        self.since = dict.fromkeys(CONTENTS, 1)
        self.content = dict.fromkeys(CONTENTS, 0)
        self.history: list[Written] = []
        self.shown: dict[str, str] = {}
        self.agents = Agents()
        self.daemon_set = True
        self.fleet.rebuild([], {}, [], self.agents, self.uid)
        self.write()

    @initialize(zones=st.tuples(*(st.sampled_from(ZONES) for _ in NAMES)))
    def a_fleet_that_has_everything(self, zones: tuple[str, ...]) -> None:
        for name, zone in zip(NAMES, zones, strict=True):
            self.join(name, zone)
            self.applies(name, fails=False)
        for _ in NAMES:
            self.deliver(0, again=False)
        self.observe()

    # what happens to nodes

    @rule(name=st.sampled_from(NAMES), zone=st.sampled_from(ZONES))
    def join(self, name: str, zone: str) -> None:
        if name not in self.machines:
            self.machines[name] = Machine(f"uid-{self.tick()}", zone)
            self.tell_node(name)

    @rule(name=st.sampled_from(NAMES))
    def leave(self, name: str) -> None:
        if self.machines.pop(name, None):
            self.cluster.nodes.delete(name, self.tick())
            self.reconciler.take_nodes({name})

    @rule(name=st.sampled_from(NAMES), keeps_disk=st.booleans())
    def recreate_under_another_uid(self, name: str, *, keeps_disk: bool) -> None:
        if name in self.machines:
            old = self.machines[name]
            self.machines[name] = Machine(f"uid-{self.tick()}", old.zone, disk=old.disk if keeps_disk else {})
            self.machines[name].unheard = True
            self.tell_node(name)

    @rule(name=st.sampled_from(NAMES), zone=st.sampled_from(ZONES))
    def relabel(self, name: str, zone: str) -> None:
        self.change(name, lambda machine: setattr(machine, "zone", zone))

    @rule(name=st.sampled_from(NAMES), ready=st.booleans())
    def becomes_ready_or_not(self, name: str, *, ready: bool) -> None:
        self.change(name, lambda machine: setattr(machine, "ready", ready))

    @rule(name=st.sampled_from(NAMES), up=st.booleans())
    def agent_starts_or_ends(self, name: str, *, up: bool) -> None:
        if name in self.machines:
            self.machines[name].agent = up

    @rule()
    def observe(self) -> None:
        # A pod of a node that is away still counts as ready for a while: it is the kubelet that would say otherwise.
        live = frozenset(name for name, machine in self.machines.items() if machine.agent)
        self.agents = Agents(live) if self.daemon_set else Agents(placement=None)
        self.touch(self.fleet.set_agents(self.agents))

    @rule(exists=st.booleans())
    def daemon_set_is_deleted_or_created(self, *, exists: bool) -> None:
        self.daemon_set = exists
        self.observe()

    @rule()
    def scaled_to_none(self) -> None:
        for machine in self.machines.values():
            machine.agent = False
        self.observe()

    # what happens to the bundle and to reports

    @rule(trust=st.sampled_from(sorted(CONTENTS)))
    def content_changes(self, trust: str) -> None:
        self.serial += 1
        self.since[trust] = self.serial
        self.content[trust] = self.tick()
        self.write()

    @rule()
    def bundle_is_created_anew(self) -> None:
        self.uid = f"bundle-{self.tick()}"
        self.serial = 1
        self.since = dict.fromkeys(CONTENTS, 1)
        self.write()
        self.relist()

    @rule(place=st.integers(0, 20))
    def etcd_is_restored(self, place: int) -> None:
        """Bundle and reports are older ones again; agents refuse that bundle at first, and say which one they have."""
        index = place % len(self.history)
        old = self.history[index]
        if old.uid != self.uid:
            return
        self.history = self.history[: index + 1]
        self.serial, self.since, self.content = old.serial, dict(old.since), dict(old.content)
        self.mail.clear()
        for name, owned in self.cluster.reports.values().items():
            if owned.report.bundle_uid == self.uid and owned.report.serial > self.serial:
                self.report_is_deleted(name)
        self.publish()
        self.relist()
        for name, machine in self.machines.items():
            if machine.agent and machine.ready and machine.said is not None:
                self.cluster.reports.put(name, self.tick(), machine.said)
                self.reconciler.take_nodes({name})
                self.distributed_is_never_true_while_a_live_selected_node_lacks_the_files()
        reported = highest_reported((o.report for o in self.cluster.reports.values().values()), self.uid)
        if reported > self.serial:
            leapt = go_on_after(Bundle(self.serial), reported)
            self.serial = leapt.serial
            self.since = dict.fromkeys(CONTENTS, self.serial)
            self.write()

    @rule(name=st.sampled_from(NAMES), fails=st.booleans())
    def applies(self, name: str, *, fails: bool) -> None:
        self.apply(name, len(self.history) - 1, fails=fails)

    @rule(name=st.sampled_from(NAMES), place=st.integers(0, 20))
    def applies_an_older_bundle(self, name: str, place: int) -> None:
        self.apply(name, place % len(self.history), fails=False)

    @rule(place=st.integers(0, 10), again=st.booleans())
    def deliver(self, place: int, *, again: bool) -> None:
        if not self.mail:
            return
        index = place % len(self.mail)
        name, version, owned = self.mail[index] if again else self.mail.pop(index)
        machine = self.machines.get(name)
        if self.cluster.reports.put(name, version, owned):
            self.reconciler.take_nodes({name})
        if machine is not None and version == machine.last and self.cluster.reports.get(name) == owned:
            machine.unheard = False

    @rule(place=st.integers(0, 10))
    def lose(self, place: int) -> None:
        if self.mail:
            self.mail.pop(place % len(self.mail))

    @rule(name=st.sampled_from(NAMES))
    def report_is_deleted(self, name: str) -> None:
        self.cluster.reports.delete(name, self.tick())
        self.reconciler.take_nodes({name})
        if name in self.machines:
            self.machines[name].unheard = True

    @rule()
    def relist(self) -> None:
        nodes = self.cluster.nodes.values()
        owned = self.cluster.reports.values().items()
        reports = {name: o.report for name, o in owned if name in nodes and nodes[name].uid == o.node_uid}
        self.fleet.rebuild(nodes.values(), reports, self.served(), self.agents, self.uid)
        self.touch(set(CONTENTS))

    @rule()
    def everybody_who_lives_catches_up(self) -> None:
        for name, machine in self.machines.items():
            if machine.agent and machine.ready:
                self.applies(name, fails=False)
        while self.mail:
            self.deliver(0, again=False)
        self.daemon_set_is_deleted_or_created(exists=True)
        alive = {name for name, machine in self.machines.items() if machine.agent and machine.ready}
        for trust in CONTENTS:
            selected = {name for name, machine in self.machines.items() if machine.selects(trust)}
            if selected & alive:
                assert self.distributed(trust)["status"] == "True", "stuck because of a node that is dead"

    # the truth

    @invariant()
    def distributed_is_never_true_while_a_live_selected_node_lacks_the_files(self) -> None:
        for trust, content in self.content.items():
            if self.distributed(trust)["status"] != "True":
                continue
            for name, machine in self.machines.items():
                known_alive = machine.ready and (self.fleet.live(name))
                if machine.selects(trust) and known_alive:
                    assert (trust, content) in machine.had, f"{name} never had {trust}"
                    if not machine.unheard:
                        assert machine.disk.get(trust) == content, f"{name} lacks {trust}"

    @invariant()
    def the_counts_add_up_to_the_selected_nodes(self) -> None:
        for trust in CONTENTS:
            selected = sum(machine.selects(trust) for machine in self.machines.values())
            assert self.fleet.standing(trust, 10).selected == selected

    @invariant()
    def with_no_agent_at_all_nothing_is_called_distributed(self) -> None:
        if not self.agents.live:
            assert {self.distributed(trust)["reason"] for trust in CONTENTS} == {Reason.NO_AGENTS}

    @invariant()
    def a_status_is_written_whenever_there_is_something_new_to_say(self) -> None:
        """What nobody touched is not written: `kubectl` then shows what was true once."""
        for trust in self.touched():
            self.shown[trust] = self.distributed(trust)["reason"]
        for trust in CONTENTS:
            assert self.shown[trust] == self.distributed(trust)["reason"], f"nobody touched {trust}"

    # in short

    def touch(self, trusts: set[str]) -> None:
        self.reconciler._statuses.touch(trusts)

    def touched(self) -> set[str]:
        statuses = self.reconciler._statuses
        touched = statuses._touched | statuses._pace.asked
        statuses._touched, statuses._pace.asked = set(), set()
        return touched

    def tick(self) -> int:
        self.version += 1
        return self.version

    def change(self, name: str, how: Callable[[Machine], None]) -> None:
        if name in self.machines:
            how(self.machines[name])
            self.tell_node(name)

    def tell_node(self, name: str) -> None:
        machine = self.machines[name]
        self.cluster.nodes.put(name, self.tick(), FleetNode(name, machine.uid, LABELS[machine.zone], machine.ready))
        self.reconciler.take_nodes({name})

    def apply(self, name: str, place: int, *, fails: bool) -> None:
        machine = self.machines.get(name)
        if machine is None or not machine.agent or not machine.ready:
            return
        bundle = self.history[place]
        wanted = {trust: bundle.content[trust] for trust in CONTENTS if machine.selects(trust)}
        machine.disk = {} if fails else dict(wanted)
        machine.had |= set() if fails else set(wanted.items())
        machine.unheard = True
        rows = tuple(
            RegistryRow(CONTENTS[trust].registries[0], RowState.FAILED, problem=Problem(Reason.WRITE_FAILED, ""))
            for trust in wanted
            if fails
        )
        report = NodeReport("1", "", bundle.uid, bundle.serial, HASHES[machine.zone], (), rows, len(wanted), len(rows))
        machine.last = self.tick()
        machine.said = OwnedReport(machine.uid, report)
        self.mail.append((name, machine.last, machine.said))

    def served(self) -> list[Served]:
        return [Served(trust, since, CONTENTS[trust]) for trust, since in self.since.items()]

    def write(self) -> None:
        self.history.append(Written(self.uid, self.serial, dict(self.since), dict(self.content)))
        self.publish()

    def publish(self) -> None:
        self.touch(self.fleet.set_newest(self.serial))
        self.touch(self.fleet.set_trusts(self.served()))

    def distributed(self, trust: str) -> dict[str, str]:
        standing = self.fleet.standing(trust, 10)
        key = (trust, *standing.counts.values(), standing.agents, standing.daemon_set)
        if key not in VERDICTS:
            VERDICTS[key] = self.verdict(trust, standing)
        return VERDICTS[key]

    def verdict(self, trust: str, standing: Standing) -> dict[str, str]:
        outcome = Outcome(trust, "uid", 1, (), (), (), CONTENTS[trust], self.since[trust], CONTENTS[trust].registries)
        conditions = make_status(outcome, standing, NOW, {})["conditions"]
        found: dict[str, str] = next(each for each in conditions if each["type"] == "Distributed")
        return found
