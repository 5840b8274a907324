"""Builds etcd, Kubernetes, containerd, dockerd, registry, helm and the loaders from pinned Go modules into a cache.

Command line: `python -m tests.cluster.binaries build [TOOL or SET …]`, `list`, `path TOOL`.
"""

import argparse
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.folders import TOOLS, cache_folder
from tests.cluster.go_toolchain import OLDER_GO, NoGoToolchainError, find_go, older_go, required_version

KUBERNETES_VERSION = "1.37.2"
OLDEST_KUBERNETES = "1.30.14"
"""The oldest supported one: its API server has every field and policy that we use."""
STRIPPED = "-s -w"
SHARED_MODULE = "reading"
"""What several of the loaders import; a change of it builds all anew."""


def _linked(version: str) -> str:
    """Linker flags of Kubernetes: tools refuse to talk to a server that does not say its version."""
    major, minor, _ = version.split(".")
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    return f"{STRIPPED} " + " ".join(f"-X k8s.io/component-base/version.{name}={to}" for name, to in values.items())


@dataclass(frozen=True)
class Tool:
    """One executable: the module (a folder of tools/) and package that it is built from."""

    name: str
    module: str
    package: str
    cold_seconds: int
    """About how long the build takes on two cores with an empty Go cache; the first of a module takes most of it."""
    tags: str = ""
    linker_flags: str = STRIPPED
    older_go: str = ""
    """Build with exactly this version of Go, by the module's `goVERSION.mod`, in place of the machine's."""


