"""Gives every test the marker, order and time limit of its folder, and says in one line what could not run."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.cluster import binaries, canaries
from tools.cluster.go_toolchain import NoGoToolchainError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

HERE = Path(__file__).resolve().parent

REQUIRE_ALL = bool(os.environ.get("REGISTRY_TRUST_REQUIRE_ALL"))
"""Set by .ci/run: whatever does not run is then a failure."""


@dataclass(frozen=True)
class Kind:
    """A folder of tests: seconds that one test may take, and whether its fixtures count as part of it."""

    seconds: int
    with_fixtures: bool


KINDS = {
    "unit": Kind(60, with_fixtures=True),
    "contract": Kind(180, with_fixtures=True),
    "integration": Kind(300, with_fixtures=False),
    "e2e": Kind(900, with_fixtures=False),
}
"""In the order in which they run: what fails soonest comes first."""

DEBIAN_PACKAGES = {
    "runc": "runc",
    "ip": "iproute2",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "skopeo": "skopeo",
    "podman": "podman",
    "strace": "strace",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""What the nodes of the end-to-end tests take from the machine: program -> Debian package (.ci/run installs them)."""

TOOLS_OF_FIXTURES = {
    "plane": ("control-plane",),
    "installation": ("control-plane",),
    "bare": ("cluster",),
}
"""Tools that a test needs because of a fixture; what it uses beside them it declares by the marker `tools`."""

LOGGERS = (logging.getLogger(), logging.getLogger("registry_trust"))
"""Those whose level a test could leave changed."""

OUTCOMES = pytest.StashKey["Outcomes"]()
DECLARED = pytest.StashKey["dict[Path, frozenset[str]]"]()
BUILDER = pytest.StashKey["subprocess.Popen[bytes] | None"]()


@dataclass
class Outcomes:
    """What did not run in this session: reasons of skipped tests by node id, and whole kinds that were left out."""

    skipped: dict[str, str]
    left_out: list[str]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run repeat the order of another."""
    seed = random.SystemRandom().randrange(100_000)
    parser.addoption("--seed", type=int, default=seed, help="run the tests in the order of the run that printed it")


def pytest_configure(config: pytest.Config) -> None:
    """Start with nothing skipped, and nothing being built."""
    config.stash[OUTCOMES] = Outcomes({}, [])
    config.stash[BUILDER] = None


def kind_of(path: Path) -> str | None:
    """Name the kind of a test file by its folder under tests/, None outside the four."""
    parts = path.relative_to(HERE).parts if path.is_relative_to(HERE) else ()
    return parts[0] if parts and parts[0] in KINDS else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark, limit and order the tests, and leave the end-to-end ones out where they can't run."""
    kinds = [*KINDS, None]
    for item in items:
        if name := kind_of(item.path):
            item.add_marker(name)
            if item.get_closest_marker("timeout") is None:
                kind = KINDS[name]
                item.add_marker(pytest.mark.timeout(kind.seconds, func_only=not kind.with_fixtures))
    seed = config.option.seed
    items.sort(key=lambda item: (kinds.index(kind_of(item.path)), *shuffled(seed, item.nodeid)))

    end_to_end = [item for item in items if kind_of(item.path) == "e2e"]
    if end_to_end and (missing := missing_for_end_to_end()):
        items[:] = [item for item in items if kind_of(item.path) != "e2e"]
        config.hook.pytest_deselected(items=end_to_end)
        config.stash[OUTCOMES].left_out.append(f"{len(end_to_end)} end-to-end tests did not run: {missing}")


def shuffled(seed: int, nodeid: str) -> tuple[bytes, bytes]:
    """Return the place of a test: that of its file, so that a module's fixtures are made once, and that inside it.

    A test keeps its place among those that run, however few of them are chosen.
    """
    file, _, _ = nodeid.partition("::")
    of_file, of_test = (hashlib.sha256(f"{seed} {name}".encode()).digest() for name in (file, nodeid))
    return of_file, of_test


