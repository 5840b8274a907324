"""Gives every test the marker, order and time limit of its folder, and says in one line what could not run."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster import canaries

if TYPE_CHECKING:
    from collections.abc import Generator

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
    "integration": Kind(300, with_fixtures=False),  # the first test that needs the control plane builds it
    "e2e": Kind(900, with_fixtures=False),
    "fleet": Kind(1800, with_fixtures=False),
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

OUTCOMES = pytest.StashKey["Outcomes"]()


@dataclass
class Outcomes:
    """What did not run in this session: reasons of skipped tests by node id, and whole kinds that were left out."""

    skipped: dict[str, str]
    left_out: list[str]


def pytest_configure(config: pytest.Config) -> None:
    """Start with nothing skipped."""
    config.stash[OUTCOMES] = Outcomes({}, [])


def kind_of(path: Path) -> str | None:
    """Name the kind of a test file by its folder under tests/, None outside the five."""
    parts = path.relative_to(HERE).parts if path.is_relative_to(HERE) else ()
    return parts[0] if parts and parts[0] in KINDS else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark, limit and order the tests, and leave the end-to-end ones out where they can't run."""
    order = [*KINDS, None]
    for item in items:
        if name := kind_of(item.path):
            item.add_marker(name)
            if item.get_closest_marker("timeout") is None:
                kind = KINDS[name]
                item.add_marker(pytest.mark.timeout(kind.seconds, func_only=not kind.with_fixtures))
    items.sort(key=lambda item: order.index(kind_of(item.path)))  # stable: files keep their order

    end_to_end = [item for item in items if kind_of(item.path) == "e2e"]
    if end_to_end and (missing := missing_for_end_to_end()):
        items[:] = [item for item in items if kind_of(item.path) != "e2e"]
        config.hook.pytest_deselected(items=end_to_end)
        config.stash[OUTCOMES].left_out.append(f"{len(end_to_end)} end-to-end tests did not run: {missing}")


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
    """Turn a pass into a failure where everything must run and something did not."""
    outcomes = session.config.stash[OUTCOMES]
    if REQUIRE_ALL and (outcomes.skipped or outcomes.left_out) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List what did not run, and why."""
    outcomes = config.stash[OUTCOMES]
    for line in outcomes.left_out:
        terminalreporter.write_line(line, yellow=True)
    if REQUIRE_ALL and (outcomes.skipped or outcomes.left_out):
        terminalreporter.section("nothing may be skipped here (REGISTRY_TRUST_REQUIRE_ALL is set)", red=True)
        for nodeid, reason in sorted(outcomes.skipped.items()):
            terminalreporter.write_line(f"{nodeid}: {reason}")
