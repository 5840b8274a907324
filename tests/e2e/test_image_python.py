"""The unit and contract tests pass on the image's Python: in the base it is built from, with the locked packages."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tools.cluster import images
from tools.cluster.binaries import binary
from tools.cluster.folders import REPOSITORY

TOOLS = ("helm", "metrics-lint", "alerts", "kstatus", "argohealth")
pytestmark = pytest.mark.tools(*TOOLS)

OF_THE_REPOSITORY = ("test_repository", "test_contributing", "test_version", "test_kustomize", "test_side_by_side")
"""Contract tests of files, git and programs: another Python can't change what they find."""

SCRIPT = """
exec 2>&1
set -e
python3 -m venv /venv
/venv/bin/pip install --quiet --require-hashes --no-compile -r requirements/build.txt
/venv/bin/pip install --quiet --require-hashes --no-compile -r requirements/runtime.txt -r requirements/development.txt
/venv/bin/pip install --quiet --no-deps --no-build-isolation --editable .
/venv/bin/python --version
KUBEBUILDER_ASSETS=/tools PYTHONDONTWRITEBYTECODE=1 /venv/bin/python -m pytest -q tests/unit tests/contract """


def copy_of_the_repository(to: Path) -> Path:
    """Copy what git tracks or would track."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, to / name)
    return to


def test_unit_and_contract_tests_pass_on_the_image_s_python(tmp_path: Path) -> None:
    if missing := images.what_is_missing():
        pytest.skip(missing)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        shutil.copy(binary(name), tools / name)

    printed = images.run_in_base(
        copy_of_the_repository(tmp_path / "source"),
        SCRIPT + " ".join(f"--ignore=tests/contract/{name}.py" for name in OF_THE_REPOSITORY),
        tools,
    )

    assert "Python 3.13." in printed
    assert " passed" in printed.splitlines()[-1]
