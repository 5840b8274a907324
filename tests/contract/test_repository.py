"""The rules that hold for every file of the repository: rooms, sizes, docstrings, requirements, targets, skips."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import DEBIAN_PACKAGES

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "operator" / "registry_trust"
MODULES = sorted(PACKAGE.rglob("*.py"))
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
STANDARD_LIBRARY_ROOMS = ("core", "process", "agent")
LONGEST_FILE = 350

# Written in pieces, so that this file does not contain what it looks for.
MACHINE_PATH = re.compile(r"(?<![\w.}>])/" + r"(?:home|work|root|Users)/\w")
PACKAGE_INDEXES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("crates", "io"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("ftp", "debian", "org"),
    )
)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=150, check=False
    )


def repository_files() -> list[Path]:
    """List what git tracks or would track."""
    listing = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    assert listing.returncode == 0, listing.stderr
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def python_files() -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".py"]


def imported_names(module: Path) -> set[str]:
    """Name every module that a file imports, at any depth of its code."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(module)}:{node.lineno}: imports are absolute here"
            names.add(node.module or "")
    return names


# ---- rooms -----------------------------------------------------------------------------------------------------------


def test_the_source_root_is_no_package_because_it_would_shadow_the_standard_library():
    assert MODULES
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_every_room_imports_only_what_it_may():
    linter = run(str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache")

    assert linter.returncode == 0, linter.stdout + linter.stderr
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", linter.stdout), linter.stdout


@pytest.mark.parametrize("room", STANDARD_LIBRARY_ROOMS)
def test_core_process_and_agent_name_nothing_but_the_standard_library_and_each_other(room):
    allowed = {"core": {"core"}, "process": {"process", "core"}, "agent": {"core", "process", "agent"}}[room]
    modules = sorted((PACKAGE / room).rglob("*.py"))
    assert len(modules) > 1, f"operator/registry_trust/{room} is empty"

    for module in modules:
        for name in imported_names(module):
            first, *rest = name.split(".")
            if first == "registry_trust":
                assert not rest or rest[0] in allowed, f"{relative(module)} imports {name}"
            else:
                assert first in sys.stdlib_module_names, f"{relative(module)} imports {name}"


def test_no_program_is_built_from_tests():
    programs = [path for path in python_files() if relative(path).startswith(("tools/", "deploy/", "operator/"))]
    assert len(programs) > 200
    assert not [
        relative(path) for path in programs if any(name.split(".")[0] == "tests" for name in imported_names(path))
    ]


def test_the_agent_loads_nothing_outside_the_standard_library():
    program = (
        "import sys; before = set(sys.modules)\n"
        "import importlib, pkgutil, registry_trust.agent as agent\n"
        "for module in pkgutil.walk_packages(agent.__path__, 'registry_trust.agent.'):\n"
        "    if not module.name.endswith('.__main__'): importlib.import_module(module.name)\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    process = run(sys.executable, "-c", program, cwd=ROOT / "operator")
    assert process.returncode == 0, process.stderr

    loaded = set(process.stdout.split())
    assert sum(name.startswith("registry_trust.agent.") for name in loaded) >= 1
    own_rooms = {name.split(".")[1] for name in loaded if name.startswith("registry_trust.")}
    assert {"agent", "core"} <= own_rooms <= {"agent", "core", "process"}
    assert {name.split(".")[0] for name in loaded} - sys.stdlib_module_names == {"registry_trust"}


# ---- files -----------------------------------------------------------------------------------------------------------


def test_every_module_opens_with_a_docstring():
    bare = [relative(path) for path in python_files() if not ast.get_docstring(ast.parse(path.read_text()))]

    assert not bare


def test_every_file_of_python_can_be_read_in_one_go():
    lengths = {relative(path): len(path.read_text().splitlines()) for path in python_files()}
    too_long = {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE}

    assert not too_long


def test_the_files_that_runtimes_read_are_named_in_the_layout_alone():
    names = {"hosts.toml", ".crt", ".cert", ".key"}
    elsewhere = {
        f"{relative(path)}:{node.lineno}"
        for path in MODULES
        if path != PACKAGE / "core" / "layout.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in names
    }

    assert elsewhere == set()


def test_no_file_names_a_path_of_somebodys_machine_or_the_address_of_a_package_index():
    found = []
    for path in repository_files():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{relative(path)}: {match.group()}" for match in MACHINE_PATH.finditer(text)]
        found += [f"{relative(path)}: {address}" for address in PACKAGE_INDEXES if address in text]

    assert not found


# ---- requirements ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.name)
def test_every_requirement_is_pinned_and_hashed_and_no_address_is_named(file):
    text = file.read_text()
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]

    assert lines
    for line in lines:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+( ;.*?)?(\s+--hash=sha256:[0-9a-f]{64})+", line), line[:80]
    for address in ("http:", "https:", "://", "index-url", "find-links", "trusted-host", "@"):
        assert address not in text


def test_the_locked_files_cover_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = {
        "runtime": project["project"]["dependencies"],
        "build": [*project["build-system"]["requires"], *project["dependency-groups"]["build"]],
        "development": [*project["project"]["dependencies"], *project["dependency-groups"]["development"]],
        "hooks": project["dependency-groups"]["hooks"],
        "go": project["dependency-groups"]["go"],
    }

    assert {file.stem for file in REQUIREMENTS} == set(groups)
    for stem, wanted in groups.items():
        locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / f"{stem}.txt").read_text(), re.MULTILINE))
        assert {re.split(r"[<>=!~ ]", name)[0].lower() for name in wanted} <= locked, stem


