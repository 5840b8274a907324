"""One node: from the PATCH of a source to the switched entry, and what an agent costs its node."""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.authority import Authority, Pair
from tools.bench.figures import GaveUp, Part
from tools.bench.floor import Client, durable_write, patch_to_event
from tools.cluster.control_plane import ControlPlane
from tools.installation import BUNDLE, NAMESPACE, TRUST_NAMESPACE, Installation, trust

BURST = 20
"""Rotations in a row: a superseded generation stays for a minute, and a node seldom has more of them."""

GRACE = 62.0
"""Seconds until superseded generations are gone."""

MANY = 1_000
UPDATES = 1_000
IN_TURN = 20
"""Registries that are rotated in turn, where many rotations follow each other."""

PADDING = 225_000
"""Bytes of CA certificates that fill a bundle up to 256 KB."""

_TICK = os.sysconf("SC_CLK_TCK")
_SECRETS = f"/api/v1/namespaces/{TRUST_NAMESPACE}/secrets"
_TRUSTS = "/apis/registrytrust.io/v1alpha1/registrytrusts"


class BundleEvents(threading.Thread):
    """A bare watcher of the bundle; `at` is when (`time.perf_counter`) its last event came."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__(daemon=True)
        self._client = Client(plane, patience=None)
        self.at = 0.0

    def run(self) -> None:
        """Follow until the connection ends."""
        path = f"/api/v1/namespaces/{NAMESPACE}/secrets?watch=1&fieldSelector=metadata.name%3D{BUNDLE}"
        with suppress(OSError, ValueError):
            stream = self._client.stream(path)
            while stream.readline():
                self.at = time.perf_counter()


class Node:
    """A control plane with an operator and one node; `agent` is its agent."""

    def __init__(self, part: Part, plane: ControlPlane) -> None:
        self._part = part
        self.installation = Installation(plane)
        self._admin = Client(plane)
        self._authority = Authority.create("bench CA")
        self._pairs = [self._authority.client(f"client-{number}") for number in range(2)]
        self._rotations = 0
        self._events = BundleEvents(plane)
        self.to_bundle: list[float] = []
        """Of each rotation so far: seconds from the PATCH to the bundle's event at a bare watcher."""

    def start(self) -> None:
        """Install, and start the operator and the agent."""
        self.installation.install()
        self.installation.add_node("bench")
        self.operator = self.installation.start_operator()
        self.agent = self.installation.start_agent("bench")
        self._events.start()

    def restart_agent(self) -> None:
        """Begin with a new process on the same files."""
        self.agent.process.stop()
        self.agent = self.installation.start_agent("bench")

    def stop(self) -> None:
        """End everything."""
        self._admin.close()
        self.installation.stop()

    def add(self, name: str, data: Mapping[str, bytes] | None = None) -> None:
        """Make a trust of one registry with a Secret of its own; by default with a client pair."""
        body = {"metadata": {"name": name}, "data": _encoded(data or self._data(self._pairs[0]))}
        self._admin.request("POST", _SECRETS, body)
        pair = {} if data else {"clientCertificates": [{"secretRef": {"name": name}}]}
        self.trust(name, name, **pair)

    def trust(self, name: str, secret: str, **more: object) -> None:
        """Make a trust of one registry whose CA is in a Secret."""
        source = {"secretKeyRef": {"name": secret, "key": "ca.crt"}}
        self._admin.request(
            "POST", _TRUSTS, trust(name, registries=[f"{name}.example"], caCertificates=[source], **more)
        )

    def settle(self, *names: str) -> None:
        """Wait until the entries of these trusts are there."""
        for name in names:
            entry = self.agent.root() / f"{name}.example"
            self._part.until(entry.is_symlink, f"the node has files for {name}", 120)

    def rotate(self, name: str) -> float:
        """Replace a trust's client pair; return the seconds from the PATCH to the switched entry."""
        entry = self.agent.root() / f"{name}.example"
        before = entry.readlink()
        self._rotations += 1
        data = _encoded(self._data(self._pairs[self._rotations % 2]))
        started = time.perf_counter()
        self._admin.request("PATCH", f"{_SECRETS}/{name}", {"data": data})
        while entry.readlink() == before:
            if time.perf_counter() > started + 30:
                raise GaveUp("nothing was switched for 30 s after a PATCH")
            time.sleep(0.0005)
        ended = time.perf_counter()
        self.to_bundle.append(max(0.0, self._events.at - started))
        return ended - started

    def work(self) -> tuple[float, float]:
        """Return the agent's milliseconds of CPU so far: in its own code, and in system calls."""
        row = Path(f"/proc/{self.agent.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(row[11]) * 1000 / _TICK, int(row[12]) * 1000 / _TICK

    def cost_of_rotations(self, name: str, count: int, pause: float) -> tuple[float, float]:
        """Return what one rotation costs the agent, in milliseconds as `work` has them."""
        before = self.work()
        for _ in range(count):
            self.rotate(name)
            self._part.rest(pause)
        return tuple((now - then) / count for then, now in zip(before, self.work(), strict=True))  # type: ignore[return-value]  # two of them

    def size_of_bundle(self) -> int:
        """Return the bytes of the bundle, as a Secret counts them."""
        data = self._admin.request("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/{BUNDLE}")["data"]
        return sum(len(key) + len(base64.b64decode(value)) for key, value in data.items())

    def _data(self, pair: Pair) -> dict[str, bytes]:
        return {"ca.crt": self._authority.pem, "tls.crt": pair.certificate, "tls.key": pair.key}


@contextmanager
def _node(part: Part) -> Iterator[tuple[ControlPlane, Node]]:
    with ControlPlane() as plane:
        node = Node(part, plane)
        try:
            node.start()
            node.add("bench")
            node.settle("bench")
            yield plane, node
        finally:
            node.stop()


def one_registry(part: Part) -> None:
    """Measure a node with one registry: delay, CPU and memory.

    Raises:
        GaveUp: something took too long; what was found until then is in the part.
    """
    with _node(part) as (plane, node):
        _delay(part, plane, node, 100)
        _memory(part, node, "agent, memory with one registry", None)
        own, system = node.cost_of_rotations("bench", BURST, 1.0)
        remark = "floor: its system calls"
        part.add("agent, CPU of one rotation, its own code", "ms", own, floor=system, goal=5, remark=remark)
        part.rest(GRACE)
        before = node.work()
        part.rest(120)
        idle = [(now - then) / 2 for then, now in zip(before, node.work(), strict=True)]
        remark = "own code and system calls, over two minutes"
        part.add("agent, CPU of an idle minute", "ms", sum(idle), goal=5, remark=remark)


def many_registries(part: Part) -> None:
    """Measure the rotation of one registry of a thousand, each with a trust of its own.

    Raises:
        GaveUp: as `one_registry`.
    """
    with _node(part) as (_, node):
        names = [f"many-{number:04d}" for number in range(MANY - 1)]
        for name in names:
            node.trust(name, "bench")
        node.settle(*names)
        part.say(f"{MANY} registries are on the node")
        node.add("among")
        node.settle("among")
        part.rest(GRACE)
        own, system = node.cost_of_rotations("among", BURST, 1.0)
        what = f"agent, CPU of one rotation among {MANY:,} registries, its own code"
        part.add(what, "ms", own, floor=system, goal=10, remark="floor: its system calls")
        part.rest(GRACE)
        before = node.work()
        part.rest(120)
        idle = [(now - then) / 2 for then, now in zip(before, node.work(), strict=True)]
        part.add(f"agent, CPU of an idle minute with {MANY:,} registries", "ms", sum(idle))
        _memory(part, node, f"agent, memory with {MANY:,} registries", None)


def many_updates(part: Part) -> None:
    """Measure the memory after a thousand rotations with a bundle of 256 KB.

    Raises:
        GaveUp: as `one_registry`.
    """
    with _node(part) as (_, node):
        names = [f"turn-{number}" for number in range(IN_TURN)]
        for name in names:
            node.add(name)
        for number in range(2):
            pem = b""
            while len(pem) < PADDING / 2:
                pem += Authority.create(f"padding {number} {len(pem)}").pem
            node.add(f"padding-{number}", {"ca.crt": pem})
            names.append(f"padding-{number}")
        node.settle(*names)
        node.restart_agent()
        for count in range(UPDATES):
            node.rotate(names[count % IN_TURN])
            if count % 100 == 99:
                part.say(f"{count + 1} updates")
        bundle = node.size_of_bundle() / 1000
        what = f"agent, memory after {UPDATES:,} updates with a bundle of 256 KB"
        _memory(part, node, what, 25, f"; the bundle has {bundle:.0f} KB")


def _delay(part: Part, plane: ControlPlane, node: Node, runs: int) -> None:
    """Measure product and floor in turns, so other work on the machine is in both."""
    floor: list[float] = []
    found: list[float] = []
    for burst in range(max(1, runs // BURST)):
        events = patch_to_event(plane, BURST, 4000, name=f"floor-{burst}")
        writes = durable_write(plane.run.subfolder(f"floor-{burst}"), BURST)
        floor += [event * 2 + write for event, write in zip(events, writes, strict=True)]
        for _ in range(BURST):
            found.append(node.rotate("bench"))
            part.rest(0.1)
        part.say(f"{len(found)} of {runs} rotations; now until their superseded files are gone")
        part.rest(GRACE)
    part.curves = {"from PATCH to entry, ms": _milliseconds(found), "floor, ms": _milliseconds(floor)}
    what = "PATCH of the source to the switched entry"
    remark = "floor: two hops through the API server, and one durable write of the same files"
    for name, share, goal in (("p50", 0.5, 2), ("p99", 0.99, 3)):
        high, low = (_percentile(values, share) * 1000 for values in (found, floor))
        part.add(f"{what}, {name}", "ms", high, floor=low, goal_ratio=goal, remark=remark)
    part.add(f"{what}, slowest of {len(found)}", "ms", max(found) * 1000, floor=max(floor) * 1000)
    agent = [whole - bundle for whole, bundle in zip(found, node.to_bundle[-len(found) :], strict=True)]
    for name, values in (("operator: PATCH to the bundle's event", node.to_bundle), ("agent: event to entry", agent)):
        part.add(f"of it, {name}, p50", "ms", _percentile(values, 0.5) * 1000)
        part.add(f"of it, {name}, slowest", "ms", max(values) * 1000)


def _memory(part: Part, node: Node, what: str, goal: float | None, remark: str = "") -> None:
    rows = Path(f"/proc/{node.agent.process.pid}/status").read_text().splitlines()
    found = {
        line.partition(":")[0]: int(line.split()[1]) / 1024 for line in rows if line.startswith(("VmRSS", "RssAnon"))
    }
    own = f"{found['RssAnon']:.1f} MiB of it anonymous, which can't be shared or dropped{remark}"
    part.add(what, "MiB", found["VmRSS"], goal=goal, remark=own)


def _encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


def _milliseconds(seconds: Sequence[float]) -> list[float]:
    return [each * 1000 for each in sorted(seconds)]


def _percentile(seconds: Sequence[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
