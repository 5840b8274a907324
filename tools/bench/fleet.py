"""A fleet on one machine: what a start, a rotation and a quiet minute cost API server, operator and agents.

The API server, the operator and the code of the agents are the real ones, and each node has its own token, Node and
root. What is simulated: everything shares the cores and the disk of one machine, many agents share a process, and
there are no kubelets. Command line: `python -m tools.bench.fleet --nodes 100,1000 --output json`.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import selectors
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from tools.authority import Authority
from tools.bench.floor import Client, durable_write
from tools.cluster.control_plane import ControlPlane
from tools.cluster.processes import Process, start
from tools.installation import DAEMON_SET, NAMESPACE, REPOSITORY, TRUST_NAMESPACE, Installation

REGISTRY = "fleet.example:5000"
CROWD = 100
"""Agents in a process: select(2) takes 1,024 descriptors, and an agent has seven."""

_TICK = os.sysconf("SC_CLK_TCK")

T = TypeVar("T")


@dataclass(frozen=True)
class Work:
    """Seconds of the processor."""

    api_server: float
    operator: float
    agents: float


@dataclass(frozen=True)
class Rotation:
    """One PATCH of the source: seconds to the files of the first, the middle and the last node, and to the status."""

    first: float
    middle: float
    last: float
    distributed: float
    connections: int
    """Connections to the API server that the agents opened for it."""
    reports: int
    """Requests for reports."""
    work: Work


@dataclass(frozen=True)
class Figures:
    """One fleet; seconds and MiB."""

    nodes: int
    start: float
    """From the first agent's start to the last node's files."""
    reported: float
    """From the first agent's start to `Distributed=True`."""
    rotations: tuple[Rotation, ...]
    quiet_minute: Work
    memory: dict[str, float]
    """Resident: `API server before` (with every Node, without agents), `API server`, `operator`."""
    floor: dict[str, float]
    """Without registry-trust: the last of as many watchers has an event; as many durable writes, one after another."""
    load: float
    """Other work on the machine: its load (one minute) before this began."""


