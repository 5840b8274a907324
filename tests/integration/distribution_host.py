"""A host in the shape of a distribution: its files in a directory, the real agent over it, and its containerd in it."""

from __future__ import annotations

import json
import os
import posixpath
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deploy.generate import CHART
from registry_trust.agent.delivery.inbox import Inbox, NodeSeen, ReceivedBundle
from registry_trust.agent.health import Health
from registry_trust.agent.loop import Loop
from registry_trust.agent.options import Mount, Options, parse
from registry_trust.agent.runtime.node import signs_of
from registry_trust.agent.runtime.runtimes import Runtimes
from registry_trust.agent.verifier import Verifier
from registry_trust.core.bundle import Bundle, ClientPairRef, IndexedTrust, TrustContent, TrustState, reference_of
from registry_trust.core.report import NodeReport
from tests.integration.looping_agent import Told
from tools.authority import Pair
from tools.cluster.binaries import binary
from tools.cluster.processes import start
from tools.cluster.registry import Registry
from tools.cluster.runs import Run
from tools.cluster.waiting import wait_until
from tools.distributions.settings import SETTINGS
from tools.distributions.shape import CONFIG, DEFAULT, Shape
from tools.distributions.starts import SPECIFICATION, started
from tools.trials.containerd_oracle import VERSIONS
from tools.trials.roots import MovedClock

SOCKET = "/run/containerd/containerd.sock"
_CONTAINERD = "/usr/local/bin/containerd"
_ENTER = f"""set -e
mount -t proc proc "$1/proc"
mount --rbind /sys "$1/sys"
mount --rbind /dev "$1/dev"
mount --bind "$2" "$1{_CONTAINERD}"
host=$1
shift 2
exec chroot "$host" {_CONTAINERD} "$@"
"""


