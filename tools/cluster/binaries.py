"""Builds etcd, Kubernetes, containerd, dockerd, registry, helm and the loaders from pinned Go modules into a cache.

Command line: `python -m tools.cluster.binaries build [TOOL or SET …]`, `list`, `path TOOL`.
"""

import argparse
import concurrent.futures
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

from tools.cluster.folders import GO_MODULES, cache_folder
from tools.cluster.go_toolchain import OLDER_GO, NoGoToolchainError, find_go, older_go, required_version

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
    """Build with exactly this version of Go, by the module's `goVERSION.mod`, instead of the machine's."""
    modfile: str = "go.mod"
    """Of a module that is built with several versions of what it requires."""
    fast_build: bool = False
    """Don't inline: a quarter less work for the compiler, and a slower program. Not for what a benchmark measures."""


def _kubernetes(name: str, seconds: int) -> Tool:
    return Tool(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", seconds, linker_flags=_linked(KUBERNETES_VERSION))


def _containerd(name: str, seconds: int) -> Tool:
    tags = "no_btrfs no_devmapper no_zfs"
    return Tool(name, "containerd", f"github.com/containerd/containerd/v2/cmd/{name}", seconds, tags)


def _containerd_asked(version: str, seconds: int, tag: str = "") -> Tool:
    tags = f"no_btrfs no_devmapper no_zfs no_aufs {tag}".strip()
    shared = version == "2.4"  # with the tool `containerd`, whose packages are then in the cache
    return Tool(
        f"containerd-{version}", "containerd-asked", ".", seconds, tags, modfile=f"{version}.mod", fast_build=not shared
    )


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
            fast_build=True,
        ),
        _containerd("containerd", 40),
        _containerd("containerd-shim-runc-v2", 5),
        _containerd("ctr", 10),
        _containerd_asked("1.6", 65, "containerd1 containerd16"),
        _containerd_asked("1.7", 65, "containerd1"),
        _containerd_asked("2.0", 65, "containerd20"),
        _containerd_asked("2.1", 65, "containerd20"),
        _containerd_asked("2.2", 65, "containerd20"),
        _containerd_asked("2.3", 50),
        _containerd_asked("2.4", 10),
        Tool(
            "dockerd", "moby", "github.com/moby/moby/v2/cmd/dockerd", 140, "exclude_graphdriver_btrfs", fast_build=True
        ),
        Tool("registry", "registry-helm", "github.com/distribution/distribution/v3/cmd/registry", 90, fast_build=True),
        Tool("helm", "registry-helm", "helm.sh/helm/v4/cmd/helm", 90, fast_build=True),
        Tool("loaders", "loaders", ".", 20, "containers_image_openpgp"),
        Tool("loaders-docker-20.10", "loaders-docker-20.10", ".", 10),
        Tool("loaders-containerd-1.7", "loaders-containerd-1.7", ".", 20),
        Tool("loaders-moby", "loaders-moby", ".", 15),
        Tool("loaders-chain", "loaders-chain", ".", 20, "containers_image_openpgp"),
        Tool("judge", "judge", ".", 3),
        Tool(f"judge-go{OLDER_GO}", "judge", ".", 40, older_go=OLDER_GO),
        Tool("showing", "showing", ".", 3),
        Tool("pause", "pause", ".", 3),
        Tool("kstatus", "kstatus", ".", 40, fast_build=True),
        Tool("argohealth", "argohealth", ".", 5),
        Tool("metrics-lint", "metrics-lint", ".", 10),
        Tool("alerts", "alerts", ".", 25, fast_build=True),
        Tool("cosign", "cosign", "github.com/sigstore/cosign/v3/cmd/cosign", 130, fast_build=True),
        Tool("issuers", "issuers", ".", 90, fast_build=True),
        Tool("actionlint", "actionlint", "github.com/rhysd/actionlint/cmd/actionlint", 15),
    )
}

SETS = {
    "chart": ("helm",),
    "control-plane": ("etcd", "kube-apiserver", "kubectl"),
    "registry": ("registry", "loaders"),
    "demo": ("etcd", "kube-apiserver", "kubectl", "registry", "loaders"),
    "oracle": tuple(name for name in ALL_TOOLS if name.startswith(("loaders", "judge"))),
    "nodes": ("kubelet", "containerd", "containerd-shim-runc-v2", "ctr", "pause", "loaders"),
    "cluster": (
        *("etcd", "kube-apiserver", "kubectl", "kube-controller-manager", "kube-scheduler"),
        *("kubelet", "containerd", "containerd-shim-runc-v2", "ctr", "pause", "dockerd", "registry", "loaders", "helm"),
    ),
    "containerds": tuple(name for name, tool in ALL_TOOLS.items() if tool.module == "containerd-asked"),
    "all": tuple(name for name in ALL_TOOLS if name != "issuers"),
}
"""Names for groups of tools; nobody builds what is not needed. `all` leaves out what one part of the torture needs."""

