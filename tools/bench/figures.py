"""Figures of the benchmark, each beside a floor of the same run and its goal, and the report made of them."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class GaveUp(Exception):
    """A part reached its deadline, or what it waits for did not happen in time; its text says what that was."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        what: what was measured.
        unit: of `found` and of `floor`.
        found: the figure; None if it could not be measured.
        floor: what the same costs on this machine without registry-trust, in the same run; None if there is no such.
        goal: the most that it should be.
        goal_ratio: the most that it should be, in floors.
        remark: what is simulated in it, or why it could not be measured.
    """

    what: str
    unit: str
    found: float | None
    floor: float | None = None
    goal: float | None = None
    goal_ratio: float | None = None
    remark: str = ""

    @property
    def ratio(self) -> float | None:
        """How many floors the figure is."""
        return None if self.found is None or not self.floor else self.found / self.floor

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is met; None without a goal or a figure."""
        if self.found is None or (self.goal is None and self.goal_ratio is None):
            return None
        if self.goal is not None:
            return self.found <= self.goal
        return None if self.ratio is None or self.goal_ratio is None else self.ratio <= self.goal_ratio


@dataclass
class Part:
    """What one part of the benchmark found, and the conditions that it was measured in."""

    name: str
    title: str
    deadline: float
    """Seconds after which it gives up."""
    nodes: int = 0
    rows: list[Row] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=dict)
    """Sorted values behind a plot, by name."""
    gave_up: str = ""
    began: str = ""
    system: str = ""
    load_before: float = 0.0
    load_after: float = 0.0
    seconds: float = 0.0
    _started: float = field(default_factory=time.monotonic, repr=False, compare=False)

    def run(self, measure: Callable[[Part], None]) -> Part:
        """Measure; what was found before the deadline, or before something went wrong, is kept."""
        self._started, self.load_before = time.monotonic(), os.getloadavg()[0]
        self.system = machine()
        self.began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        try:
            measure(self)
        except (GaveUp, RuntimeError, AssertionError, OSError) as error:
            self.gave_up = " ".join(str(error).split())[:300] or type(error).__name__
            self.say(f"gave up: {self.gave_up}")
        self.seconds, self.load_after = time.monotonic() - self._started, os.getloadavg()[0]
        return self

    def add(self, what: str, unit: str, found: float | None, **more: Any) -> None:
        """Take in a figure, and show it."""
        row = Row(what, unit, found, **more)
        self.rows.append(row)
        self.say(" | ".join(_cells(row)))

    def say(self, text: str) -> None:
        """Show how far the part is."""
        sys.stderr.write(f"[{self.name} {time.monotonic() - self._started:5.0f} s] {text}\n")
        sys.stderr.flush()

    def until(self, check: Callable[[], T | None], what: str, within: float, every: float = 0.1) -> T:
        """Wait for something, and return it.

        Raises:
            GaveUp: it did not happen within so many seconds, or the part's time is over.
        """
        now = time.monotonic()
        ends, shown = min(now + within, self._started + self.deadline), now
        while not (found := check()):
            now = time.monotonic()
            if now > ends:
                raise GaveUp(f"not within {within:.0f} s (or this part's {self.deadline:.0f} s): {what}")
            if now - shown > 15:
                self.say(f"waiting until {what}")
                shown = now
            time.sleep(every)
        return found

    def rest(self, seconds: float) -> None:
        """Wait, unless that would take longer than the part may."""
        if time.monotonic() + seconds > self._started + self.deadline:
            raise GaveUp(f"this part's {self.deadline:.0f} s are over")
        time.sleep(seconds)


def merged(earlier: Sequence[Part], now: Sequence[Part]) -> list[Part]:
    """Return the parts of an earlier report, each in its place with its figures of now, and then those it lacks."""
    fresh = {part.name: part for part in now}
    return [*(fresh.pop(part.name, part) for part in earlier), *fresh.values()]


def read(folder: Path) -> list[Part]:
    """Return the parts of the report in a folder; none if it is not there."""
    file = folder / "bench.json"
    document = json.loads(file.read_text()) if file.exists() else {"parts": []}
    return [Part(**{**part, "rows": [Row(**row) for row in part["rows"]]}) for part in document["parts"]]


def as_json(parts: Sequence[Part]) -> str:
    """Return the report for programs."""
    return json.dumps({"parts": [_rounded(asdict(part)) for part in parts]}, indent=1) + "\n"


def machine() -> str:
    """Return what the figures are measured on."""
    kernel = platform.release().split("-")[0]
    return f"Linux {kernel}, Python {platform.python_version()}, {os.cpu_count()} processors"


def as_markdown(parts: Sequence[Part], plots: Sequence[tuple[str, str]] = ()) -> str:
    """Return the report for people.

    Args:
        parts: the parts.
        plots: title and file name of each plot.
    """
    lines = [
        "# Measured",
        "",
        "Written by `make bench`; `tools/bench/` has what each part does, and [bench.json](bench.json) the same",
        "figures for programs.",
        "",
        "How to read it: *floor* is what the same takes on the same machine in the same run without registry-trust,",
        "and *ratio* how many floors the figure is. A floor moves with the machine: compare ratios between machines,",
        "and figures only within one part. *Load* is other work on the machine (the load average) before and after a",
        "part: with more of it than processors, only CPU times and counts say much. In a fleet, the API server, the",
        "operator and the code of the agents are real. **Simulated** is that all of them share one machine, a hundred",
        "agents share a process, and there are no kubelets: a real node has its own CPU and disk.",
    ]
    for part in parts:
        lines += ["", f"## {part.title}"]
        if part.rows:
            lines += ["", _conditions(part), ""]
            lines += ["| figure | measured | floor | ratio | goal | met | remark |", "|---|---|---|---|---|---|---|"]
            lines += [f"| {' | '.join(_cells(row))} |" for row in part.rows]
        if part.gave_up:
            lines += ["", f"{'The rest could not be' if part.rows else 'Not'} measured: {part.gave_up}"]
    for title, file in plots:
        lines += ["", f"## {title}", "", f"![{title}]({file})"]
    return "\n".join(lines) + "\n"


def _conditions(part: Part) -> str:
    return (
        f"Measured on {part.began} in {part.seconds:.0f} s on {part.system}; load {part.load_before:.1f} before and "
        f"{part.load_after:.1f} after (the part itself included)."
    )


def _cells(row: Row) -> list[str]:
    unit = f" {row.unit}" if row.unit else ""
    goal = "" if row.goal is None else f"≤ {_shown(row.goal)}{unit}"
    goal = goal if row.goal_ratio is None else f"≤ {row.goal_ratio:g} floors"
    return [
        row.what,
        "not measured" if row.found is None else f"{_shown(row.found)}{unit}",
        "" if row.floor is None else f"{_shown(row.floor)}{unit}",
        "" if row.ratio is None else f"{row.ratio:.1f}",
        goal,
        {True: "yes", False: "**no**", None: ""}[row.is_met],
        row.remark,
    ]


def _shown(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 or number == int(number) else f"{number:.3g}"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items() if not key.startswith("_")}
    return [_rounded(each) for each in value] if isinstance(value, list) else value
