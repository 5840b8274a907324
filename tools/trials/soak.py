"""The soak: random rotations, relabels, kills and faults over many agents, while every node's files are checked."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.bench.fleet import REGISTRY
from tools.cluster.waiting import wait_until
from tools.trials.fault_table import MEND, ROWS, FaultTable, Row

RING = "ring.example:5000"
"""The registry of a trust for nodes with the label `ring=in`; nodes get and lose that label all the time."""

MOST = 20
"""Violations that are kept in words."""

_FAULTS = [row for row in ROWS if not (row.starts or (row.fault and row.fault.how.outlives_its_mend))]


@dataclass
class Report:
    """What a soak did and found."""

    seed: int
    seconds: float
    agents: int
    done: Counter[str] = field(default_factory=Counter)
    """How often each thing was done."""
    checks: int = 0
    """Looks at the files of one node."""
    violations: list[str] = field(default_factory=list)
    samples: list[dict[str, float]] = field(default_factory=list)
    """Of the agents' processes that were never killed and of the operator: MiB and descriptors, over time."""

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {**vars(self), "done": dict(self.done)}


class Soak:
    """Does things at random to the agents of a table; the first row's are never killed, so what they keep is seen."""

    def __init__(self, table: FaultTable, seed: int) -> None:
        self._table = table
        self._fleet = table.fleet
        self._chance = random.Random(seed)  # noqa: S311 - a sequence that can be played again
        self._report = Report(seed, 0.0, len(table.fleet.names))
        self._inside = dict.fromkeys(table.fleet.names, False)
        self._broken: dict[str, tuple[Row, float]] = {}
        self._present: set[str] = set()
        self._generations: list[dict[str, bytes]] = [self._fleet.content()]
        self._over = threading.Event()

    def run(self, seconds: float) -> Report:
        """Go on for so many seconds, mend everything, and judge; what is wrong is in the report's violations."""
        self._fleet.installation.trust(
            "ring",
            registries=[RING],
            caCertificates=[{"inline": self._fleet.authority.pem.decode()}],
            nodeSelector={"matchLabels": {"ring": "in"}},
        )
        self._sample(0.0)
        checker = threading.Thread(target=self._check_all, name="checker")
        checker.start()
        began = time.monotonic()
        try:
            while (now := time.monotonic() - began) < seconds:
                self._do(now)
                self._over.wait(0.2)
                if now - self._report.samples[-1]["second"] >= seconds / 20:
                    self._sample(now)
            self._settle()
        finally:
            self._over.set()
            checker.join(30)
        self._sample(time.monotonic() - began)
        self._report.seconds = time.monotonic() - began
        self._judge_growth()
        return self._report

    def _do(self, now: float) -> None:
        """End the faults that had their time, and do one thing more."""
        for name, (_row, until) in list(self._broken.items()):
            if now >= until:
                self._mend(name)
        what = self._chance.choices(
            [self._rotate, self._relabel, self._break, self._kill_agents, self._kill_operator], [8, 12, 6, 1, 1]
        )[0]
        what(now)

    def _rotate(self, _now: float) -> None:
        self._fleet.rotate()
        if self._fleet.content() not in self._generations:
            self._generations.append(self._fleet.content())
        self._report.done["rotations"] += 1

    def _relabel(self, _now: float) -> None:
        node = self._chance.choice(self._fleet.names)
        self._inside[node] = not self._inside[node]
        labels = {"ring": "in" if self._inside[node] else None}
        self._fleet.admin.request("PATCH", f"/api/v1/nodes/{node}", {"metadata": {"labels": labels}})
        self._report.done["relabels"] += 1

    def _break(self, now: float) -> None:
        name = self._chance.choice(list(self._table.ways))
        if name in self._broken:
            return
        row = self._chance.choice(_FAULTS)
        self._broken[name] = (row, now + self._chance.uniform(0.5, 5))
        self._table.set_broken(name, row, broken=True)
        self._report.done[f"fault: {row.name}"] += 1

    def _mend(self, name: str) -> None:
        row, _until = self._broken.pop(name)
        self._table.set_broken(name, row, broken=False)

    def _kill_agents(self, _now: float) -> None:
        self._table.restart(self._chance.choice(list(self._table.ways)[1:]))
        self._report.done["kills of agents"] += 1

    def _kill_operator(self, _now: float) -> None:
        operator = self._fleet.installation.operator
        assert operator is not None
        operator.kill()
        self._fleet.installation.start_operator("--no-leader-election")
        self._report.done["kills of the operator"] += 1

    # ---- the law ----------------------------------------------------------------------------------------------------

    def _check_all(self) -> None:
        while not self._over.is_set():
            for node in self._fleet.names:
                with suppress(FileNotFoundError):  # switched, and cleared away, while it was read
                    if fault := self._look(self._fleet.folder / node / REGISTRY, node):
                        self._violate(f"{node}: {fault}")
                self._report.checks += 1
            self._over.wait(0.02)

    def _look(self, entry: Path, node: str) -> str:
        """Return what is wrong with the entry of the trust that every node has; empty if nothing is."""
        try:
            folder = entry.parent / entry.readlink()
        except FileNotFoundError:
            return "its files are gone" if node in self._present else ""
        self._present.add(node)
        files: dict[str, bytes] = {}
        for file in folder.iterdir():
            files[file.name] = file.read_bytes()
            if file.suffix == ".key" and file.stat().st_mode & 0o777 != 0o600:
                return f"{file.name} has mode {file.stat().st_mode & 0o777:04o}"
        return "" if files in self._generations else f"no generation has these files: {sorted(files)}"

    def _settle(self) -> None:
        for name in list(self._broken):
            self._mend(name)
        try:
            wait_until(self._is_settled, "every node has what it is to have", within=MEND + 60, every=0.5)
        except AssertionError as error:
            self._violate(str(error))

    def _is_settled(self) -> bool:
        wanted = self._fleet.content()
        for node in self._fleet.names:
            root = self._fleet.folder / node
            files: dict[str, bytes] = {}
            with suppress(FileNotFoundError):
                files = {file.name: file.read_bytes() for file in (root / REGISTRY).iterdir()}
            assert files == wanted, f"{node} has {sorted(files)}, of another generation"
            inside = (root / RING).exists()
            assert inside is self._inside[node], f"{node}: {RING} is there: {inside}, ring=in: {self._inside[node]}"
        return True

    def _judge_growth(self) -> None:
        """Judge what processes keep: the second half must not have more than the first, but for what varies."""
        first, *between, last = self._report.samples
        middle = [each["agents MiB"] for each in between[: len(between) // 2]] or [first["agents MiB"]]
        if last["agents MiB"] > 1.2 * max(middle) + 4:
            self._violate(f"agents had {max(middle):.0f} MiB in the first half, have {last['agents MiB']:.0f}")
        # Each agent may have one connection more at one moment than at another.
        had, have = first["agents descriptors"], last["agents descriptors"]
        if have > had + self._table.agents:
            self._violate(f"agents had {had:.0f} descriptors, have {have:.0f}")

    def _sample(self, second: float) -> None:
        crowd = next(iter(self._table.crowds.values()))
        crowd.check()
        sample = {"second": round(second, 1), **_kept("agents", crowd.pid)}
        if operator := self._fleet.installation.operator:
            sample |= _kept("operator", operator.pid)
        self._report.samples.append(sample)

    def _violate(self, what: str) -> None:
        if len(self._report.violations) < MOST:
            self._report.violations.append(what)


def _kept(who: str, pid: int) -> dict[str, float]:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    mib = int(status["VmRSS"].split()[0]) / 1024
    return {f"{who} MiB": round(mib, 1), f"{who} descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir()))}