AT_ONCE = 2
"""Modules that are built side by side: one's linker is single-threaded while the other's compiler fills the cores."""

declared: frozenset[str] | None = None
"""The tools that may be asked for now; None for all. A test may not start a build, or the build runs on its time."""


class BuildFailedError(Exception):
    """A tool could not be built; the message has the end of Go's own output."""


class UndeclaredToolError(Exception):
    """A test asks for a tool that it did not declare, so nothing had built it before the test began."""


def binary(name: str) -> Path:
    """The path of one tool, built now if it is not in the cache.

    Raises NoGoToolchainError, BuildFailedError, UndeclaredToolError.
    """
    tool = ALL_TOOLS[name]
    if declared is not None and name not in declared:
        message = f"this test needs the tool {name}; declare it: pytestmark = pytest.mark.tools({name!r})"
        raise UndeclaredToolError(message)
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    if assets and (given := Path(assets) / name).is_file():
        return given
    target = _cache_place(tool)
    while not target.is_file():
        with _turn(tool) as mine:
            if mine and not target.is_file():  # another process may have built it a moment ago
                _build(tool, target)
    return target


def tools_of(*names: str) -> list[str]:
    """The tools that the named tools and sets are, each once.

    Raises ValueError for a name that is neither.
    """
    wanted = {tool for name in names for tool in SETS.get(name, (name,))}
    if unknown := wanted - ALL_TOOLS.keys():
        message = f"unknown tool or set {sorted(unknown)}; sets: {', '.join(SETS)}; tools: {', '.join(ALL_TOOLS)}"
        raise ValueError(message)
    return [name for name in ALL_TOOLS if name in wanted]


def build(*names: str) -> dict[str, Path]:
    """Paths of the named tools and sets, in the order of ALL_TOOLS; what is missing is built, two modules at a time.

    Raises ValueError, NoGoToolchainError, BuildFailedError, UndeclaredToolError.
    """
    wanted = tools_of(*names)
    modules: dict[str, list[str]] = {}
    for name in missing(*names):
        # One after the other within a module: they share packages, and Go compiles what two builds need at once twice.
        modules.setdefault(ALL_TOOLS[name].module, []).append(name)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(lambda names: [binary(name) for name in names], names) for names in modules.values()]:
            done.result()
    return {name: binary(name) for name in wanted}


def missing(*names: str) -> list[str]:
    """Which of the named tools and sets are not built yet."""
    assets = Path(os.environ.get("KUBEBUILDER_ASSETS") or os.devnull)
    return [
        name
        for name in tools_of(*names)
        if not (assets / name).is_file() and not _cache_place(ALL_TOOLS[name]).is_file()
    ]


def _cache_place(tool: Tool) -> Path:
    digest = hashlib.sha256()
    module = GO_MODULES / tool.module
    files = sorted(module.iterdir())
    if f"=> ../{SHARED_MODULE}\n" in (module / "go.mod").read_text():
        files += sorted((GO_MODULES / SHARED_MODULE).iterdir())
    for file in files:
        if file.suffix in {".mod", ".sum", ".go"}:
            digest.update(f"{file.name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
    # `fast_build` is left out: it changes how long a build takes, not what the tool does.
    settings = [tool.package, tool.tags, tool.linker_flags, platform.system(), platform.machine()]
    digest.update(
        "\0".join(
            settings + [tool.older_go] * bool(tool.older_go) + [tool.modfile] * (tool.modfile != "go.mod")
        ).encode()
    )
    return cache_folder() / "tools" / f"{tool.module}-{digest.hexdigest()[:16]}" / tool.name


@contextmanager
def _turn(tool: Tool) -> Iterator[bool]:
    """Holds the lock of a tool's module; False after a second in which another process had it."""
    places = cache_folder() / "tools"
    places.mkdir(parents=True, exist_ok=True)
    with (places / f".{tool.module}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(1)
            yield False
        else:
            yield True


def _build(tool: Tool, target: Path) -> None:
    module = GO_MODULES / tool.module
    modfile = f"go{tool.older_go}.mod" if tool.older_go else tool.modfile
    go = older_go() if tool.older_go else find_go(required_version(module / modfile))
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    for left_over in target.parent.glob(f".building-{tool.name}.*"):  # of a build that was killed; we hold its lock
        shutil.rmtree(left_over)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".building-{tool.name}.") as folder:
        built = Path(folder) / tool.name
        command = [
            str(go.path),
            "build",
            f"-modfile={modfile}",
            "-gcflags=all=-dwarf=false" + " -l" * tool.fast_build,
            "-gcflags=std=-dwarf=false",  # the last that fits counts: the standard library is compiled once for all
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
    parser = argparse.ArgumentParser(prog="python -m tools.cluster.binaries", description=__doc__)
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
