"""A fleet on one machine: a control plane, the operator, and the real code of the agents, a hundred to a process.

Each node has its own token, Node and root. What is simulated: everything shares the cores and the disk of one machine,
many agents share a process, and there are no kubelets.
"""

from __future__ import annotations

import base64
import fcntl
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.authority import Authority
from tools.bench.floor import Client
from tools.cluster.control_plane import ControlPlane
from tools.cluster.folders import cache_folder
from tools.cluster.processes import Process, start
from tools.installation import DAEMON_SET, NAMESPACE, REPOSITORY, TRUST_NAMESPACE, Installation

REGISTRY = "fleet.example:5000"
CROWD = 100
"""Agents in a process: select(2) takes 1,024 descriptors, and an agent has seven."""

YIELDING = 10
"""The niceness of a fleet's agents."""

_TICK = os.sysconf("SC_CLK_TCK")

_LIMITS = {
    # An agent has an inotify instance and six threads of its own; on a node it has the whole limit to itself.
    "/proc/sys/fs/inotify/max_user_instances": 8192,
    "/proc/sys/fs/inotify/max_user_watches": 1 << 20,
    "/proc/sys/kernel/pid_max": 1 << 17,
}


@contextmanager
def roomy() -> Iterator[None]:
    """Raise the limits that a fleet on one machine meets and a node does not, and put them back; root alone can.

    Raises:
        RuntimeError: another benchmark has raised them, and would put back what it found.
    """
    lock = cache_folder() / "fleet.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError("another benchmark of a fleet is running on this machine") from None
        with _raised_limits():
            yield


@contextmanager
def _raised_limits() -> Iterator[None]:
    before = {path: int(Path(path).read_text()) for path in _LIMITS}
    try:
        if os.geteuid() == 0:
            for path, wanted in _LIMITS.items():
                Path(path).write_text(str(max(wanted, before[path])))
        yield
    finally:
        if os.geteuid() == 0:
            for path, value in before.items():
                Path(path).write_text(str(value))


@dataclass(frozen=True)
class Work:
    """Seconds of the processor."""

    api_server: float
    operator: float
    agents: float

    def since(self, before: Work) -> Work:
        """Return what came since then."""
        return Work(self.api_server - before.api_server, self.operator - before.operator, self.agents - before.agents)


@dataclass(frozen=True)
class Answered:
    """The API server's own count of requests, by the line of the metric with all its labels."""

    rows: tuple[tuple[str, int], ...]

    def of(self, **labels: str) -> int:
        """Return how many requests have these labels."""
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        return sum(count for line, count in self.rows if all(label in line for label in wanted))


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
        self.restarts = 0
        """How often the operator had ended, as one does that could not renew its Lease in time."""

    def keep_operator(self) -> None:
        """Start the operator again if it has ended, as a kubelet does."""
        operator = self.installation.operator
        if operator is not None and operator.child.poll() is not None:
            self.restarts += 1
            self.installation.start_operator()

    def prepare(self) -> None:
        """Install the product, and make every Node, token and root."""
        self.installation.install()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._add_nodes, (self.names[begin::4] for begin in range(4))))
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

    def _add_nodes(self, names: Sequence[str]) -> None:
        admin = Client(self.plane)
        for name in names:
            # With a runtime: an agent asks every 15 seconds for one that no kubelet has reported.
            status = {"nodeInfo": {"containerRuntimeVersion": "docker://29.0.0", "osImage": "none"}}
            metadata = {"name": name, "labels": {"pool": "fleet"}}
            node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status}
            uid = admin.request("POST", "/api/v1/nodes", node)["metadata"]["uid"]
            bound = {"kind": "Node", "apiVersion": "v1", "name": name, "uid": uid}
            asked = {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"audiences": [], "expirationSeconds": 7200, "boundObjectRef": bound},
            }
            path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/registry-trust-agent/token"
            (self.folder / f"{name}.token").write_text(admin.request("POST", path, asked)["status"]["token"])
            (self.folder / name).mkdir()
        admin.close()

    def start_agents(self) -> None:
        """Start all agents at once.

        They come after the API server and the operator where the CPU is short: on a node they would have its own.
        """
        for begin in range(0, len(self.names), CROWD):
            crowd = self.start_crowd(self.names[begin : begin + CROWD], self.plane.url)
            for thread in Path(f"/proc/{crowd.pid}/task").iterdir():
                os.setpriority(os.PRIO_PROCESS, int(thread.name), YIELDING)
            self.crowds.append(crowd)

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
        self.keep_operator()
        for each in self.crowds:
            each.check()
        return all(self.links().values()) or None

    def switched(self) -> list[float]:
        """Return the wall clock's times at which the entries were made, in order."""
        return sorted((self.folder / name / REGISTRY).lstat().st_mtime for name in self.names)

    def is_distributed(self, revision: str) -> str:
        """Return the trust's revision once it is another one and every node has it; else nothing."""
        self.keep_operator()
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

    def answered(self) -> Answered:
        """Return how many requests the API server has answered, by its own count."""
        rows = (
            line for line in self.admin.text("/metrics").splitlines() if line.startswith("apiserver_request_total{")
        )
        return Answered(tuple((line, int(float(line.rpartition(" ")[2]))) for line in rows))

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


def _seconds(pids: Sequence[int]) -> float:
    rows = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(row[11]) + int(row[12]) for row in rows) / _TICK
