"""The version and the address of the project are the same in every file that names them."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tools.generate import VERSIONED, expected_files, with_version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_every_file_names_the_version_of_pyproject():
    stale = [path.name for path, text in expected_files().items() if path.read_text() != text]

    assert not stale, f"run `make generate` and commit: {stale}"


def test_a_new_version_is_written_everywhere_and_nothing_else_changes():
    for name, pattern in VERSIONED.items():
        now = (ROOT / name).read_text()
        new = with_version(now, pattern, "98.7.6-rc.1")
        assert PROJECT["version"] not in new, name
        assert with_version(new, pattern, PROJECT["version"]) == now, name


def test_a_file_that_no_longer_names_the_version_is_an_error():
    with pytest.raises(ValueError, match="no version where one is expected"):
        with_version("nothing", r"^Version (.+)$", "1")


def test_the_project_has_one_address():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    texts = [(ROOT / name).read_text(errors="replace") for name in tracked.split("\n") if (ROOT / name).is_file()]
    addresses = {found for text in texts for found in re.findall(r"https://github\.com/registry-trust/[\w-]+", text)}

    assert addresses == {PROJECT["urls"]["Homepage"]}
    assert all(url.startswith(PROJECT["urls"]["Homepage"]) for url in PROJECT["urls"].values())
