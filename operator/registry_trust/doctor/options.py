"""The doctor's options: those of its own, and the agent's, which it takes from the agent that it is run beside."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry_trust.agent import options as agent_options
from registry_trust.agent import regular_file
from registry_trust.agent.options import Mount, Options
from registry_trust.core import registry as registry_names
from registry_trust.core.errors import InvalidField
from registry_trust.core.layout import NAME_LIMIT

FIRST_PROCESS = Path("/proc/1/cmdline")
"""Of a container's first process; it is readable although the agent keeps its memory private (fs/proc/base.c)."""

_COMMAND_LIMIT = 64 << 10

ROOTS = (
    "/etc/docker/certs.d",
    "/etc/containers/certs.d",
    "/etc/containerd/certs.d",
    "/etc/containerd/certs.d:/etc/docker/certs.d",
    "/var/lib/rancher/k3s/agent/etc/containerd/certs.d",
    "/var/lib/rancher/rke2/agent/etc/containerd/certs.d",
    "/var/snap/microk8s/current/args/certs.d",
)
"""Where the chart, and docs/install.md for some distributions, have an agent write; on a host those that are there."""

CONFIGURATIONS = (
    "/etc/containerd",
    "/etc/docker",
    "/etc/containers",
    "/var/lib/rancher/k3s/agent/etc/containerd",
    "/var/lib/rancher/rke2/agent/etc/containerd",
    "/etc/k0s",
    "/var/snap/microk8s/current/args",
)
"""The same for the runtimes' own configuration."""

UNITS = "/run/systemd/units"


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """What the doctor is asked.

    Attributes:
        registry: the one that is asked about; empty for all.
        output: `text` or `json`.
        agent: as the node's agent is told, or would be.
        in_agent: this is an agent's container, and `agent` is what it is told.
        node_root: where the node's `/` is here, if that is mounted or this is the node; None in an agent's container.
        runtime: name and version, if an option says so.
        bundle: a directory with the data of the bundle's Secret; None to ask the API server.
        labels: the Node's labels, if the API server is not asked for them.
        ask: whether the registry that is named may be asked, if its files are there and read.
    """

    registry: str
    output: str
    agent: Options
    in_agent: bool
    node_root: str | None
    runtime: str
    bundle: Path | None
    labels: Mapping[str, str]
    ask: bool


def parse(arguments: Sequence[str] | None, first_process: Path = FIRST_PROCESS) -> DoctorOptions:
    """Parse the arguments; ends the process with a usage message and exit code 2 where they can't be used."""
    parser = argument_parser()
    given = parser.parse_args(arguments)
    if given.registry:
        try:
            registry_names.check(given.registry, limit=NAME_LIMIT)
        except InvalidField as error:
            parser.error(error.problem.message)
    told = None if given.node_root else _told(first_process)
    node_root = None if told is not None else (given.node_root or "/").rstrip("/")
    if node_root and not Path(node_root).is_dir():
        parser.error(f"--node-root: {given.node_root!r} is not a directory")
    agent = told or _on_host(node_root or "", given)
    return DoctorOptions(
        registry=given.registry,
        output=given.output,
        agent=agent,
        in_agent=told is not None,
        node_root=node_root,
        runtime=given.runtime,
        bundle=given.bundle,
        labels=dict(given.label),
        ask=not given.no_probe,
    )


def _told(first_process: Path) -> Options | None:
    """Return what the agent in this container is told; None where the first process is no agent."""
    try:
        command = regular_file.read(str(first_process), _COMMAND_LIMIT).decode(errors="replace").split("\0")[:-1]
    except OSError:
        return None
    for program in ("registry_trust.agent", "agent"):
        if program in command:
            try:
                return agent_options.parse(command[command.index(program) + 1 :])
            except SystemExit:
                return None  # Some other program with such a word in its command line.
    return None


def _on_host(root: str, given: argparse.Namespace) -> Options:
    """Return what an agent on this host would be told, with the options that were given."""

    def mounts(paths: Sequence[str]) -> tuple[Mount, ...]:
        return tuple(Mount(path, f"{root}{path}") for path in paths if Path(f"{root}{path}").is_dir())

    return Options(
        node=given.node_name,
        namespace=given.namespace,
        server=given.api_server,
        ca_file=given.ca_file,
        token_file=given.token_file,
        roots=mounts(ROOTS),
        # Everything else of the host can be looked at, too.
        configurations=(*mounts(CONFIGURATIONS), Mount("", root)),
        systemd_units=Mount(UNITS, f"{root}{UNITS}"),
    )


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="registry-trust doctor",
        description="Explains one node: what its runtime reads for a registry and why, what its trusts ask for, what "
        "the agent reported, and the one thing to do. It changes nothing.",
        epilog="Run it in the agent's container, where it needs no option: kubectl -n registry-trust exec POD -- "
        "registry-trust doctor. Exit codes: 0 nothing is wrong, 1 something is, 2 the command line is wrong.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "registry",
        nargs="?",
        default="",
        metavar="HOST[:PORT]",
        help="the registry, as the image names it; all of them without it",
    )
    add("-o", "--output", choices=("text", "json"), default="text", help="what is printed")
    add("--no-probe", action="store_true", help="do not connect to the registry")
    add(
        "--node-root",
        default="",
        metavar="DIR",
        help="where the node's file system is mounted; / by default outside an agent's container",
    )
    add("--runtime", default="", metavar="NAME://VERSION", help="the node's runtime, if the API server can't be asked")
    add("--bundle", type=Path, metavar="DIR", help="a directory with the data of the bundle's Secret, as mounted")
    add(
        "--label",
        action="append",
        default=[],
        type=_label,
        metavar="KEY=VALUE",
        help="a label of the Node, for --bundle; repeated",
    )
    add("--node-name", default="", help="name of the Node, to ask the API server for it and its report")
    add("--namespace", default="registry-trust", help="namespace of the bundle's Secret")
    add("--api-server", default=Options.server, metavar="URL", help="https://host:port of the API server")
    add("--ca-file", default=Options.ca_file, metavar="FILE", help="CA certificates of the API server")
    add("--token-file", default=Options.token_file, metavar="FILE", help="bearer token for the API server")
    return parser
