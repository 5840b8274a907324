"""Fleets: what a start, rotations, a quiet minute and a restart of the operator cost with so many nodes."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tools.bench.figures import GaveUp, Part
from tools.bench.fleet import Fleet, Work, roomy
from tools.bench.floor import durable_write, fan_out, raw_writes
from tools.cluster.control_plane import ControlPlane

SHARED_CPU = "all nodes share the cores of one machine"
SHARED_DISK = "all nodes share the cores and the disk of one machine"
QUIET = 60.0
ROTATIONS = 3


@dataclass(frozen=True)
class Floor:
    """Seconds without registry-trust for as many nodes: bare watchers, files one after another, raw PATCHes."""

    connected: float
    fan_out: float
    files: float
    writes: float


@dataclass(frozen=True)
class Counted:
    """What the API server has counted so far."""

    reports: int
    reads: int
    statuses: int
    bundles: int
    refused: int
    lists: int
    """Of Secrets and of Nodes."""

    def since(self, before: Counted) -> Counted:
        """Return what came since then."""
        return Counted(
            self.reports - before.reports,
            self.reads - before.reads,
            self.statuses - before.statuses,
            self.bundles - before.bundles,
            self.refused - before.refused,
            self.lists - before.lists,
        )


@dataclass(frozen=True)
class Rotation:
    """One PATCH of the source: seconds to the files of the first, the middle and the last node, and to the status."""

    first: float
    middle: float
    last: float
    distributed: float
    connections: int
    counted: Counted
    work: Work
    operator_stayed: bool
    """No other process took the operator's place meanwhile, whose work would be another's."""


def measure(part: Part) -> None:
    """Measure a fleet of `part.nodes` on a control plane of its own.

    Raises:
        GaveUp: something took too long; what was found until then is in the part.
    """
    nodes = part.nodes
    with ExitStack() as stack:
        stack.enter_context(roomy())
        fleet = Fleet(stack.enter_context(ControlPlane()), nodes)
        stack.callback(fleet.stop)
        part.say(f"making {nodes} nodes with a token each")
        fleet.prepare()
        part.say("the floor")
        connected, reached = fan_out(fleet.plane, nodes)
        files = sum(durable_write(fleet.plane.run.subfolder("floor"), nodes))
        floor = Floor(connected, reached, files, raw_writes(fleet.plane, nodes))
        before = fleet.memory("API server")
        fleet.installation.start_operator()
        part.until(lambda: fleet.installation.readiness() == "ok\n" or None, "the operator is ready", 120)
        _start(part, fleet, floor)
        part.rest(10)
        _rotations(part, fleet, floor)
        lost = "an operator that can't renew its Lease for 10 s ends; here it was short of CPU"
        part.add("operator, ended and started again", "", fleet.restarts, goal=0, remark=lost if fleet.restarts else "")
        part.add("API server, memory for each node", "MiB", (fleet.memory("API server") - before) / nodes)
        part.add("operator, memory", "MiB", fleet.memory("operator"), goal=150)
        _agents_memory(part, fleet)
        _quiet_minute(part, fleet)
        _restart(part, fleet)


def _start(part: Part, fleet: Fleet, floor: Floor) -> None:
    """Start every agent at once."""
    counted = _counted(fleet)
    began = time.time()
    fleet.start_agents()
    part.until(fleet.has_files, "every node has its files", 900)
    started = fleet.switched()[-1] - began
    part.add(
        "start of all agents to the last node's files",
        "s",
        started,
        floor=floor.connected,
        goal=60 + floor.connected,
        remark=f"floor: as many bare watchers connect, from one process; {SHARED_CPU}",
    )
    part.until(lambda: fleet.is_distributed(""), "every node has reported", 900)
    part.add("start of all agents to Distributed=True", "s", time.time() - began, remark=SHARED_CPU)
    asked = _counted(fleet).since(counted)
    part.add(
        "LISTs of Secrets and Nodes during the start",
        "",
        asked.lists,
        remark="all are the operator's, as agents may not list",
    )
    remark = "of about four requests of each agent; each is asked again after a pause that grows"
    part.add("answers of 429 during the start, for each node", "", asked.refused / part.nodes, remark=remark)


def _rotations(part: Part, fleet: Fleet, floor: Floor) -> None:
    nodes = part.nodes
    done: list[Rotation] = []
    for number in range(ROTATIONS):
        done.append(_rotation(part, fleet))
        part.say(f"rotation {number + 1}: {done[-1]}")
        part.rest(5)
    raw = floor.fan_out + floor.files
    part.add("PATCH to the first node's files", "s", median([each.first for each in done]))
    part.add("PATCH to the middle node's files", "s", median([each.middle for each in done]), remark=SHARED_DISK)
    remark = f"floor: an event at as many bare watchers, and as many writes of the same files; {SHARED_DISK}"
    last = median([each.last for each in done])
    part.add("PATCH to the last node's files", "s", last, floor=raw, goal_ratio=3, remark=remark)
    part.add(
        "PATCH to Distributed=True",
        "s",
        median([each.distributed for each in done]),
        floor=raw + floor.writes,
        goal=60,
        remark="floor: and as many raw PATCHes over kept connections",
    )
    per = [each.counted for each in done]
    part.add(
        "requests for each node and rotation", "", median([each.reports + each.reads for each in per]) / nodes, goal=2
    )
    part.add("new connections for a rotation, all nodes", "", max(each.connections for each in done), goal=0)
    part.add("answers of 429 in a rotation", "", max(each.refused for each in per), goal=0)
    part.add("operator's writes for a rotation", "", max(each.statuses + each.bundles for each in per))
    api_server, agents = (median([getattr(each.work, name) for each in done]) for name in ("api_server", "agents"))
    operator = [each.work.operator * 100_000 / nodes for each in done if each.operator_stayed]
    part.add("API server, CPU for each node and rotation", "ms", api_server * 1000 / nodes)
    part.add(
        "operator, CPU for each 100 nodes and rotation",
        "ms",
        median(operator) if operator else None,
        goal=15,
        remark="" if operator else "it ended in every rotation, short of CPU",
    )
    remark = "simulated: a hundred share a process and its interpreter lock, and all of them two cores"
    part.add("agent, CPU for a rotation", "ms", agents * 1000 / nodes, remark=remark)


def _rotation(part: Part, fleet: Fleet) -> Rotation:
    """Make a rotation, and wait until the status says that every node has it."""
    revision = fleet.is_distributed("")
    links, known = fleet.links(), fleet.connections()
    counted, work, restarts = _counted(fleet), fleet.work(), fleet.restarts
    opened: set[int] = set()
    looked = 0.0
    began = fleet.rotate()

    def distributed() -> str:
        nonlocal looked
        if time.monotonic() - looked > 1.0:
            opened.update(fleet.connections() - known)
            looked = time.monotonic()
        return fleet.is_distributed(revision)

    part.until(distributed, "every node has reported the rotation", 600)
    ended = time.time() - began
    opened.update(fleet.connections() - known)
    if any(new == links[name] for name, new in fleet.links().items()):
        raise GaveUp("a node reported without its new files")
    times = [each - began for each in fleet.switched()]
    return Rotation(
        times[0],
        times[len(times) // 2],
        times[-1],
        ended,
        len(opened),
        _counted(fleet).since(counted),
        fleet.work().since(work),
        fleet.restarts == restarts,
    )


def _agents_memory(part: Part, fleet: Fleet) -> None:
    size = os.sysconf("SC_PAGE_SIZE") / 2**20
    pages = [int(Path(f"/proc/{each.pid}/statm").read_text().split()[1]) for each in fleet.crowds]
    part.add(
        "agents, memory each", "MiB", sum(pages) * size / part.nodes, remark="simulated: a hundred share a process"
    )


def _quiet_minute(part: Part, fleet: Fleet) -> None:
    """Measure a minute in which nothing changes, after the superseded files are gone."""
    part.rest(65)
    before = fleet.work()
    part.rest(QUIET)
    idle = fleet.work().since(before)
    part.add("API server, CPU of an idle minute for each node", "ms", idle.api_server * 1000 / part.nodes)
    part.add("operator, CPU of an idle minute", "ms", idle.operator * 1000)
    part.add("agent, CPU of an idle minute", "ms", idle.agents * 1000 / part.nodes, goal=5, remark=SHARED_CPU)


def _restart(part: Part, fleet: Fleet) -> None:
    """End the operator and start it again: nothing changed, so it has nothing to write."""
    installation = fleet.installation
    if installation.operator is None:
        return
    installation.operator.stop()
    counted = _counted(fleet)
    began = time.monotonic()
    installation.start_operator("--no-leader-election")
    part.until(lambda: installation.readiness() == "ok\n" or None, "the operator is ready again", 240)
    part.add("operator, start to ready with a report of every node", "s", time.monotonic() - began, goal=30)
    part.rest(15)
    wrote = _counted(fleet).since(counted)
    part.add("writes of an operator that starts again", "", wrote.statuses + wrote.bundles, goal=0)


def _counted(fleet: Fleet) -> Counted:
    answered = fleet.answered()
    reports = answered.of(resource="nodetrusts") - answered.of(resource="nodetrusts", verb="WATCH")
    return Counted(
        reports=reports - answered.of(resource="nodetrusts", verb="LIST"),
        reads=answered.of(resource="nodes", verb="GET"),
        statuses=sum(answered.of(resource="registrytrusts", verb=verb) for verb in ("APPLY", "PATCH", "PUT")),
        bundles=answered.of(resource="secrets", verb="APPLY"),
        refused=answered.of(code="429"),
        lists=answered.of(resource="secrets", verb="LIST") + answered.of(resource="nodes", verb="LIST"),
    )
