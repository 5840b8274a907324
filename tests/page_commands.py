"""The commands of a page, run as they stand there: one shell for each block, in one directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tools.cluster.binaries import binary

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[str]:
    """Return the blocks of shell commands of a page of docs/, in order."""
    found = BLOCK.findall((ROOT / "docs" / page).read_text())
    return ["".join(line.removeprefix(indent) for line in text.splitlines(keepends=True)) for indent, text in found]


def run_block(block: str, directory: Path, kubeconfig: Path) -> str:
    """Run a block as somebody would who has the command and kubectl; return what it printed."""
    path = f"{Path(sys.executable).parent}:{Path(binary('kubectl')).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=directory,
        env={**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": str(directory / "cache")},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