# ---- commands --------------------------------------------------------------------------------------------------------


def test_every_target_of_the_makefile_explains_itself():
    makefile = (ROOT / "Makefile").read_text()
    rules = re.findall(r"^([a-z][\w-]*):(?!=)(.*)$", makefile, re.MULTILINE)
    targets = {name for name, _ in rules}
    [phony] = re.findall(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)
    listing = run("make", "--no-print-directory", MAKEFLAGS="", MAKELEVEL="0").stdout

    assert {"venv", "demo", "test", "lint", "types", "generate", "verify", "image", "cluster", "clean"} <= targets
    assert [name for name, rest in rules if " ## " not in rest] == []
    assert set(phony.split()) == targets
    assert set(re.findall(r"^  make (\S+)", listing, re.MULTILINE)) == targets


def test_ci_runs_the_test_command_of_the_readme_and_lets_nothing_be_skipped():
    ci = (ROOT / ".ci" / "run").read_text()

    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "REGISTRY_TRUST_REQUIRE_ALL=1" in ci
    assert ci.rstrip().endswith("make test")
    assert "make test" in (ROOT / "README.md").read_text()


def test_ci_installs_every_debian_package_that_the_end_to_end_tests_ask_for():
    in_ci = dict(re.findall(r"\[([\w/.-]+)\]=([\w-]+)", (ROOT / ".ci" / "run").read_text()))

    assert DEBIAN_PACKAGES.items() <= in_ci.items()


# ---- skips -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def session(tmp_path):
    """Return a function that runs files of tests, given by their path under tests/, with this project's conftest."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tools" / "cluster").mkdir(parents=True)
    of_cluster = ("__init__", "binaries", "canaries", "folders", "go_toolchain")
    ours = [
        "tests/__init__",
        "tests/conftest",
        "tools/__init__",
        "tools/authority",
        "tools/pki",
        *(f"tools/cluster/{name}" for name in of_cluster),
    ]
    for name in (*(f"{name}.py" for name in ours), "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "tools/go/pause", tmp_path / "tools/go/pause")

    def start(files: dict[str, str], require_all: str, **more: str) -> subprocess.CompletedProcess[str]:
        for name, text in files.items():
            path = tmp_path / "tests" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "tests")
        return run(*command, cwd=tmp_path, REGISTRY_TRUST_REQUIRE_ALL=require_all, PYTEST_ADDOPTS="", **more)

    return start


SKIPPED = "import pytest\n\ndef test_it():\n    pytest.skip('needs a tool: how to get it')\n"
EXPECTED_TO_FAIL = "import pytest\n\n@pytest.mark.xfail\ndef test_it():\n    assert False\n"
PASSING = "def test_it():\n    pass\n"


PRINTING_A_KEY = """
from tools.authority import Authority

def test_it():
    print(Authority.create("x").client("y").key.decode())
"""


def test_a_test_that_prints_a_private_key_fails_and_the_key_is_not_shown(session):
    leaking = session({"unit/test_it.py": PRINTING_A_KEY}, require_all="")

    assert leaking.returncode == pytest.ExitCode.TESTS_FAILED
    assert "a private key of the tests stands in this test's output" in leaking.stdout
    assert "BEGIN PRIVATE KEY" not in leaking.stdout


def test_a_skipped_test_fails_the_session_only_where_everything_must_run(session):
    files = {"unit/test_it.py": SKIPPED, "contract/test_other.py": PASSING}

    assert session(files, require_all="").returncode == pytest.ExitCode.OK
    strict = session(files, require_all="1")
    assert strict.returncode == pytest.ExitCode.TESTS_FAILED
    assert "tests/unit/test_it.py::test_it: needs a tool: how to get it" in strict.stdout


def test_a_session_in_which_everything_ran_passes_also_where_everything_must_run(session):
    passed = session({"unit/test_it.py": EXPECTED_TO_FAIL, "contract/test_other.py": PASSING}, require_all="1")

    assert passed.returncode == pytest.ExitCode.OK, passed.stdout


DECLARING = """
import pytest
from tools.cluster import binaries

@pytest.mark.tools("pause")
def test_declared():
    assert binaries.missing("pause") == []
    assert binaries.binary("pause").is_file()
"""
NOT_DECLARING = """
from tools.cluster import binaries

def test_undeclared():
    binaries.binary("pause")
"""


def test_a_tool_is_built_before_the_test_that_declares_it_and_refused_to_one_that_does_not(session, tmp_path):
    files = {"integration/test_it.py": DECLARING, "integration/test_other.py": NOT_DECLARING}
    ran = session(files, require_all="", XDG_CACHE_HOME=str(tmp_path / "cache"))

    assert "test_declared PASSED" in ran.stdout, ran.stdout + ran.stderr
    assert "test_undeclared FAILED" in ran.stdout
    assert "declare it: pytestmark = pytest.mark.tools('pause')" in ran.stdout
    assert "[build] pause: ended after" in ran.stderr


def test_pure_tests_come_first_whatever_the_names_of_the_folders(session):
    ran = session(dict.fromkeys(("contract/test_a.py", "integration/test_b.py", "unit/test_c.py"), PASSING), "")

    assert re.findall(r"^tests/(\w+)/.* PASSED", ran.stdout, re.MULTILINE) == ["unit", "contract", "integration"]