def _kubernetes(name: str, seconds: int) -> Tool:
    return Tool(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", seconds, linker_flags=_linked(KUBERNETES_VERSION))


def _containerd(name: str, seconds: int) -> Tool:
    tags = "no_btrfs no_devmapper no_zfs"
    return Tool(name, "containerd", f"github.com/containerd/containerd/v2/cmd/{name}", seconds, tags)


ALL_TOOLS = {
    tool.name: tool
    for tool in (
        Tool("etcd", "etcd", "go.etcd.io/etcd/server/v3", 40),
        _kubernetes("kube-apiserver", 220),
        _kubernetes("kubectl", 40),
        _kubernetes("kube-controller-manager", 50),
        _kubernetes("kube-scheduler", 20),
        _kubernetes("kubelet", 60),
        Tool(
            f"kube-apiserver-{OLDEST_KUBERNETES}",
            "kubernetes-oldest",
            "k8s.io/kubernetes/cmd/kube-apiserver",
            200,
            linker_flags=_linked(OLDEST_KUBERNETES),
        ),
        _containerd("containerd", 40),
        _containerd("containerd-shim-runc-v2", 5),
        _containerd("ctr", 10),
        Tool("dockerd", "moby", "github.com/moby/moby/v2/cmd/dockerd", 140, "exclude_graphdriver_btrfs"),
        Tool("registry", "registry-helm", "github.com/distribution/distribution/v3/cmd/registry", 90),
        Tool("helm", "registry-helm", "helm.sh/helm/v4/cmd/helm", 90),
        Tool("loaders", "loaders", ".", 20, "containers_image_openpgp"),
        Tool("loaders-docker-20.10", "loaders-docker-20.10", ".", 10),
        Tool("loaders-containerd-1.7", "loaders-containerd-1.7", ".", 20),
        Tool("loaders-moby", "loaders-moby", ".", 15),
        Tool("loaders-chain", "loaders-chain", ".", 20, "containers_image_openpgp"),
        Tool("judge", "judge", ".", 3),
        Tool(f"judge-go{OLDER_GO}", "judge", ".", 40, older_go=OLDER_GO),
        Tool("pause", "pause", ".", 3),
        Tool("kstatus", "kstatus", ".", 40),
        Tool("argohealth", "argohealth", ".", 5),
        Tool("promtool", "promtool", "github.com/prometheus/prometheus/cmd/promtool", 180),
    )
}

SETS = {
    "demo": ("etcd", "kube-apiserver", "kubectl", "registry", "loaders"),
    "control-plane": ("etcd", "kube-apiserver", "kubectl", "kube-controller-manager", "kube-scheduler"),
    "nodes": ("kubelet", "containerd", "containerd-shim-runc-v2", "ctr", "pause", "loaders"),
    "oracle": tuple(name for name in ALL_TOOLS if name.startswith(("loaders", "judge"))),
    "all": tuple(ALL_TOOLS),
}
"""Names for groups of tools, so that nobody builds what he does not need."""


class BuildFailedError(Exception):
    """A tool could not be built; the message has the end of Go's own output."""


def binary(name: str) -> Path:
    """The path of one tool, built now if it is not in the cache.

    Raises NoGoToolchainError, BuildFailedError.
    """
    tool = ALL_TOOLS[name]
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    if assets and (given := Path(assets) / name).is_file():
        return given
    target = _cache_place(tool)
    if not target.is_file():
        with _lock(target):
            if not target.is_file():  # somebody else may have built it while we waited
                _build(tool, target)
    return target


def build(*names: str) -> dict[str, Path]:
    """Paths of the named tools and sets, in the order of ALL_TOOLS."""
    wanted = {tool for name in names for tool in SETS.get(name, (name,))}
    if unknown := wanted - ALL_TOOLS.keys():
        message = f"unknown tool or set {sorted(unknown)}; sets: {', '.join(SETS)}; tools: {', '.join(ALL_TOOLS)}"
        raise ValueError(message)
    return {name: binary(name) for name in ALL_TOOLS if name in wanted}


def missing(*names: str) -> list[str]:
    """Which of the named tools and sets are not built yet."""
    wanted = {tool for name in names for tool in SETS.get(name, (name,))}
    assets = Path(os.environ.get("KUBEBUILDER_ASSETS") or os.devnull)
    return [
        name
        for name, tool in ALL_TOOLS.items()
        if name in wanted and not (assets / name).is_file() and not _cache_place(tool).is_file()
    ]


def _cache_place(tool: Tool) -> Path:
    digest = hashlib.sha256()
    module = TOOLS / tool.module
    files = sorted(module.iterdir())
    if f"=> ../{SHARED_MODULE}\n" in (module / "go.mod").read_text():
        files += sorted((TOOLS / SHARED_MODULE).iterdir())
    for file in files:
        if file.suffix in {".mod", ".sum", ".go"}:
            digest.update(f"{file.name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
    settings = [tool.package, tool.tags, tool.linker_flags, platform.system(), platform.machine()]
    digest.update("\0".join(settings + [tool.older_go] * bool(tool.older_go)).encode())
    return cache_folder() / "tools" / f"{tool.module}-{digest.hexdigest()[:16]}" / tool.name


@contextmanager
def _lock(target: Path) -> Iterator[None]:
    """Held while one tool is built; a second process waits for it, and says so."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"{target.name}: another process builds it; waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(tool: Tool, target: Path) -> None:
    module = TOOLS / tool.module
    modfile = f"go{tool.older_go}.mod" if tool.older_go else "go.mod"
    go = older_go() if tool.older_go else find_go(required_version(module / modfile))
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    for left_over in target.parent.glob(f".building-{tool.name}.*"):  # of a build that was killed; we hold its lock
        shutil.rmtree(left_over)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".building-{tool.name}.") as folder:
        built = Path(folder) / tool.name
        command = [
            str(go.path),
            "build",
            f"-modfile={modfile}",
            "-tags",
            tool.tags,
            "-ldflags",
            tool.linker_flags,
            "-o",
            str(built),
            tool.package,
        ]
        log = target.parent / f"{tool.name}.log"
        with _progress(tool), log.open("wb") as output:
            done = subprocess.run(
                command, cwd=module, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        if done.returncode != 0:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            message = f"{tool.name} could not be built (all of Go's output: {log}):\n{last}"
            raise BuildFailedError(message)
        built.replace(target)


@contextmanager
def _progress(tool: Tool) -> Iterator[None]:
    """Says what is built, and every 15 seconds that it goes on."""
    begun = time.monotonic()
    done = threading.Event()

    def report() -> None:
        while not done.wait(15):
            _say(f"{tool.name}: {time.monotonic() - begun:.0f} s …")

    _say(f"{tool.name}: building (once; about {_duration(tool.cold_seconds)} on two cores when Go's cache is empty)")
    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        done.set()
        reporter.join()
    _say(f"{tool.name}: ended after {time.monotonic() - begun:.0f} s")


def _duration(seconds: int) -> str:
    return f"{seconds} s" if seconds < 90 else f"{round(seconds / 60)} min"


def _say(text: str) -> None:
    sys.stderr.write(f"[build] {text}\n")
    sys.stderr.flush()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.binaries", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build tools or sets").add_argument("names", nargs="*", default=["all"])
    commands.add_parser("list", help="every tool, and whether it is built")
    commands.add_parser("path", help="where a tool is, built if need be").add_argument("name", choices=ALL_TOOLS)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "build":
            build(*chosen.names)
        elif chosen.command == "path":
            sys.stdout.write(f"{binary(chosen.name)}\n")
        else:
            unbuilt = set(missing("all"))
            sys.stdout.writelines(f"{name:26}{'-' if name in unbuilt else 'built'}\n" for name in ALL_TOOLS)
    except (BuildFailedError, NoGoToolchainError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