class Fleet:
    """A control plane with so many nodes; `crowds` are the processes of their agents."""

    def __init__(self, plane: ControlPlane, nodes: int) -> None:
        self.plane = plane
        self.installation = Installation(plane)
        self.admin = Client(plane)
        self.names = [f"node-{number:04d}" for number in range(nodes)]
        self.folder = plane.run.subfolder("fleet")
        self.crowds: list[Process] = []
        self.authority = Authority.create("fleet CA")
        self._pairs = [self.authority.client(f"client-{number}") for number in range(2)]
        self._patches = 0

    def prepare(self) -> None:
        """Install the product, and make every Node, token and root."""
        self.installation.install()
        for name in self.names:
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"pool": "fleet"}}}
            uid = self.admin.request("POST", "/api/v1/nodes", node)["metadata"]["uid"]
            bound = {"kind": "Node", "apiVersion": "v1", "name": name, "uid": uid}
            asked = {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"audiences": [], "expirationSeconds": 7200, "boundObjectRef": bound},
            }
            path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/registry-trust-agent/token"
            (self.folder / f"{name}.token").write_text(self.admin.request("POST", path, asked)["status"]["token"])
            (self.folder / name).mkdir()
        self.installation.secret("fleet", self._data())
        self.installation.trust(
            "fleet",
            registries=[REGISTRY],
            caCertificates=[{"secretKeyRef": {"name": "fleet", "key": "ca.crt"}}],
            clientCertificates=[{"secretRef": {"name": "fleet"}}],
        )
        count = len(self.names)
        counts = {"currentNumberScheduled": count, "desiredNumberScheduled": count, "numberMisscheduled": 0}
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/{DAEMON_SET}/status"
        self.admin.request("PATCH", path, {"status": {**counts, "numberReady": count}})

    def start_agents(self) -> None:
        """Start all agents at once."""
        for begin in range(0, len(self.names), CROWD):
            self.crowds.append(self.start_crowd(self.names[begin : begin + CROWD], self.plane.url))

    def start_crowd(self, names: Sequence[str], url: str) -> Process:
        """Start a process with the agents of these nodes, which reach the API server at a URL."""
        command = [sys.executable, "-m", "tools.bench.crowd", url, str(self.plane.ca_file), NAMESPACE]
        environment = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'operator'}"}
        command += [str(self.folder), *names]
        return start(self.plane.run, f"crowd-{names[0]}", command, environment=environment)

    def content(self) -> dict[str, bytes]:
        """Return the files that every node is to have, by name."""
        data = self._data()
        return {"ca.crt": data["ca.crt"], "client.cert": data["tls.crt"], "client.key": data["tls.key"]}

    def stop(self) -> None:
        """End the agents and the operator."""
        for each in self.crowds:
            each.kill()
        self.admin.close()
        self.installation.stop()

    def rotate(self) -> float:
        """PATCH the source with the other pair; return the wall clock's time before."""
        self._patches += 1
        data = {key: base64.b64encode(value).decode() for key, value in self._data().items()}
        began = time.time()
        self.admin.request("PATCH", f"/api/v1/namespaces/{TRUST_NAMESPACE}/secrets/fleet", {"data": data})
        return began

    def links(self) -> dict[str, str]:
        """Return what each node's entry points to; empty where there is none."""
        entries = {name: self.folder / name / REGISTRY for name in self.names}
        return {name: str(entry.readlink()) if entry.is_symlink() else "" for name, entry in entries.items()}

    def has_files(self) -> bool | None:
        """Say whether every node has its files, while the agents run."""
        for each in self.crowds:
            each.check()
        return all(self.links().values()) or None

    def switched(self) -> list[float]:
        """Return the wall clock's times at which the entries were made, in order."""
        return sorted((self.folder / name / REGISTRY).lstat().st_mtime for name in self.names)

    def is_distributed(self, revision: str) -> str:
        """Return the trust's revision once it is another one and every node has it; else nothing."""
        path = "/apis/registrytrust.io/v1alpha1/registrytrusts/fleet"
        status = self.admin.request("GET", path).get("status", {})
        conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
        everybody = status.get("nodes", {}).get("current") == len(self.names)
        found = str(status.get("revision", ""))
        return found if found != revision and everybody and conditions.get("Distributed") == "True" else ""

    def connections(self) -> set[int]:
        """Return the ports from which connections to the API server are open."""
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        wanted = f"0100007F:{self.plane.port:04X}"
        return {int(row[1].partition(":")[2], 16) for row in rows if row[2] == wanted and row[3] == "01"}

    def reports(self) -> int:
        """Return how many requests for reports the API server has answered."""
        ours = [
            line
            for line in self.plane.kubectl("get", "--raw", "/metrics").splitlines()
            if line.startswith("apiserver_request_total{") and '"nodetrusts"' in line and "LIST" not in line
        ]
        return sum(int(line.rpartition(" ")[2]) for line in ours if 'verb="WATCH"' not in line)

    def work(self) -> Work:
        """Return the processor's seconds so far."""
        operator = self.installation.operator
        return Work(
            _seconds([self.plane.processes["kube-apiserver"].pid]),
            _seconds([] if operator is None else [operator.pid]),
            _seconds([each.pid for each in self.crowds]),
        )

    def memory(self, what: str) -> float:
        """Return the resident MiB of the API server or the operator."""
        operator = self.installation.operator
        pid = operator.pid if what == "operator" and operator else self.plane.processes["kube-apiserver"].pid
        return round(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)

    def _data(self) -> dict[str, bytes]:
        pair = self._pairs[self._patches % 2]
        return {"ca.crt": self.authority.pem, "tls.crt": pair.certificate, "tls.key": pair.key}


