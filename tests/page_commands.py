"""The commands of the pages, run as they are written: one shell for each block, in one directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.page_blocks import CARRIED_OUT
from tools.cluster.binaries import binary

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "charts").rglob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"^#   kubectl (?:.*\\\n#)*.*\n", re.MULTILINE)
COMMANDS = ("sh", "console")
"""Languages of blocks with commands: all of it, or lines after `$ ` with what they print."""


@dataclass(frozen=True)
class Block:
    """A block of commands. `text` has the lines without their indentation."""

    page: str
    language: str
    text: str

    @property
    def place(self) -> str:
        """Return the page and the block's first line."""
        return f"{self.page}: {self.text.partition(chr(10))[0]}"

    @property
    def commands(self) -> str:
        """Return what a shell is given."""
        if self.language == "sh":
            return self.text
        lines = self.text.splitlines()
        return "\n".join(line.removeprefix("$ ") for line in lines if line.startswith("$ "))

    @property
    def shown(self) -> list[str]:
        """Return the lines of a console's block that the commands print."""
        return [line for line in self.text.splitlines() if not line.startswith("$ ")]


def every_block() -> Iterator[Block]:
    """Yield the blocks of commands of all pages, and the commands in the comments of examples."""
    for path in PAGES:
        for indent, language, text in FENCE.findall(path.read_text()):
            if language in COMMANDS:
                lines = (line.removeprefix(indent) for line in text.splitlines(keepends=True))
                yield Block(str(path.relative_to(ROOT)), language, "".join(lines))
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        for match in COMMENT.finditer(path.read_text()):
            text = re.sub(r"^#   ", "", match[0], flags=re.MULTILINE)
            yield Block(str(path.relative_to(ROOT)), "sh", text)


def blocks_of(test: str) -> list[Block]:
    """Return the blocks that a test carries out, in the order of its rows."""
    known = list(every_block())
    return [block for row in CARRIED_OUT[test] for block in known if block.place.startswith(row)]


def own_blocks(request: pytest.FixtureRequest) -> list[Block]:
    """Return the blocks that the running test carries out."""
    return blocks_of(request.node.nodeid.partition("[")[0])


def run_block(commands: str, directory: Path, kubeconfig: Path | None = None, *, typed: str = "") -> str:
    """Run a block as a reader would who has the command, kubectl and Helm; return what it printed.

    `typed` is what the reader answers to questions.
    """
    programs = [binary(name) for name in ("kubectl", "helm") if re.search(rf"\b{name} ", commands)]
    path = ":".join([str(Path(sys.executable).parent), *(str(each.parent) for each in programs), os.environ["PATH"]])
    home = {name: str(directory / "helm") for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
    cluster = {"KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": str(directory / "cache")} if kubeconfig else {}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=directory,
        env={**os.environ, **home, **cluster, "PATH": path},
        input=typed,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
