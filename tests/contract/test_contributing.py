"""How the project is worked on: messages of commits, hooks, workflows, the dependency bot, forms."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.cluster.binaries import binary

pytestmark = pytest.mark.tools("actionlint")

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").iterdir())
RIGHTS_OF_A_RELEASE = {"contents": "write", "packages": "write", "id-token": "write"}
FORMS = [path for path in sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) if path.name != "config.yml"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EACH_WORKFLOW = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


# ---- commit messages -------------------------------------------------------------------------------------------------


def test_the_commits_of_a_range_are_checked_each_by_itself(tmp_path):
    identity = {f"GIT_{who}_{what}": "x@y.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **identity, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    def check(commits: str) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, "-m", "tools.commit_messages", "--range", commits)

    run("git", "init", "--quiet")
    for message in ("begun", "Keep it\n\nBecause.", "fixup! Keep it"):
        made = run("git", "-c", "core.hooksPath=", "commit", "--quiet", "--allow-empty", "-m", message)
        assert made.returncode == 0, made.stderr

    assert check("HEAD~2..HEAD~1").returncode == 0
    refused = check("HEAD~2..HEAD")
    assert refused.returncode == 1
    assert re.fullmatch(
        r"[0-9a-f]+: merge it into the commit that it amends: git rebase --autosquash\n", refused.stderr
    )


# ---- hooks, workflows, forms -----------------------------------------------------------------------------------------


def test_hooks_use_the_locked_tools_of_the_environment():
    hooks = [hook for repository in load(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]

    assert {"ruff-check", "ruff-format", "codespell", "actionlint", "commit-message"} == {hook["id"] for hook in hooks}
    assert all(".venv/bin/" in hook["entry"] and hook["language"] == "system" for hook in hooks)


def test_actionlint_finds_nothing_in_the_workflows():
    assert len(WORKFLOWS) == 3
    command = [str(binary("actionlint")), "-shellcheck=", "-pyflakes=", *map(str, WORKFLOWS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@EACH_WORKFLOW
def test_every_action_is_pinned_by_its_commit(workflow):
    used = re.findall(r"uses: (.*)", workflow.read_text())

    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used), used


@EACH_WORKFLOW
def test_a_workflow_may_read_the_repository_and_only_the_one_of_a_tag_may_more(workflow):
    read = load(workflow)
    more = {name: job["permissions"] for name, job in read["jobs"].items() if "permissions" in job}

    assert read["permissions"] == {"contents": "read"}
    assert more == ({"release": RIGHTS_OF_A_RELEASE} if workflow.stem == "release" else {})


def test_the_workflow_of_a_release_runs_on_tags_alone_and_what_make_release_runs():
    read = load(GITHUB / "workflows" / "release.yaml")
    commands = [step.get("run", "") for step in read["jobs"]["release"]["steps"]]

    assert read[True] == {"push": {"tags": ["v*"]}}, "YAML 1.1 reads `on` as true"
    assert 'make release REGISTRY="$PLACE" KEYLESS=1' in commands


def test_the_fast_workflow_runs_on_the_oldest_python_and_on_the_image_s():
    pythons = load(GITHUB / "workflows" / "fast.yml")["jobs"]["tests"]["strategy"]["matrix"]["python"]

    assert f">={pythons[0]}" == PROJECT["requires-python"]
    assert f"Programming Language :: Python :: {pythons[-1]}" in PROJECT["classifiers"]


def test_the_dependency_bot_looks_into_directories_that_exist():
    updates = load(GITHUB / "dependabot.yml")["updates"]
    manifests = {"pip": "*.txt", "gomod": "go.mod", "docker": "Dockerfile", "github-actions": ".github/workflows/*.yml"}

    assert {update["package-ecosystem"] for update in updates} == set(manifests)
    for update in updates:
        for directory in update.get("directories") or [update["directory"]]:
            pattern = f"{directory}/{manifests[update['package-ecosystem']]}".lstrip("/")
            assert list(ROOT.glob(pattern)), pattern


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_a_form_has_what_github_asks_for(form):
    read = load(form)
    asked = [item for item in read["body"] if item["type"] != "markdown"]

    assert {"name", "description", "body"} <= set(read)
    assert {item["type"] for item in asked} <= {"input", "textarea", "dropdown", "checkboxes"}
    assert len({item["id"] for item in asked}) == len(asked)
    assert all(item["attributes"]["label"] for item in asked)
    assert any(item.get("validations", {}).get("required") for item in asked)
