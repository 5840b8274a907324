"""The roots of containers-image: what CRI-O and Podman read first is what the plan takes to be first."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_trust.agent.options import Mount
from registry_trust.agent.runtime.crio.runtime import CHAIN, ROOT
from registry_trust.agent.single_pass import PassOutcome, apply_once
from registry_trust.agent.store.neighbour_roots import NeighbourRoots
from registry_trust.core.desired import Desired, DesiredRegistry
from registry_trust.core.layout import ClientPair, Layout, Material
from registry_trust.core.observed import Target
from tests.rows import reason_of
from tools.authority import Authority
from tools.cluster.binaries import binary
from tools.cluster.registry import Registry
from tools.cluster.runs import Run

PLACE = CHAIN.index(ROOT)
EARLIER, LATER = CHAIN[:PLACE], CHAIN[PLACE + 1 :]
FOLDERS = ("/etc/containers", "/usr/share/containers", "/etc/docker", "/root/.config/containers")
UNKNOWN_CA = "x509: certificate signed by unknown authority"

pytestmark = [
    pytest.mark.tools("registry", "loaders-chain"),
    pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has other roots: run as root"),
]


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """Start a registry that demands client certificates, by a name that leads to this machine without a hosts file."""
    run = Run.create()
    try:
        with Registry(run, "localhost") as registry:
            registry.push()
            yield registry
    finally:
        run.destroy()


class Host:
    """A folder with every root of the chain below it."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.folder, self.registry = folder, registry
        self.pair = registry.client()
        for path in CHAIN:
            self.path(path).mkdir(parents=True)

    def path(self, inside: str) -> Path:
        """Return where a path of the host is."""
        return self.folder / inside.lstrip("/")

    def foreign(self, root: str, authority: Authority) -> Path:
        """Lay down another process's directory for the registry."""
        folder = self.path(root) / self.registry.name
        folder.mkdir()
        self.pair.write(folder, "theirs", certificate_suffix=".cert")
        (folder / "ca.crt").write_bytes(authority.pem)
        return folder

    def bring(self) -> PassOutcome:
        """One pass of the agent's over the root that it writes, with a look at all the others."""
        target = Target(ROOT, Layout.CONTAINERS, CHAIN)
        written = Mount(ROOT, str(self.path(ROOT)))
        neighbours = NeighbourRoots([Mount(each, str(self.path(each))) for each in FOLDERS], [written])
        others, unseen = neighbours.observe([target])
        assert unseen == {}
        pair = ClientPair("client", self.pair.certificate, self.pair.key)
        item = DesiredRegistry(self.registry.name, ("a",), Material((self.registry.authority.pem,), (pair,)))
        return apply_once(
            str(self.path(ROOT)),
            Layout.CONTAINERS,
            Desired({self.registry.name: item}),
            shown_path=ROOT,
            others=others,
            chain=CHAIN,
        )

    def reason(self) -> str:
        """Make a pass; return the reason of its only row."""
        (row,) = self.bring().rows
        return reason_of(row)

    def fetch(self) -> str:
        """Ask the registry as containers-image does; return its words where that fails, else nothing."""
        done = subprocess.run(
            [binary("loaders-chain"), self.folder, f"{self.registry.name}/app/tiny:1"],
            env={"HOME": str(self.path("/root"))},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not done.stderr, done.stderr
        return done.stdout if done.returncode else ""


@pytest.fixture
def host(tmp_path: Path, registry: Registry) -> Host:
    """Give a test a host with empty roots."""
    return Host(tmp_path, registry)


def test_what_is_written_is_read(host: Host) -> None:
    assert UNKNOWN_CA in host.fetch()
    assert host.reason() == ""
    assert host.fetch() == ""


@pytest.mark.parametrize("root", EARLIER)
def test_a_root_that_comes_first_hides_ours_and_is_named_until_it_is_moved_away(host: Host, root: str) -> None:
    host.bring()
    hiding = host.foreign(root, Authority.create("somebody else's"))

    assert UNKNOWN_CA in host.fetch()
    assert host.reason() == "Shadowed"
    hiding.rename(host.folder / "moved-away")
    assert host.reason() == ""
    assert host.fetch() == ""


@pytest.mark.parametrize("root", LATER)
def test_a_root_that_comes_later_is_not_hidden_and_does_not_hide(host: Host, root: str) -> None:
    theirs = host.foreign(root, host.registry.authority)
    assert host.fetch() == ""
    assert host.reason() == "WouldShadow"
    assert list(host.path(ROOT).iterdir()) == [] or host.fetch() == "", "theirs is still what is read"

    theirs.rename(host.folder / "moved-away")
    assert host.reason() == ""
    host.foreign(root, Authority.create("somebody else's"))
    assert host.reason() == ""
    assert host.fetch() == "", "ours is read, and theirs is not"


def test_another_path_to_the_root_that_is_written_does_not_hide_it(host: Host) -> None:
    first = host.path("/etc/containers/certs.rootful.d")
    first.rmdir()
    first.symlink_to("certs.d")

    assert [host.reason(), host.reason()] == ["", ""], "not even when our entry is there"
    assert host.fetch() == ""