@cache
def agent_arguments(settings: str) -> tuple[list[str], dict[str, str]]:
    """Return the agent's arguments as the chart has them with these values, and what it mounts: path to its type."""
    done = subprocess.run(
        [binary("helm"), "template", "release", CHART, "--show-only=templates/agent-daemonset.yaml", "--values=-"],
        input=settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pod = yaml.safe_load(done.stdout)["spec"]["template"]["spec"]
    mounts = [volume["hostPath"] for volume in pod["volumes"] if "hostPath" in volume]
    return pod["containers"][0]["args"], {mount["path"]: mount["type"] for mount in mounts}


@dataclass
class Host:
    """A host of one shape, on which the agent is turned by hand.

    Attributes:
        shape: what it has.
        version: of its containerd, such as "1.7".
        folder: its root directory.
        registry: what it is to trust.
        pair: what it proves itself with.
        processes: the run whose processes its containerds are.
    """

    shape: Shape
    version: str
    folder: Path
    registry: Registry
    pair: Pair
    processes: Run
    inbox: Inbox = field(default_factory=Inbox)
    stop: threading.Event = field(default_factory=threading.Event)
    clock: MovedClock = field(default_factory=MovedClock)

    def __post_init__(self) -> None:
        for path in ("/proc", "/sys", "/dev", "/tmp", "/run", "/var/lib", "/usr/local/bin", "/etc"):
            self.path(path).mkdir(parents=True)
        self.path(_CONTAINERD).touch()
        self.write("/etc/hosts", f"127.0.0.1 localhost {self.registry.name.partition(':')[0]}\n")
        self.default = self.run("config", "default") if self._wants_default() else ""
        for path, text in self.shape.files.items():
            self.write(path, self.default if text == DEFAULT else text)
        for path, target in self.shape.links.items():
            self.path(path).symlink_to(target)
        self.told = Told(self.stop)
        self.install(SETTINGS[self.shape.settings])
        self.restart()

    @property
    def runtime(self) -> str:
        """The runtime as the Node's status names it."""
        return self.shape.runtime or f"containerd://{'.'.join(map(str, VERSIONS[self.version]))}{self.shape.build}"

    def path(self, path: str) -> Path:
        """Return where a path of the host is."""
        return self.folder / path.lstrip("/")

    def write(self, path: str, text: str) -> None:
        """Write a file of the host."""
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text)

    def files(self) -> dict[str, str]:
        """Return the texts of its configuration."""
        found = [each for each in self.folder.rglob("*.toml*") if each.is_file()]
        found += [self.path(SPECIFICATION)] if self.path(SPECIFICATION).exists() else []
        return {f"/{each.relative_to(self.folder)}": each.read_text() for each in found}

    def restart(self) -> None:
        """Do what the distribution does before it starts containerd."""
        for path, text in started(self.shape, self.version, self.files(), self.default).items():
            self.write(path, text)

    def install(self, settings: str) -> None:
        """Install the agent with these values of the chart, and tell it of the Node and of one trust."""
        arguments, mounts = agent_arguments(settings)
        for path, kind in mounts.items():  # As the kubelet does it.
            directory = self.path(path if kind == "DirectoryOrCreate" else posixpath.dirname(path))
            directory.mkdir(parents=True, exist_ok=True)
            if kind == "FileOrCreate":
                self.path(path).touch()
        self.options = self._here(parse([each.replace("$(NODE_NAME)", "worker-1") for each in arguments]))
        self.runtimes = Runtimes(self.options)
        health = Health(turned=0.0)
        verifier = Verifier("", self.inbox.wake, self.stop)
        self.loop = Loop(
            self.options,
            self.inbox,
            self.runtimes,
            self.told,
            health,
            self.stop,
            monotonic=self.clock,
            verifier=verifier,
        )
        self.inbox.put_node(NodeSeen("node-uid", self.shape.labels))
        self.inbox.put_runtime(self.runtime, self.shape.os_image, self.shape.kubelet)
        blobs = (self.registry.authority.pem, self.pair.certificate, self.pair.key)
        authority, certificate, key = map(reference_of, blobs)
        content = TrustContent((self.registry.name,), (authority,), (ClientPairRef("client", certificate, key),))
        trust = IndexedTrust("harbor", "uid", 1, TrustState.ACTIVE, content)
        bundle = Bundle(1, (trust,), {reference_of(blob): blob for blob in blobs}, fleet_size=1)
        self.inbox.put_bundle(ReceivedBundle("uid-1", "7", bundle))

    def turn(self) -> NodeReport:
        """Let the agent make the pass after which it has looked at everything again; return its report."""
        self.clock.now += 2 * self.options.drift_interval
        self.loop.turn()
        return self.told.reports[-1]

    def agents_reading(self) -> object:
        """Return what the agent makes of containerd's files; None if it is not to look at them."""
        signs = signs_of(self.shape.os_image, self.shape.kubelet, self.shape.labels)
        facts = self.runtimes.facts(self.runtime, self.shape.labels, frozenset(), signs)
        return facts.containerd.configuration

    def ask(self) -> dict[str, Any]:
        """Ask this containerd what it makes of its main file."""
        answer: dict[str, Any] = json.loads(self.run("ask", given=f"{self.shape.main}\n"))
        return answer

    def pull(self) -> str:
        """Start containerd with its main file, and let it pull as for a kubelet; return why it can't, or nothing."""
        # Without the option containerd does without the usual file where there is none.
        main = ["--config", self.shape.main] if self.shape.main != CONFIG else []
        places = ["--address", SOCKET, "--root", "/var/lib/containerd", "--state", "/run/containerd"]
        containerd = start(self.processes, "containerd", self.command(*main, *places))
        try:
            wait_until(self.path(SOCKET).exists, "containerd listens", within=30, meanwhile=containerd.check)

            def answer() -> str | None:
                found: str = json.loads(self.run("pull", given=f"{SOCKET}\t{self.image}\n"))["error"]
                return None if "not initialized" in found or "unknown service" in found else f"said: {found}"

            said = wait_until(answer, "the CRI plugin serves", within=30, meanwhile=containerd.check)
            return said.removeprefix("said: ")
        finally:
            containerd.stop()

    @property
    def image(self) -> str:
        """What is pulled."""
        return f"{self.registry.name}/app/tiny:1"

    def command(self, *arguments: str) -> list[str]:
        """Return what runs this containerd with nothing but the host's own files around it."""
        program = str(binary(f"containerd-{self.version}"))
        enter = ["unshare", "--mount", "--propagation=private", "sh", "-c", _ENTER, "sh"]
        return [*enter, str(self.folder), program, *arguments]

    def run(self, *arguments: str, given: str = "") -> str:
        """Run this containerd's program to its end; return what it prints."""
        done = subprocess.run(
            self.command(*arguments), input=given, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def _wants_default(self) -> bool:
        return DEFAULT in self.shape.files.values() or self.shape.start.value == "merge"

    def _here(self, options: Options) -> Options:
        def here(mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
            return tuple(Mount(mount.host, str(self.path(mount.host))) for mount in mounts)

        return replace(
            options, roots=here(options.roots), configurations=here(options.configurations), systemd_units=None
        )


@contextmanager
def hosts(registry: Registry, run: Run, folder: Path) -> Iterator[Callable[..., Host]]:
    """Give what makes hosts in a folder, and give back afterwards what their agents hold."""
    pair = registry.client()
    made: list[Host] = []

    def host(shape: Shape, version: str = "") -> Host:
        made.append(Host(shape, version, folder / f"{len(made)}", registry, pair, run))
        return made[-1]

    try:
        yield host
    finally:
        for each in made:
            with closing(each.loop._drift):
                pass


def is_root() -> bool:
    """Say whether containerd can be started here."""
    return os.geteuid() == 0
