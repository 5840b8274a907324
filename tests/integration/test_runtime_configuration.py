"""The agent follows a runtime's configuration: what is read, what stands in the way, and whether it was restarted."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry_trust.agent.options import Mount
from registry_trust.agent.runtime.unit_starts import started
from registry_trust.api.crd import render_crds
from registry_trust.core.reasons import Reason
from registry_trust.doctor.diagnosis import Diagnosis, Outlook, diagnose
from registry_trust.doctor.examination import Examination
from registry_trust.doctor.options import parse
from registry_trust.doctor.showing import text
from tests.integration.agent_site import AUTHORITY, BINDINGS, REGISTRY, RIGHTS, Site, trust
from tools.cluster.control_plane import ControlPlane
from tools.cluster.processes import Process, start
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, NAMESPACE, REPOSITORY, Installation

ROOTS = ("/etc/containerd/certs.d", "/etc/containers/certs.d")
READS = "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n"
READS_NOTHING = "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry.mirrors.'a.example']\nendpoint = []\n"


@dataclass
class Host:
    """Folders that stand for a node's, and an agent that finds them as the chart's mounts would show them."""

    site: Site
    folder: Path
    agent: Process | None = None

    def path(self, inside: str) -> Path:
        """Return where a path of the host is."""
        return self.folder / inside.lstrip("/")

    def configure(self, text: str) -> None:
        """Write containerd's configuration."""
        self.path("/etc/containerd/config.toml").write_text(text)

    def start_runtime(self, seconds_ago: float = 0) -> None:
        """Leave what systemd leaves when it starts containerd: a new link."""
        link = self.path("/run/systemd/units/invocation:containerd.service")
        link.unlink(missing_ok=True)
        link.symlink_to(os.urandom(16).hex())
        then = time.time() - seconds_ago
        os.utime(link, (then, then), follow_symlinks=False)

    def start_agent(self, *options: str, runtime: str = "containerd://2.4.2") -> None:
        """Start the agent on a Node with that runtime."""
        info = json.dumps({"status": {"nodeInfo": {"containerRuntimeVersion": runtime}}})
        self.site.kubectl("patch", "node", self.site.node, "--subresource=status", "--type=merge", "-p", info)
        plane = self.site.installation.plane
        account = plane.service_account_folder(NAMESPACE, "registry-trust-agent", node=self.site.node)
        self.agent = start(
            plane.run,
            f"agent-{self.site.node}",
            [
                *(sys.executable, "-P", "-m", "registry_trust.agent"),
                *(f"--node-name={self.site.node}", f"--namespace={NAMESPACE}", f"--api-server={plane.url}"),
                *(f"--ca-file={account / 'ca.crt'}", f"--token-file={account / 'token'}", "--drift-interval=0.5"),
                *(
                    f"--root={root}={self.path(root)}"
                    for root in ("/etc/containerd/certs.d", "/etc/containers/certs.d")
                ),
                *(f"--runtime-config={each}={self.path(each)}" for each in ("/etc/containerd", "/etc/containers")),
                *options,
            ],
            environment={"PYTHONPATH": str(REPOSITORY / "operator")},
        )

    def units(self) -> str:
        """Return the option by which the agent sees systemd's links."""
        return f"--systemd-units=/run/systemd/units={self.path('/run/systemd/units')}"

    def target(self) -> dict[str, Any]:
        """Return the first target of the report; empty while there is none."""
        targets = self.site.report()["status"]["targets"]
        found: dict[str, Any] = targets[0]
        return found

    def wait_for_target(self, state: str, reason: str = "", words: str = "") -> dict[str, Any]:
        """Wait until the first target of the report is so; return it."""

        def reached() -> dict[str, Any] | None:
            target = self.target()
            as_asked = (target["state"], target.get("reason", "")) == (state, reason)
            assert as_asked, target
            assert words in target.get("message", ""), target
            return target

        return wait_until(reached, f"the target is {state} {reason} {words}", within=30)

    def wait_for_row(self, state: str, reason: str = "") -> dict[str, Any]:
        """Wait until the only registry of the report is so; return it."""

        def reached() -> dict[str, Any]:
            (row,) = self.site.report()["status"]["registries"]
            assert (row["state"], row.get("reason", "")) == (state, reason), row
            found: dict[str, Any] = row
            return found

        return wait_until(reached, f"the registry is {state} {reason}", within=30)


@pytest.fixture(scope="module")
def grounds(plane: ControlPlane) -> Installation:
    """Give the API server the kinds, the bundle's empty Secret, and an account with an agent's rights."""
    plane.kubectl("apply", "--server-side", "-f", "-", input="\n---\n".join(render_crds().values()))
    plane.kubectl.wait_for_kinds("nodetrusts.registrytrust.io")
    plane.kubectl.apply(*RIGHTS)
    plane.kubectl.apply(*BINDINGS)
    return Installation(plane)