def pytest_report_header(config: pytest.Config) -> str:
    """Name the order before the first test, for a run that never comes to its end."""
    return f"order: --seed={config.option.seed}"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to build what the tests of this run need, so that it goes on while those run that don't need it."""
    of_files: dict[Path, set[str]] = {}
    for item in session.items:
        of_files.setdefault(item.path, set()).update(declared_tools(item))
    session.config.stash[DECLARED] = {path: frozenset(tools) for path, tools in of_files.items()}
    wanted = sorted(set().union(*of_files.values()))
    if session.config.option.collectonly or not binaries.missing(*wanted):
        return
    command = ["nice", "-n", "10", sys.executable, "-m", "tools.cluster.binaries", "build", *wanted]
    with shown(session.config):
        session.config.stash[BUILDER] = subprocess.Popen(command, cwd=HERE.parent, start_new_session=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End a build that nobody waits for any longer."""
    builder = config.stash.get(BUILDER, None)
    if builder is not None and builder.poll() is None:
        os.killpg(builder.pid, signal.SIGTERM)
        builder.wait(30)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Wait for the tools that a test declares before its time begins to run, and let it ask for no others."""
    wanted = item.config.stash[DECLARED][item.path]  # of the whole file: its fixtures outlive a test
    binaries.declared = None
    if binaries.missing(*wanted):
        with shown(item.config):
            try:
                binaries.build(*wanted)
            except (binaries.BuildFailedError, NoGoToolchainError) as error:
                pytest.exit(str(error), returncode=1)
    binaries.declared = wanted
    try:
        return (yield)
    finally:
        binaries.declared = None


@pytest.fixture(autouse=True)
def _log_is_left_as_found() -> Iterator[None]:
    """Put the levels of the log back after a test, and fail one that silences it for the tests after it."""
    levels, silent = [logger.level for logger in LOGGERS], logging.root.manager.disable
    before = loudness()
    yield
    after = loudness()
    for logger, level in zip(LOGGERS, levels, strict=True):
        logger.setLevel(level)
    logging.disable(silent)
    if any(now > then for now, then in zip(after, before, strict=True)):
        pytest.fail(f"the log was heard from the levels {before} on before this test, and from {after} on now")


def loudness() -> tuple[int, ...]:
    """Return the level from which on each of the loggers is heard, and the one up to which everything is silent."""
    return (*(logger.getEffectiveLevel() for logger in LOGGERS), logging.root.manager.disable)


def declared_tools(item: pytest.Item) -> list[str]:
    """Return the tools that a test needs: those of its markers and of its fixtures."""
    marked = [name for marker in item.iter_markers("tools") for name in marker.args]
    fixtures = [name for fixture in getattr(item, "fixturenames", ()) for name in TOOLS_OF_FIXTURES.get(fixture, ())]
    return binaries.tools_of(*marked, *fixtures)


def shown(config: pytest.Config) -> AbstractContextManager[None]:
    """Let progress through: pytest captures what is written otherwise."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else nullcontext()


def missing_for_end_to_end() -> str:
    """Say in one line what this machine lacks for real nodes, and how to get it; empty if nothing."""
    if sys.platform != "linux":
        return "they need Linux (namespaces, cgroups, a kubelet)"
    if os.geteuid() != 0:
        return "they need root (namespaces, mounts, cgroups): run `sudo make test`"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    packages = [package for program, package in DEBIAN_PACKAGES.items() if shutil.which(program, path=path) is None]
    return f"they need: apt-get install {' '.join(packages)}" if packages else ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note every skipped test with its reason (an expected failure is no skip), and fail one whose output has a key."""
    report = yield
    shown = "\n".join([report.longreprtext, *(text for _, text in report.sections)])
    if canaries.is_in(shown):
        report.outcome = "failed"
        report.sections.clear()
        report.longrepr = "a private key of the tests stands in this test's output, log or traceback (not shown)"
    if report.skipped and not hasattr(report, "wasxfail"):
        item.config.stash[OUTCOMES].skipped[item.nodeid] = skip_reason(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Note a file that was skipped as a whole."""
    report = yield
    if report.skipped:
        collector.config.stash[OUTCOMES].skipped[collector.nodeid] = skip_reason(report)
    return report


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the words with which a test was skipped."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn a pass into a failure where everything must run and something did not; elsewhere that is no failure."""
    outcomes = session.config.stash[OUTCOMES]
    if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and outcomes.left_out:
        session.exitstatus = pytest.ExitCode.OK
    if REQUIRE_ALL and (outcomes.skipped or outcomes.left_out) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List what did not run, and why, and how to run what failed in the same order."""
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        terminalreporter.write_line(f"order: --seed={config.option.seed}")
    outcomes = config.stash[OUTCOMES]
    for line in outcomes.left_out:
        terminalreporter.write_line(line, yellow=True)
    if REQUIRE_ALL and (outcomes.skipped or outcomes.left_out):
        terminalreporter.section("nothing may be skipped here (REGISTRY_TRUST_REQUIRE_ALL is set)", red=True)
        for nodeid, reason in sorted(outcomes.skipped.items()):
            terminalreporter.write_line(f"{nodeid}: {reason}")
