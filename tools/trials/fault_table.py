"""The fault table: groups of real agents, each behind a faulty way of its own to one real API server and operator.

All faults begin together, the source is rotated meanwhile, and all are mended together: the same law holds for each.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tools.bench.fleet import REGISTRY, Fleet
from tools.cluster.control_plane import ControlPlane
from tools.cluster.processes import Process
from tools.cluster.waiting import wait_until
from tools.trials.faulty_server import Fault, FaultyServer, How, answer, faulty

MEND = 90.0
"""Seconds from the mend within which every node has the files and has reported."""

BURST = 16
"""Requests beyond one a second of an agent. It asks in four threads (two watches, the Node, the report), and each may
ask four times within its first five seconds of failures: an answer may be lost once, and then soon comes."""

_REPORTS = "/apis/registrytrust.io/v1alpha1/nodetrusts"


@dataclass(frozen=True)
class Row:
    """One fault, and how agents meet it."""

    name: str
    fault: Fault | None = None
    cuts: bool = True
    """Open connections end when it begins."""
    token: bool = False
    """The token's file holds one that the API server refuses (401), as an expired one."""
    dns: bool = False
    """No name has an address."""
    starts: bool = False
    """The agents start while it lasts."""
    passes: bool = False
    """A change may reach nodes all the same."""

    @property
    def meets(self) -> bool:
        """Say whether agents meet it again and again where it can be counted: nobody sees a refused connection."""
        return not (self.passes or self.dns or (self.fault and self.fault.how in (How.REFUSES, How.HOLDS)))


