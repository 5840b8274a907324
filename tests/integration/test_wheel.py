"""The wheel in an environment of its own, as `pipx install` makes it: the command works there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import registry_trust
from tools.cluster.folders import REPOSITORY
from tools.release.artefacts import Artefact, Release
from tools.release.build import wheel


def run(*command: str | Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_command_of_the_wheel_renders_an_example_in_an_empty_environment(tmp_path):
    release = Release(registry_trust.__version__, 1_700_000_000, tmp_path)
    wheel(release)
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("\n".join(re.findall(r"^\S+==\S+", _locked(), re.MULTILINE)))

    run(sys.executable, "-m", "venv", tmp_path / "venv")
    installing = (
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--only-binary=:all:",
        f"--constraint={constraints}",
    )
    run(tmp_path / "venv" / "bin" / "python", *installing, release.path(Artefact.WHEEL))
    shown = run(tmp_path / "venv" / "bin" / "registry-trust", "render", "examples/client-certificate.yaml")

    assert "client.key" in shown
    where = run(tmp_path / "venv" / "bin" / "python", "-c", "import registry_trust; print(registry_trust.__file__)")
    assert where.startswith(str(tmp_path)), "it is the installed package"


def _locked() -> str:
    return (REPOSITORY / "requirements" / "runtime.txt").read_text()
