"""Figures: what a part of the torture tried and found, and the report made of it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOST_FAILURES = 20
"""Failures of one part that are kept in words."""


@dataclass
class Figures:
    """Of one part: how many things were tried, numbers that describe it, and each failure in a sentence."""

    name: str
    tried: str
    """What is counted, such as "crash points"."""
    goal: int
    """The least that the whole size tries."""
    count: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0

    def fail(self, where: str, fault: str) -> None:
        """Note a failure, if there is a fault."""
        if fault:
            self.failed += 1
            if len(self.failures) < MOST_FAILURES:
                self.failures.append(f"{where}: {fault}")

    def add(self, name: str, number: int = 1) -> None:
        """Add to one of the describing numbers."""
        self.numbers[name] = self.numbers.get(name, 0) + number


def merged(earlier: Sequence[Figures], now: Sequence[Figures]) -> list[Figures]:
    """Return the parts of an earlier report, each in its place with its figures of now, and then those it lacks."""
    fresh = {part.name: part for part in now}
    return [*(fresh.pop(part.name, part) for part in earlier), *fresh.values()]


def read(folder: Path, size: str) -> list[Figures]:
    """Return the parts of the report in a folder; none if it is of another size, or not there."""
    file = folder / "torture.json"
    document = json.loads(file.read_text()) if file.exists() else {}
    return [Figures(**part) for part in document["parts"]] if document.get("size") == size else []


def as_json(parts: Sequence[Figures], size: str) -> str:
    """Return the report for programs."""
    document: dict[str, Any] = {
        "size": size,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "processors": os.cpu_count(),
        "parts": [
            {
                "name": part.name,
                "tried": part.tried,
                "count": part.count,
                "goal": part.goal,
                "failed": part.failed,
                "seconds": round(part.seconds, 1),
                "numbers": part.numbers,
                "failures": part.failures,
            }
            for part in parts
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def as_markdown(parts: Sequence[Figures], size: str) -> str:
    """Return the report for people."""
    system = f"Linux {platform.release().split('-')[0]} with Python {platform.python_version()}"
    lines = [
        "# What the store survives",
        "",
        "Written by `make torture`; `tools/torture/` has what each part does, [torture.json](torture.json) has the",
        f"same for programs. This is the {size} size, on {system} and {os.cpu_count()} processors, in memory.",
        "",
        "| part | tried | goal | failed | seconds | of these |",
        "|---|---|---|---|---|---|",
    ]
    for part in parts:
        numbers = ", ".join(f"{number:,} {name}" for name, number in part.numbers.items())
        lines.append(
            f"| {part.name} | {part.count:,} {part.tried} | {part.goal:,} | **{part.failed}** | {part.seconds:.0f} "
            f"| {numbers} |"
        )
    failures = [failure for part in parts for failure in part.failures]
    if failures:
        lines += ["", "## Failures", "", *(f"- {failure}" for failure in failures)]
    return "\n".join(lines) + "\n"


def write(parts: Sequence[Figures], size: str, folder: Path) -> None:
    """Write both reports into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "torture.md").write_text(as_markdown(parts, size))
    (folder / "torture.json").write_text(as_json(parts, size))
