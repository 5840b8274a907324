"""Podman and Skopeo on a node pull through the files that the agent wrote; an ordinary user's go on elsewhere."""

from __future__ import annotations

import shlex
import uuid
from pathlib import Path

import pytest

from tests.e2e.three_nodes import SINGLE, ThreeNodes
from tools.cluster.nodes import NodeError
from tools.cluster.waiting import wait_until

UNKNOWN_CA = "x509: certificate signed by unknown authority"
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=/run/nobody")
"""An ordinary user; the home is a folder of the node."""


def words_of(nodes: ThreeNodes, *command: str) -> str:
    """Run a command on the first node; return its words where it fails, else nothing."""
    try:
        nodes.node(SINGLE).run_command(*command, timeout=120)
    except NodeError as error:
        return str(error)
    return ""


def podman(nodes: ThreeNodes, image: str) -> str:
    """Let Podman pull into a store of its own."""
    place = f"/run/podman-{uuid.uuid4().hex[:8]}"
    storage = (f"--root={place}/images", f"--runroot={place}/run", "--storage-driver=vfs", "--events-backend=file")
    return words_of(nodes, "podman", *storage, "pull", image)


def skopeo(image: str) -> tuple[str, ...]:
    """Return the command that copies an image into a folder which everybody may make."""
    return "skopeo", "copy", f"docker://{image}", f"dir:/run/nobody/{uuid.uuid4().hex[:8]}"


@pytest.fixture
def home(clean: ThreeNodes) -> Path:
    """Make an ordinary user's home on the first node, and let an ordinary user through to it."""
    node = clean.node(SINGLE)
    home = node.path("/run/nobody")
    home.mkdir(exist_ok=True)
    node.run_command("chown", "65534:65534", "/run/nobody")
    for folder in ("/run", "/etc"):
        node.path(folder).chmod(0o755)
    return home


def test_podman_pull_and_skopeo_copy_work_once_a_trust_is_there_with_no_restart(clean: ThreeNodes, home: Path) -> None:
    image = clean.image()
    assert UNKNOWN_CA in podman(clean, image)
    assert UNKNOWN_CA in words_of(clean, *skopeo(image))

    clean.sources()
    clean.trust()
    entry = clean.node(SINGLE).path("/etc/containers/certs.d") / clean.registry.name
    wait_until((entry / "client.key").exists, "the files are there", within=60)

    assert podman(clean, image) == ""
    assert words_of(clean, *skopeo(image)) == ""


def test_an_ordinary_user_s_skopeo_goes_on_past_keys_that_are_root_s_alone(clean: ThreeNodes, home: Path) -> None:
    image = clean.image()
    clean.sources()
    clean.trust()
    registry = clean.registry.name
    entry = clean.node(SINGLE).path("/etc/containers/certs.d") / registry
    wait_until((entry / "client.key").exists, "the files are there", within=60)

    # Neither root can be entered, so the system's roots are left; no word of "permission denied".
    words = words_of(clean, *NOBODY, *skopeo(image))
    assert UNKNOWN_CA in words
    assert "denied" not in words

    # The next root has something that the user may read.
    other = clean.node(SINGLE).path("/run/other-docker") / "certs.d" / registry
    pair = clean.registry.client()
    other.mkdir(parents=True)
    (other / "ca.crt").write_bytes(clean.registry.authority.pem)
    (other / "client.cert").write_bytes(pair.certificate)
    (other / "client.key").write_bytes(pair.key)
    (other / "client.key").chmod(0o644)
    script = f"mount --bind /run/other-docker /etc/docker && exec {shlex.join([*NOBODY, *skopeo(image)])}"
    assert words_of(clean, "unshare", "--mount", "sh", "-c", script) == ""

    # And a directory that can be entered, with a key that can't be read, is what the modes of ours avoid.
    (other / "client.key").chmod(0o600)
    assert "permission denied" in words_of(clean, "unshare", "--mount", "sh", "-c", script)
