"""A directory that stands for a node, brought to what its bundle asks for by a pass of the agent."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from registry_trust.agent.passes import Passes
from registry_trust.agent.rollback import Applied
from registry_trust.agent.runtime.runtimes import Runtimes
from registry_trust.agent.runtime.targets import choose
from registry_trust.core.bundle import Bundle, ClientPairRef, IndexedTrust, TrustContent, TrustState, reference_of
from registry_trust.core.bundle_format import encode
from registry_trust.core.desired import desired_state
from registry_trust.core.layout import Layout
from registry_trust.core.selection import Selector
from registry_trust.doctor.diagnosis import Diagnosis, diagnose
from registry_trust.doctor.examination import Examination
from registry_trust.doctor.options import DoctorOptions, parse
from tools.authority import Authority, Pair
from tools.cluster.loaders import Loaders, Read

REGISTRY = "harbor.corp.example:5000"
SPELLED = "harbor.corp.example_5000_"
CONTAINERD, DOCKER, CRIO = "containerd://2.1.4", "docker://28.5.2", "cri-o://1.34.0"
OLD_CONTAINERD = "containerd://1.7.27"
ROOTS = {
    CONTAINERD: ("/etc/containerd/certs.d", Layout.CONTAINERD),
    DOCKER: ("/etc/docker/certs.d", Layout.DOCKER),
    CRIO: ("/etc/containers/certs.d", Layout.CONTAINERS),
    OLD_CONTAINERD: ("/etc/containerd/certs.d", Layout.CONTAINERD),
}
READS = "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n"
AUTHORITY, OTHER = Authority.create("registry CA"), Authority.create("another CA")
CLIENT, STRANGER = AUTHORITY.client("node"), AUTHORITY.client("stranger")
CLASSIC = '{"features": {"containerd-snapshotter": false}}'


@dataclass
class HostTree:
    """A directory that stands for a node's file system, and a bundle that its agent has applied."""

    path: Path
    runtime: str = CONTAINERD
    registry: str = REGISTRY
    selector: Selector | None = None
    asks: bool = False
    pauses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        for directory in (*(root for root, _ in ROOTS.values()), "/run/systemd/units"):
            self.at(directory).mkdir(parents=True, exist_ok=True)
        self.write("/etc/containerd/config.toml", READS)
        self.write("/etc/docker/daemon.json", CLASSIC)

    def at(self, path: str) -> Path:
        """Return where a path of the host is."""
        return self.path / path.lstrip("/")

    @property
    def root(self) -> str:
        """The root that the runtime reads, on the host."""
        return ROOTS[self.runtime][0]

    def write(self, path: str, content: bytes | str, mode: int = 0o644) -> Path:
        """Write a file; its directories are made."""
        file = self.at(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(mode)
        return file

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link; its directories are made."""
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).symlink_to(target)

    def theirs(self, **files: bytes | str) -> None:
        """Put a directory of somebody else in the place of the registry's; `_` in a name is a dot."""
        name = SPELLED if self.runtime == CONTAINERD else REGISTRY
        self.at(f"{self.root}/{name}").mkdir()
        for file, content in files.items():
            self.write(f"{self.root}/{name}/{file.replace('_', '.')}", content)

    def bundle(self, *, pair: Pair | None = CLIENT, authority: Authority = AUTHORITY, serial: int = 7) -> Bundle:
        """Write a bundle as a mounted Secret has it."""
        blobs = [authority.pem, *([pair.certificate, pair.key] if pair else [])]
        client = (ClientPairRef("client", *map(reference_of, blobs[1:])),) if pair else ()
        content = TrustContent((self.registry,), (reference_of(authority.pem),), client, self.selector)
        trust = IndexedTrust("harbor", "uid", 1, TrustState.ACTIVE, content)
        bundle = Bundle(serial, (trust,), {reference_of(blob): blob for blob in blobs}, fleet_size=1)
        for name, data in encode(bundle).items():
            self.write(f"/bundle/{name}", data)
        return bundle

    def bring(self, bundle: Bundle) -> None:
        """Bring the node to what the bundle asks for, by passes of the agent."""
        agent = self.options().agent
        facts = Runtimes(agent).facts(self.runtime, {}, frozenset())
        passes = Passes(agent.roots, agent.configurations, source="registry-trust/registry-trust-bundle")
        applied = Applied("", bundle.serial)
        while not passes.apply(choose(facts), desired_state(bundle, {}), applied, time.monotonic()).whole:
            pass  # As the loop does: a pass takes steps for so many seconds.

    def options(self, *more: str) -> DoctorOptions:
        """Return the options of a doctor outside the cluster."""
        given = (f"--node-root={self.path}", f"--runtime={self.runtime}", f"--bundle={self.path}/bundle", *more)
        return parse(given)

    def doctor(self, *more: str, now: float | None = None) -> Diagnosis:
        """Return what the doctor finds of the registry; nothing is waited for."""
        options = self.options(self.registry, *more, *([] if self.asks else ["--no-probe"]))
        clock = time.time if now is None else lambda: now
        return diagnose(Examination(options, clock=clock, pause=self.pauses.append).evidence())

    def loaded(self, program: Loaders) -> Read:
        """Return what the runtime's own loader makes of it."""
        return program.read(ROOTS[self.runtime][1], self.at(self.root), self.registry)