@pytest.fixture
def host(grounds: Installation, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """Create a Node, a bundle with one trust, and empty folders; end the agent afterwards."""
    node = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    grounds.add_node(node)
    kubectl = grounds.plane.kubectl
    kubectl("delete", "secret", BUNDLE, "-n", NAMESPACE, "--ignore-not-found")
    kubectl("create", "secret", "generic", BUNDLE, "-n", NAMESPACE, "--type=registrytrust.io/bundle")
    host = Host(Site(grounds, node), tmp_path)
    for folder in (*ROOTS, "/run/systemd/units"):
        host.path(folder).mkdir(parents=True)
    host.site.put(trust(), blobs=(AUTHORITY.pem,))
    yield host
    if host.agent is not None:
        host.agent.stop()


def test_a_change_before_the_agent_came_counts_until_the_runtime_is_restarted(host: Host) -> None:
    host.start_runtime(seconds_ago=30)
    host.configure(READS)
    host.start_agent(host.units())

    target = host.wait_for_target("Unknown", "RuntimeNotRestarted", "systemctl restart containerd")
    assert "/etc/containerd/config.toml has changed since" in target["message"]
    host.wait_for_row("Current")  # The files are there for the day: they are read from the restart on.

    host.start_runtime()
    host.wait_for_target("Read")


def test_a_change_that_the_agent_saw_ends_with_a_restart_and_one_that_alters_nothing_is_none(host: Host) -> None:
    host.configure(READS_NOTHING)
    host.start_runtime()
    host.start_agent(host.units())
    host.wait_for_target("NotRead", "RootNotRead")

    host.configure(READS)
    host.wait_for_target("Unknown", "RuntimeNotRestarted")
    host.start_runtime()
    host.wait_for_target("Read")
    host.configure(f"{READS}\n# a comment\n")
    log = host.agent.log if host.agent is not None else None
    assert log is not None
    wait_until(lambda: log.read_text().count("configuration changed") >= 2, "the agent has seen the comment", within=20)
    assert host.target()["state"] == "Read"


def test_without_systemd_a_change_that_the_agent_saw_is_a_remark_until_it_is_taken_back(host: Host) -> None:
    host.configure(READS_NOTHING)
    host.start_agent()
    host.wait_for_target("NotRead", "RootNotRead")

    host.configure(READS)
    host.wait_for_target("Read", words="unless containerd was restarted since: systemctl restart containerd")
    assert host.site.report()["status"]["state"] == "Current"
    host.configure(READS_NOTHING)
    host.wait_for_target("NotRead", "RootNotRead")
    host.configure(READS)
    host.wait_for_target("Read", words="unless containerd was restarted since")


def test_a_root_that_cri_o_reads_first_is_noticed_at_once_although_it_is_never_written(host: Host) -> None:
    host.start_agent("--drift-interval=600", runtime="cri-o://1.34.0")
    host.wait_for_row("Current")

    first = host.path("/etc/containers/certs.rootful.d") / REGISTRY
    first.mkdir(parents=True)
    row = host.wait_for_row("Failed", "Shadowed")
    assert f"/etc/containers/certs.rootful.d/{REGISTRY} is not written by registry-trust" in row["message"]
    assert list(first.iterdir()) == []

    first.rmdir()
    host.wait_for_row("Current")


def test_a_first_root_that_is_a_link_out_of_what_is_mounted_is_never_ready_by_silence(host: Host) -> None:
    host.path("/etc/containers/certs.rootful.d").symlink_to("/srv/elsewhere")
    host.start_agent(runtime="cri-o://1.34.0")

    target = host.wait_for_target("Unknown", "RuntimeUnknown", "/etc/containers/certs.rootful.d is a symbolic link")
    assert "agent.extraRuntimeConfig" in target["message"]
    host.wait_for_row("Current")


def test_a_start_tells_its_time_unless_the_clock_was_set_since(tmp_path: Path) -> None:
    units = Mount("/run/systemd/units", str(tmp_path))
    link = tmp_path / "invocation:containerd.service"
    assert started(None, "containerd.service") is None
    assert started(units, "containerd.service") is None

    link.symlink_to("0123")
    found = started(units, "containerd.service")
    assert found is not None
    assert found == link.lstat().st_mtime

    os.utime(link, (1000, 1000), follow_symlinks=False)  # before this machine was booted
    assert started(units, "containerd.service") is None


def examined(host: Host) -> Diagnosis:
    """Return what the doctor says beside the running agent, with the options of that agent's command line alone."""
    assert host.agent is not None
    options = parse([], first_process=Path(f"/proc/{host.agent.pid}/cmdline"))
    return diagnose(Examination(options).evidence())


def test_the_doctor_sees_what_the_agent_beside_it_sees(host: Host) -> None:
    host.configure(READS_NOTHING)
    host.start_agent(host.units())
    host.wait_for_target("NotRead", "RootNotRead")

    found = examined(host)
    assert found.chief is not None
    assert found.chief.reason is Reason.ROOT_NOT_READ
    assert found.fix == host.target()["message"]

    host.configure(READS)
    host.wait_for_target("Read")
    host.wait_for_row("Current")

    def good() -> Diagnosis:
        found = examined(host)
        assert found.outlook is Outlook.GOOD, text(found, "")
        return found

    found = wait_until(good, "the doctor finds nothing wrong", within=30)
    seen = found.evidence.cluster
    assert (seen.problem, seen.serial) == ("", host.site.serial)
    assert seen.report is not None
    assert seen.clock is not None
    assert abs(seen.clock.ahead) <= seen.clock.error + 1
    assert [(each.seen.registry, each.outlook) for each in found.registries] == [(REGISTRY, Outlook.GOOD)]
