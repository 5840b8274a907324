"""The steps before anything changes: the render, the build, the scene, and what a pull says without the files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from registry_trust.core.layout import Layout
from tools.authority import write_file
from tools.cluster.binaries import SETS, build, missing
from tools.cluster.folders import REPOSITORY
from tools.demo.following import Followed, follow
from tools.demo.objects import CA_SECRET, CLIENT_SECRET, NEIGHBOUR, apply, ca_secret, client_secret, the_trust
from tools.demo.output import Output
from tools.demo.pulls import READERS, Puller
from tools.demo.scene import LAYOUTS, Scene
from tools.demo.tree import tree
from tools.installation import MANIFEST, TRUST_NAMESPACE

UNKNOWN_AUTHORITY = "certificate signed by unknown authority"
CERTIFICATE_REQUIRED = "certificate required"

EXAMPLE = "examples/client-certificate.yaml"


def render_example(out: Output) -> None:
    """Show the files that an example gives a node: no cluster, nothing compiled."""
    out.heading("What a node would get: no cluster needed, nothing compiled yet")
    out.command(f"registry-trust render {EXAMPLE}")
    command = [sys.executable, "-m", "registry_trust", "render", EXAMPLE]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    out.block(done.stdout.rstrip())
    if done.returncode != 0:
        raise AssertionError(f"registry-trust render {EXAMPLE} ended with {done.returncode}: {done.stderr.strip()}")


def build_binaries(out: Output) -> None:
    """Build the real programs, once."""
    out.heading(f"The real programs: {', '.join(SETS['demo'])}")
    if unbuilt := missing("demo"):
        out.say(f"Building {', '.join(unbuilt)} from source with Go, once; later runs find them in the cache.")
        # Here and not before: a machine without Go has seen the files by now, and waits for it only once.
        subprocess.run(["make", "--no-print-directory", ".venv/.go"], cwd=REPOSITORY, timeout=600, check=True)
    build("demo")
    out.good("built")


def install_and_start(out: Output, scene: Scene) -> None:
    """Apply deploy/, then start the operator and the agents with their own service accounts."""
    out.heading("registry-trust: the operator and three agents, as processes")
    installation = scene.installation
    installation.install()
    out.good(f"{MANIFEST.relative_to(REPOSITORY)} applied, but for what needs kubelets (Deployment)")
    installation.start_operator()
    for name, layout in LAYOUTS.items():
        installation.start_agent(name, [layout])
    scene.wait_until_all_work()
    out.good("the operator leads, with the rights of its own service account")
    for node in scene.nodes:
        out.good(f"{node.name}'s agent reports, its token bound to that Node; it writes for {READERS[node.layout]}")


def make_neighbours(scene: Scene) -> dict[str, Path]:
    """Lay down what another tool may have: a directory for another registry in each root."""
    folders = {}
    for node in scene.nodes:
        folder = node.root / node.entry(NEIGHBOUR)
        folder.mkdir()
        write_file(folder / "ca.crt", scene.registry.authority.pem)
        if node.layout is Layout.CONTAINERD:
            write_file(folder / "hosts.toml", b'ca = ["ca.crt"]\n\n[host]\n')
        folders[node.name] = folder
    return folders


def show_refusals(out: Output, scene: Scene, image: str) -> None:
    """Show that without the files no runtime pulls, and that the CA alone is not enough."""
    out.heading(f"Before: nobody can pull {image}")
    out.say(
        f"The registry demands client certificates. It is named {scene.registry.name} and dialled at "
        f"{scene.registry.dial}: for localhost and 127.* runtimes skip verification, and a pull would prove nothing. "
        "The loaders are the runtimes' own Go packages, those of moby, containers-image and containerd."
    )
    for words in words_of_refusals(scene, image, UNKNOWN_AUTHORITY):
        out.good(f"refused, {words}")
    folder = scene.run.subfolder("ca-alone") / scene.registry.name
    folder.mkdir(exist_ok=True)
    write_file(folder / "ca.crt", scene.registry.authority.pem)
    puller = Puller(scene.loaders, Layout.DOCKER, folder.parent, scene.registry.dial)
    refused = puller.must_fail(image, CERTIFICATE_REQUIRED)
    out.good(f"refused with the CA but no client certificate: {_words(refused.error)}")


def apply_trust(out: Output, scene: Scene, image: str) -> Followed:
    """Apply the trust, and pull through the files that the agents wrote."""
    out.heading("The RegistryTrust")
    registry = scene.registry
    apply(scene.api, ca_secret(registry.authority.pem))
    apply(scene.api, client_secret(registry.client("node")))
    out.good(f"Secrets {CA_SECRET} and {CLIENT_SECRET} in namespace {TRUST_NAMESPACE}")
    manifest = the_trust(registry.name)
    out.block(yaml.safe_dump(manifest, sort_keys=False).rstrip())
    followed = follow(scene, lambda: apply(scene.api, manifest))
    out.good(f"applied: files on three nodes after {followed.files:.2f} s, Ready after {followed.ready:.2f} s")
    show_trees(out, scene)
    pull_everywhere(out, scene, image)
    return followed


def show_trees(out: Output, scene: Scene) -> None:
    """Show the three roots."""
    for node in scene.nodes:
        out.block([f"{node.name}, {node.layout} layout: {node.root.relative_to(scene.run.folder)}/", *tree(node.root)])


def pull_everywhere(out: Output, scene: Scene, image: str) -> None:
    """Pull once on every node; all must succeed."""
    for puller in scene.pullers():
        pull = puller.must_succeed(image)
        out.good(f"pulled by {READERS[puller.layout]}: {pull.digest[:19]}, {pull.blobs} blobs, {pull.ms:.0f} ms")


def words_of_refusals(scene: Scene, image: str, words: str) -> list[str]:
    """Pull on every node, which must fail with these words; return who said what."""
    return [f"{READERS[one.layout]}: {_words(one.must_fail(image, words).error)}" for one in scene.pullers()]


def _words(error: str) -> str:
    """Return what is said after the request that failed: the words of TLS."""
    return error[error.find("tls: ") :] if "tls: " in error else error