def measure(nodes: int, rotations: int, quiet: float) -> Figures:
    """Measure one fleet on a control plane of its own."""
    load = os.getloadavg()[0]
    with _fleet(nodes) as fleet:
        fleet.prepare()
        floor = {
            "fan-out": _fan_out(fleet.plane, nodes),
            "durable writes": sum(durable_write(fleet.plane.run.subfolder("floor"), nodes)),
        }
        memory = {"API server before": fleet.memory("API server")}
        fleet.installation.start_operator()
        _until(lambda: fleet.installation.readiness() == "ok\n" or None, "the operator is ready", 120)
        began = time.time()
        fleet.start_agents()
        _until(fleet.has_files, "every node has its files", 600)
        started = fleet.switched()[-1] - began
        revision = _until(lambda: fleet.is_distributed(""), "every node has reported", 600)
        reported = time.time() - began
        time.sleep(10)
        turned = []
        for _ in range(rotations):
            turned.append(_rotation(fleet, revision))
            revision = fleet.is_distributed("")
            time.sleep(5)
        time.sleep(65 if quiet else 0)  # until the superseded files are gone
        before = fleet.work()
        time.sleep(quiet)
        minute = _scaled(_difference(before, fleet.work()), 60 / quiet if quiet else 0)
        memory |= {what: fleet.memory(what) for what in ("API server", "operator")}
        return Figures(nodes, started, reported, tuple(turned), minute, memory, floor, load)


def _rotation(fleet: Fleet, revision: str) -> Rotation:
    links, opened, reports, work = fleet.links(), fleet.connections(), fleet.reports(), fleet.work()
    began = fleet.rotate()
    ended = 0.0

    def distributed() -> str:
        return fleet.is_distributed(revision)

    _until(distributed, "every node has reported the rotation", 600)
    ended = time.time() - began
    assert all(new != links[name] for name, new in fleet.links().items()), "a node reported without its files"
    times = [each - began for each in fleet.switched()]
    asked = fleet.reports() - reports
    return Rotation(
        times[0],
        times[len(times) // 2],
        times[-1],
        ended,
        len(fleet.connections() - opened),
        asked,
        _difference(work, fleet.work()),
    )


@contextmanager
def _fleet(nodes: int) -> Iterator[Fleet]:
    with ExitStack() as stack:
        fleet = Fleet(stack.enter_context(ControlPlane()), nodes)
        stack.callback(fleet.stop)
        yield fleet


def _fan_out(plane: ControlPlane, watchers: int) -> float:
    """Return seconds from a PATCH to its event at the last of so many bare watchers."""
    path = "/api/v1/namespaces/default/configmaps"
    admin = Client(plane)
    version = admin.request("POST", path, {"metadata": {"name": "fan-out"}})["metadata"]["resourceVersion"]
    query = f"watch=1&fieldSelector=metadata.name%3Dfan-out&resourceVersion={version}"
    clients = [Client(plane) for _ in range(watchers)]
    with selectors.DefaultSelector() as waiting:
        for client in clients:
            waiting.register(client.stream(f"{path}?{query}").fileno(), selectors.EVENT_READ)
        began = time.perf_counter()
        admin.request("PATCH", f"{path}/fan-out", {"data": {"a": "b" * 4000}})
        while waiting.get_map():
            for key, _ in waiting.select(60):
                waiting.unregister(key.fd)
        ended = time.perf_counter()
    for client in clients:
        client.close()
    return ended - began


def _until(check: Callable[[], T | None], what: str, within: float) -> T:
    deadline = time.monotonic() + within
    while not (found := check()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {within:g} s: {what}")
        time.sleep(0.1)
    return found


def _seconds(pids: Sequence[int]) -> float:
    rows = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(row[11]) + int(row[12]) for row in rows) / _TICK


def _difference(before: Work, after: Work) -> Work:
    return Work(after.api_server - before.api_server, after.operator - before.operator, after.agents - before.agents)


def _scaled(work: Work, factor: float) -> Work:
    return Work(work.api_server * factor, work.operator * factor, work.agents * factor)


def main() -> None:
    """Measure fleets, and print JSON or a table for docs/sizing.md."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.fleet", description=__doc__)
    parser.add_argument("--nodes", default="100,1000", help="sizes of fleets, separated by commas")
    parser.add_argument("--rotations", type=int, default=3)
    parser.add_argument("--quiet", type=float, default=60.0, help="seconds without any change, after the last rotation")
    options = parser.parse_args()
    figures = [asdict(measure(int(nodes), options.rotations, options.quiet)) for nodes in options.nodes.split(",")]
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