def _status(code: int, reason: str, message: str) -> bytes:
    return json.dumps(
        {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    ).encode()


GONE = _status(410, "Expired", "too old resource version: 1 (2)")
HTML = b"<html><body><h1>Sign in to the network</h1></body></html>"

ROWS = (
    Row("no fault", passes=True),
    Row("the API server is away", Fault(How.REFUSES)),
    Row("the API server is away while agents start", Fault(How.REFUSES), starts=True),
    Row("connections are reset before TLS", Fault(How.RESETS)),
    Row("410 in every watch, as after a compaction", Fault(How.ENDS, b'{"type":"ERROR","object":%s}\n' % GONE)),
    Row("410 as the answer", Fault(How.ANSWERS, answer("410 Gone", GONE))),
    Row("watches stall", Fault(How.HOLDS), cuts=False),
    Row("packets of open connections are dropped", Fault(How.FORGETS), cuts=False, passes=True),
    Row("a proxy swallows open connections", Fault(How.SWALLOWS), cuts=False, passes=True),
    Row(
        "429 with Retry-After: 1",
        Fault(
            How.ANSWERS,
            answer("429 Too Many Requests", _status(429, "TooManyRequests", "later"), headers="Retry-After: 1\r\n"),
        ),
    ),
    Row(
        "503 with Retry-After: 1",
        Fault(
            How.ANSWERS,
            answer("503 Service Unavailable", b"no healthy upstream", kind="text/plain", headers="Retry-After: 1\r\n"),
        ),
    ),
    Row(
        "three requests in ten fail with 500",
        Fault(How.ANSWERS, answer("500 Internal Server Error", _status(500, "InternalError", "etcd")), share=0.3),
        passes=True,
    ),
    Row("every answer is cut in half", Fault(How.CUTS)),
    Row("a page of HTML is the answer to everything", Fault(How.ANSWERS, answer("200 OK", HTML, kind="text/html"))),
    Row("the token has expired (401)", token=True),
    Row("no name has an address", dns=True),
)


@dataclass
class Outcome:
    """What became of one row."""

    changed: list[str] = field(default_factory=list)
    """Nodes on which anything that a runtime reads changed while the fault lasted."""
    restarts: list[str] = field(default_factory=list)
    """Processes and threads that ended, and whatever an agent logged as an error."""
    asked: Counter[str] = field(default_factory=Counter)
    """Requests of each agent while the fault lasted; connections where nobody knows whose they are, by row."""
    met: int = 0
    """Requests and connections that the fault met."""
    lasted: float = 0.0
    converged: float | None = None
    """Seconds from the mend until every node had the files and had reported; None if that took too long."""
    state: Any = None
    """What every node has and reports at the end, without names and serials."""

    def broken_laws(self, agents: int, expected: Any) -> list[str]:
        """Return what should not have happened, a sentence for each.

        Args:
            agents: how many the row has.
            expected: the final state of a row without a fault.
        """
        named = [number for node, number in self.asked.items() if node]
        busiest = max([*named, self.asked[""] / agents])
        laws = {
            f"files changed on {', '.join(self.changed)}": not self.changed,
            f"ended or failed: {self.restarts}": not self.restarts,
            f"an agent asked {busiest:.0f} times in {self.lasted:.0f} s": busiest <= self.lasted + BURST,
            f"not whole {MEND:g} s after the mend": self.converged is not None,
            f"another final state: {self.state}": self.state == expected,
        }
        return [broken for broken, kept in laws.items() if not kept]


class FaultTable:
    """The rows with so many agents each; usable as a context manager."""

    def __init__(self, plane: ControlPlane, rows: Sequence[Row], agents: int) -> None:
        self._rows = rows
        self.agents = agents
        self.fleet = Fleet(plane, len(rows) * agents)
        self._stack = ExitStack()
        self.ways: dict[str, FaultyServer] = {}
        self.crowds: dict[str, Process] = {}

    def __enter__(self) -> Self:
        """Install everything, and wait until every node has its files and the trust says so."""
        with ExitStack() as stack:
            stack.callback(self.fleet.stop)
            self.fleet.prepare()
            self.fleet.installation.start_operator()
            for row in self._rows:
                self.ways[row.name] = stack.enter_context(faulty(self.fleet.plane))
                self._start(row)
            stack.callback(self._end)
            wait_until(lambda: self.fleet.is_distributed(""), "every node has its files", within=120, every=0.2)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, *, meets: int, lasts: float) -> dict[str, Outcome]:
        """Let every fault happen once; return what became of each row, by its name.

        Args:
            meets: how often each fault that can be seen has to be met.
            lasts: seconds that the faults last, at least.
        """
        serial = self._serial()
        for row in self._rows:
            self._begin(row)
        began = time.monotonic()
        before = {row.name: self._read(row) for row in self._rows}
        threads = {name: _threads(crowd) for name, crowd in self.crowds.items()}
        self.fleet.rotate()
        whole = [row for row in self._rows if row.passes and row.fault is None]

        def lasted() -> bool:
            seen = all(self._felt(row, began) >= meets for row in self._rows if row.meets)
            return seen and time.monotonic() - began >= lasts and all(self._has_all(row, serial) for row in whole)

        wait_until(lasted, "the change is where nothing is broken, and every fault was met", within=lasts + 120)
        outcomes = {row.name: self._judge(row, began, before[row.name], threads[row.name]) for row in self._rows}
        self._mend(outcomes, serial)
        for row in self._rows:
            outcome = outcomes[row.name]
            outcome.state = self._state(row)
            outcome.restarts += _ended(self.crowds[row.name], threads[row.name])
        return outcomes

    def _mend(self, outcomes: Mapping[str, Outcome], serial: int) -> None:
        for row in self._rows:
            self.set_broken(row.name, row, broken=False)
        mended = time.monotonic()

        def converged() -> bool:
            for row in self._rows:
                if outcomes[row.name].converged is None and self._has_all(row, serial):
                    outcomes[row.name].converged = time.monotonic() - mended
            done = all(outcome.converged is not None for outcome in outcomes.values())
            return done or time.monotonic() - mended > MEND

        wait_until(converged, "every row has converged, or has had its time", within=MEND + 10, every=0.2)

    def _start(self, row: Row) -> None:
        self.crowds[row.name] = self.fleet.start_crowd(self._nodes(row), self.ways[row.name].url)

    def _end(self) -> None:
        for crowd in self.crowds.values():
            crowd.kill()

    def restart(self, name: str) -> None:
        """Kill the agents of a row, and start them again."""
        self.crowds[name].kill()
        self._start(self._row(name))

    def _begin(self, row: Row) -> None:
        if row.starts:
            self.crowds[row.name].kill()
        self.set_broken(row.name, row, broken=True)
        if row.starts:
            self._start(row)
            crowd = self.crowds[row.name]
            least = 5 * self.agents
            wait_until(lambda: _threads(crowd) > least, "the agents have their threads", meanwhile=crowd.check)

    def set_broken(self, name: str, fault: Row, *, broken: bool) -> None:
        """Let a fault begin or end for the agents of the row with this name."""
        nodes = self._nodes(self._row(name))
        for node in nodes if fault.token else ():
            file = self.fleet.folder / f"{node}.token"
            head, dot, signature = file.read_text().rpartition(".")
            renewed = file.with_suffix(".new")
            renewed.write_text(f"{head}{dot}{signature[::-1]}")
            renewed.replace(file)  # as the kubelet does: never half of one
        if fault.dns:
            gone = self.fleet.folder / f"{nodes[0]}.no-dns"
            gone.touch() if broken else gone.unlink()
        if broken:
            self.ways[name].begin(fault.fault, cuts=fault.cuts)
        else:
            self.ways[name].mend()

    def _row(self, name: str) -> Row:
        return next(row for row in self._rows if row.name == name)

    def _nodes(self, row: Row) -> list[str]:
        first = self._rows.index(row) * self.agents
        return self.fleet.names[first : first + self.agents]

    def _felt(self, row: Row, began: float) -> int:
        way = self.ways[row.name]
        return way.met(began) if row.fault is not None else sum(each.at >= began for each in way.asked)

    def _read(self, row: Row) -> dict[str, Any]:
        """Return what runtimes can see of each node's files: bytes, inodes, times and modes."""
        return {node: _seen(self.fleet.folder / node) for node in self._nodes(row)}

    def _judge(self, row: Row, began: float, before: Mapping[str, Any], threads: int) -> Outcome:
        way, after = self.ways[row.name], self._read(row)
        outcome = Outcome(lasted=time.monotonic() - began, met=self._felt(row, began))
        outcome.changed = [node for node, seen in after.items() if seen != before[node] and not row.passes]
        outcome.restarts = _ended(self.crowds[row.name], threads)
        outcome.asked = Counter(each.node for each in list(way.asked) if each.at >= began)
        outcome.asked[""] += way.resets
        return outcome

    def _serial(self) -> int:
        return max(int(each["status"]["bundle"]["serial"]) for each in self._reports().values())

    def _reports(self) -> dict[str, Any]:
        return {each["metadata"]["name"]: each for each in self.fleet.admin.request("GET", _REPORTS)["items"]}

    def _has_all(self, row: Row, serial: int) -> bool:
        """Say whether each node of a row has the files of now, and has reported a bundle after this serial."""
        wanted = self.fleet.content()
        if any(_files(self.fleet.folder / node) != wanted for node in self._nodes(row)):
            return False
        reports = self._reports()
        return all(reports[node]["status"]["bundle"]["serial"] > serial for node in self._nodes(row))

    def _state(self, row: Row) -> Any:
        reports = self._reports()
        return [
            (
                sorted(_files(self.fleet.folder / node)),
                reports[node]["status"]["state"],
                [(each["name"], each["state"]) for each in reports[node]["status"]["registries"]],
                [(each["type"], each["status"]) for each in reports[node]["status"]["conditions"]],
                reports[node]["status"].get("notices", []),
            )
            for node in self._nodes(row)
        ]


def _files(root: Path) -> dict[str, bytes]:
    entry = root / REGISTRY
    try:
        return {file.name: file.read_bytes() for file in entry.iterdir()}
    except FileNotFoundError:
        return {}  # not yet there, or switched while it was read


def _seen(root: Path) -> Any:
    entry = root / REGISTRY
    files = {file.name: (file.read_bytes(), file.stat()) for file in entry.iterdir()}
    stamps = {name: (data, s.st_ino, s.st_mtime_ns, s.st_mode) for name, (data, s) in files.items()}
    return sorted(path.name for path in root.iterdir()), str(entry.readlink()), stamps


def _threads(crowd: Process) -> int:
    lines = Path(f"/proc/{crowd.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Threads:"))


def _ended(crowd: Process, threads: int) -> list[str]:
    """Return what ended in a crowd, and what its agents logged as an error."""
    if crowd.child.poll() is not None:
        return [f"{crowd.name} ended with status {crowd.child.returncode}: {crowd.last_words()}"]
    now = _threads(crowd)
    lost = [f"{crowd.name} had {threads} threads and has {now}"] if now != threads else []
    return [*lost, *crowd.log.read_text().splitlines()]
