"""Mirrors of others: pods pull through them with a trust as without, and what a neighbour clears comes back."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.three_nodes import SINGLE, ThreeNodes
from tools.cluster.binaries import binary
from tools.cluster.registry import Registry
from tools.cluster.waiting import wait_until
from tools.installation import REPOSITORY
from tools.trials.clearing import Neighbour, fight, is_whole

ROOT = "/etc/containerd/certs.d"
STARTS, EVERY = 9, 20.0
"""Three minutes; `make torture PARTS=clearing` goes on for an hour."""


@pytest.fixture(scope="module")
def mirror(nodes: ThreeNodes) -> Registry:
    """Start a second registry, with a CA and client certificates of its own."""
    return nodes.cluster.add_registry("mirror.corp.test", 5001)


@pytest.fixture
def root(clean: ThreeNodes) -> Iterator[Path]:
    """Give the root that the first node's containerd reads, and leave nothing of a neighbour in it."""
    path = clean.node(SINGLE).path(ROOT)
    yield path
    for name in ("_default", "_backup", "docker.io"):
        shutil.rmtree(path / name, ignore_errors=True)


def write(root: Path, name: str, text: str) -> None:
    (root / name).mkdir(exist_ok=True)
    (root / name / "hosts.toml").write_text(text)


def only_in(registry: Registry, known_as: str) -> str:
    """Push an image that one registry alone has; return its name in the other one."""
    tag = uuid.uuid4().hex[:10]
    image = registry.push(add=[f"/pause={binary('pause')}"], entrypoint="/pause", tag=tag, label=tag)
    return f"{known_as}/{image.partition('/')[2]}"


def trust_mirror(clean: ThreeNodes, mirror: Registry) -> None:
    clean.secret("mirror-ca", {"ca.crt": mirror.authority.pem})
    clean.pair_secret("mirror-client", mirror.client())
    clean.trust("mirror", registries=[mirror.name])


def entry_of(root: Path, registry: Registry) -> Path:
    host, port = registry.name.split(":")
    return root / f"{host}_{port}_"


def row(clean: ThreeNodes, registry: Registry) -> dict[str, Any]:
    """Return what the first node reports of a registry."""
    rows = clean.report(SINGLE).get("registries", [])
    found: dict[str, Any] = next((each for each in rows if each["name"] == registry.name), {})
    return found


def test_pods_pull_through_the_mirror_of_default_and_without_it_from_the_registry(
    clean: ThreeNodes, mirror: Registry, root: Path
) -> None:
    header = f"canary-{uuid.uuid4().hex}"
    table = f'[host."https://{mirror.name}"]\ncapabilities = ["pull", "resolve"]\n'
    write(root, "_default", f'{table}[host."https://{mirror.name}".header]\nX-Password = "{header}"\n')
    clean.sources()
    clean.trust()
    trust_mirror(clean, mirror)
    wait_until(lambda: row(clean, clean.registry).get("reason") == "MirrorsCarried", "the mirror is carried", within=60)
    assert row(clean, clean.registry)["state"] == "Current"
    assert row(clean, clean.registry)["message"].endswith(f"{ROOT}/_default says: https://{mirror.name}")

    assert clean.pull(SINGLE, only_in(mirror, clean.registry.name)) == "", clean.situation()

    mirror.stop()
    assert clean.pull(SINGLE) == "", clean.situation()
    mirror.start()
    shown = json.dumps({name: str(text) for name, text in clean.shown().items()})
    assert header not in shown, "a header is in nothing that is shown"

    # What appears, changes and goes is followed.
    hosts_toml = entry_of(root, clean.registry) / "hosts.toml"
    write(root, "_default", '[host."http://127.0.0.1:1"]\n')
    wait_until(lambda: "127.0.0.1:1" in hosts_toml.read_text(), "the change is followed", within=10)
    assert mirror.name not in hosts_toml.read_text()
    shutil.rmtree(root / "_default")
    wait_until(lambda: "127.0.0.1:1" not in hosts_toml.read_text(), "its end is followed", within=10)
    assert clean.pull(SINGLE) == "", clean.situation()


def test_the_page_on_a_mirror_of_your_own_is_carried_out_and_pods_pull_through_it(
    clean: ThreeNodes, mirror: Registry, root: Path
) -> None:
    trust_mirror(clean, mirror)
    page = (REPOSITORY / "docs" / "install.md").read_text()
    found = re.search(r"```toml\n# /etc/containerd/certs.d/docker.io/hosts.toml\n(.*?)```", page, re.DOTALL)
    assert found is not None
    entry = entry_of(root, mirror)
    text = found[1].replace("mirror.corp.example:5000", mirror.name)
    text = text.replace("mirror.corp.example_5000_", entry.name)
    wait_until(entry.exists, "the mirror's certificates are there", within=60)
    lines = [line for line in text.splitlines() if not line.startswith(("ca", "client"))]
    image = only_in(mirror, "docker.io")

    write(root, "docker.io", "\n".join(lines))
    assert "x509" in clean.pull(SINGLE, image)
    wait_until(
        lambda: any("leads to" in str(notice) for notice in clean.report(SINGLE).get("notices", [])),
        "the line to add is shown",
        within=60,
    )
    write(root, "docker.io", text)

    assert clean.pull(SINGLE, image) == "", clean.situation()


def test_a_neighbour_that_empties_the_root_at_each_start_costs_no_pull_longer_than_the_repair(
    clean: ThreeNodes, mirror: Registry, root: Path
) -> None:
    # Not the registry of all other tests: what is contested stays so for ten minutes.
    trust_mirror(clean, mirror)
    entry = entry_of(root, mirror)
    wait_until(entry.exists, "the entry is there", within=60)
    image = only_in(mirror, mirror.name)
    neighbour = Neighbour(root, '[host."http://127.0.0.1:1"]\ncapabilities = ["pull", "resolve"]\n')

    fought = fight(neighbour, lambda: is_whole(entry), lambda: clean.pull(SINGLE, image), starts=STARTS, every=EVERY)

    assert fought.faults == [], clean.situation()
    assert fought.pulls > STARTS
    assert "127.0.0.1:1" in (entry / "hosts.toml").read_text()
    assert row(clean, mirror)["reason"] == "Contested", "somebody keeps removing it, and that is said"

    neighbour.uninstall()
    wait_until(
        lambda: entry.exists() and "127.0.0.1" not in (entry / "hosts.toml").read_text(), "it is as it was", within=30
    )
    assert clean.pull(SINGLE, image) == "", clean.situation()
