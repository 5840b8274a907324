"""Runs real nodes on one machine: kubelet, containerd and dockerd, each in a network, mounts and cgroup of its own."""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.cluster import cgroups, docker_engine, marked_processes
from tools.cluster.binaries import build
from tools.cluster.control_plane import ControlPlane
from tools.cluster.folders import cache_folder
from tools.cluster.kubectl import KubectlError
from tools.cluster.network import Network, enter_network
from tools.cluster.node_files import (
    OWN_FOLDERS,
    SHARED_MOUNTS,
    NodeIdentity,
    NodeOptions,
    outside,
    write_containerd_configuration,
    write_files,
    write_hosts,
    write_unit_start,
)
from tools.cluster.processes import Process, marked_environment, start
from tools.cluster.runs import Run
from tools.cluster.waiting import wait_until

NEEDED_COMMANDS = {"ip": "iproute2", "nsenter": "util-linux", "unshare": "util-linux", "runc": "runc"}
"""Commands that a node needs, with Debian's package for each."""


class NodeError(AssertionError):
    """A command on a node failed; the message has its words."""


class Node:
    """One node. `path` shows its files from outside; `run_command` runs something where its runtime runs."""

    def __init__(
        self,
        run: Run,
        plane: ControlPlane,
        network: Network,
        number: int,
        options: NodeOptions,
        *,
        outlives: bool = False,
    ) -> None:
        self.binaries = build("nodes", *(["dockerd"] if options.dockerd else []))
        self.identity = NodeIdentity(f"node{number}", number, f"{run.name}-n{number}")
        self.options = options
        self._run = run
        self._plane = plane
        self._network = network
        self._namespace = ""
        self._booted = ""
        self._outlives = outlives
        self.folder = run.folder / self.name
        self.processes: dict[str, Process] = {}

    @property
    def name(self) -> str:
        return self.identity.name

    @property
    def enter(self) -> tuple[str, ...]:
        """The command that runs another in the node's network and mounts."""
        holder = self.processes["holder"]
        return ("nsenter", f"--net=/run/netns/{self._namespace}", f"--mount=/proc/{holder.pid}/ns/mnt", "--")

    def path(self, inside: str) -> Path:
        """Where a path of the node is on this machine. Raises ValueError for what is not the node's own."""
        return outside(self.folder, inside)

    def create(self) -> None:
        """Namespace, cgroup and files; nothing runs yet."""
        node = self.identity
        self.folder.mkdir(mode=0o700)
        for place in (cache_folder(), self._run.folder):
            if any(place.is_relative_to(own) for own in OWN_FOLDERS):
                message = (
                    f"{place} can't be seen from a node, which has {', '.join(OWN_FOLDERS)} of its own: "
                    "set XDG_CACHE_HOME and XDG_STATE_HOME to other places"
                )
                raise NodeError(message)
        self._namespace = self._network.add_member(f"n{node.number}", node.address, pods=node.pods)
        self._run.record("cgroup", node.cgroup)
        cgroups.create(node.cgroup)
        write_files(self.folder, node, self.options, self._plane)

    def start(self) -> None:
        """Boots the node: an empty /run, containerd, dockerd, kubelet. It need not be Ready yet when this returns."""
        self._start_holder()
        self.start_containerd()
        if self.options.dockerd:
            self.start_dockerd()
        self.start_kubelet()

    def stop(self, *, crash: bool = False) -> None:
        """Ends everything on the node with its mounts, as a shutdown or loss of power does; `start` boots it again."""
        if not crash:
            for name in ("kubelet", "dockerd", "containerd"):
                if name in self.processes:
                    self.processes[name].stop()
        cgroups.kill(self.identity.cgroup)
        marked_processes.end(marked_processes.NODE, self.identity.cgroup)
        cgroups.kill(self.identity.cgroup)
        self.reap()
        self.processes.clear()

    def reap(self) -> None:
        """Takes note of the end of processes that another process has ended."""
        for process in self.processes.values():
            process.reap()

    def start_containerd(self) -> None:
        """Returns when it answers."""
        write_unit_start(self.folder, "containerd.service")
        self._start("containerd", [self.binaries["containerd"]])
        self._wait_for("containerd", lambda: self._ctr("version"))

    def configure_containerd(self, config_path: str | None, *, top: str = "", images: str = "") -> None:
        """Writes another configuration, which counts from the next start on."""
        write_containerd_configuration(self.folder, config_path, top=top, images=images)

    def restart_containerd(self, *, config_path: str | None, top: str = "", images: str = "") -> None:
        """With another configuration; pods go on meanwhile."""
        self.processes.pop("containerd").stop()
        self.configure_containerd(config_path, top=top, images=images)
        self.start_containerd()

    def reload_dockerd(self, **settings: Any) -> None:
        """Writes daemon.json and lets dockerd take what it takes without a restart."""
        self.path("/etc/docker/daemon.json").write_text(json.dumps(settings))
        os.kill(self.processes["dockerd"].pid, signal.SIGHUP)

    def start_dockerd(self) -> None:
        """Returns when its API answers, at /run/docker.sock."""
        command: list[str | Path] = [
            self.binaries["dockerd"],
            "--host=unix:///run/docker.sock",
            "--containerd=/run/containerd/containerd.sock",
            "--bridge=none",
            "--userland-proxy=false",
            "--iptables=false",
            "--ip6tables=false",
            f"--cgroup-parent=/{self.identity.cgroup}/docker",
        ]
        self._start("dockerd", command)
        socket = self.path("/run/docker.sock")
        self._wait_for("dockerd", lambda: docker_engine.answers(socket))

    def start_kubelet(self) -> None:
        labels = ",".join(f"{key}={value}" for key, value in self.options.labels.items())
        command: list[str | Path] = [
            self.binaries["kubelet"],
            "--config=/etc/kubernetes/kubelet.json",
            "--kubeconfig=/etc/kubernetes/kubelet.kubeconfig",
            f"--hostname-override={self.name}",
            f"--node-ip={self.identity.address}",
            f"--node-labels={labels}",
            *([f"--register-with-taints={','.join(self.options.taints)}"] if self.options.taints else []),
            "--v=2",
        ]
        self._booted = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # as Kubernetes writes a time
        self._start("kubelet", command)

    def wait_until_ready(self, within: float = 120) -> None:
        """Until the kubelet that was started last reports the condition Ready as True."""

        def ready() -> bool:
            try:
                node = self._plane.kubectl.get("node", self.name)
            except KubectlError:
                return False
            found = [one for one in node.get("status", {}).get("conditions", []) if one["type"] == "Ready"]
            assert found, "it has no condition Ready yet"
            assert found[0]["lastHeartbeatTime"] >= self._booted, "its condition is from before this start"
            assert found[0]["status"] == "True", found[0]["message"]
            return True

        wait_until(ready, f"{self.name} is Ready", within=within, every=0.3, meanwhile=self.processes["kubelet"].check)

    def import_image(self, archive: Path) -> None:
        """Loads an OCI archive where the kubelet finds it."""
        with archive.open("rb") as content:
            done = subprocess.run(
                [*self.enter, self.binaries["ctr"], "--namespace=k8s.io", "images", "import", "-"],
                stdin=content,
                capture_output=True,
                timeout=300,
                check=False,
            )
        if done.returncode != 0:
            message = f"{self.name}: import of {archive}: {done.stderr.decode(errors='replace').strip()}"
            raise NodeError(message)

    def docker_pull(self, image: str) -> str:
        """Lets dockerd pull; returns its error in its own words, empty when the image is there."""
        return docker_engine.pull(self.path("/run/docker.sock"), image)

    def run_command(self, *command: str | Path, timeout: float = 60) -> str:
        """The standard output of a command that runs where the node's runtime runs.

        Raises NodeError.
        """
        done = subprocess.run(
            [*self.enter, *map(str, command)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=marked_environment(self._run, self._environment()),
        )
        if done.returncode != 0:
            message = f"{self.name}: {shlex.join(map(str, command))}: {done.stderr.strip() or done.stdout.strip()}"
            raise NodeError(message)
        return done.stdout

    def set_hosts(self, registries: dict[str, str]) -> None:
        """Registries that the node finds by name (name: address)."""
        write_hosts(self.folder, self.identity, registries)

    def _environment(self) -> dict[str, str]:
        tools = sorted({str(path.parent) for path in self.binaries.values()})
        path = ":".join([*tools, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
        return {"PATH": path, marked_processes.NODE: self.identity.cgroup, "OTEL_TRACES_EXPORTER": "none"}

    def _start_holder(self) -> None:
        """A process that does nothing but keep the node's mounts, which are made here and seen by nobody outside."""
        run_folder = self.path("/run")
        for left in [path for path in run_folder.rglob("*") if not path.is_dir() or path.is_symlink()]:
            left.unlink()  # sockets and process numbers from before: a boot finds /run empty
        script = [
            "set -e",
            *(f"mount --bind {shlex.quote(str(self.path(own)))} {own}" for own in OWN_FOLDERS),
            *(f"mount --bind {shared} {shared}; mount --make-rshared {shared}" for shared in SHARED_MOUNTS),
            "touch /run/mounted",
            "exec sleep infinity",
        ]
        command = [
            *enter_network(self._namespace),
            "unshare",
            "--mount",
            "--propagation=private",
            "sh",
            "-c",
            "\n".join(script),
        ]
        self._start("holder", command, enter=())
        self._wait_for("holder", (run_folder / "mounted").exists)

    def _start(self, name: str, command: Sequence[str | Path], *, enter: Sequence[str] | None = None) -> Process:
        process = start(
            self._run,
            f"{self.name}-{name}",
            [*(self.enter if enter is None else enter), *command],
            environment=self._environment(),
            outlives=self._outlives,
        )
        self.processes[name] = process
        return process

    def _wait_for(self, name: str, condition: Callable[[], bool]) -> None:
        wait_until(
            condition, f"{name} of {self.name} is up", within=60, every=0.1, meanwhile=self.processes[name].check
        )

    def _ctr(self, *arguments: str) -> bool:
        try:
            self.run_command(self.binaries["ctr"], *arguments, timeout=10)
        except (NodeError, subprocess.TimeoutExpired):
            return False
        return True
