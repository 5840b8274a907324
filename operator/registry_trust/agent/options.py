"""The agent's options: what the DaemonSet passes as arguments, parsed and checked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from registry_trust.core.layout import Layout
from registry_trust.core.names import BUNDLE
from registry_trust.process.logs import FORMATS, LEVELS

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where the kubelet puts a pod's token and the cluster's CA."""

_HIGHEST_PORT = 65535
_SHORTEST, _LONGEST = 0.1, 3600.0
"""Seconds between two checks of all files."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory of the host: its path there, and the one under which this process reaches it."""

    host: str
    here: str


@dataclass(frozen=True, slots=True)
class ExplicitTarget:
    """A target that the admin named."""

    layout: Layout
    path: str


@dataclass(frozen=True)
class Options:
    """Everything that an agent is told at its start."""

    node: str
    namespace: str
    bundle: str = BUNDLE
    server: str = "https://kubernetes.default.svc"
    ca_file: str = f"{SERVICE_ACCOUNT}/ca.crt"
    token_file: str = f"{SERVICE_ACCOUNT}/token"
    roots: tuple[Mount, ...] = ()
    targets: tuple[ExplicitTarget, ...] = ()
    configurations: tuple[Mount, ...] = ()
    containerd_files: tuple[str, ...] = ()
    systemd_units: Mount | None = None
    host_view: str = ""
    listen: tuple[str, int] | None = None
    log_format: str = "json"
    log_level: str = "info"
    drift_interval: float = 15.0


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Parse the arguments; ends the process with a usage message where they can't be used."""
    parser = argument_parser()
    given = parser.parse_args(arguments)
    targets: tuple[ExplicitTarget, ...] = tuple(given.target)
    roots: tuple[Mount, ...] = tuple(given.root)
    known = {mount.host for mount in roots}
    roots += tuple({t.path: Mount(t.path, t.path) for t in targets if t.path not in known}.values())
    if len({mount.host for mount in roots}) != len(roots):
        parser.error("--root: the same directory of the host is named twice")
    if not roots:
        parser.error("there is nothing to write to: give --root with --runtime-config, or --target")
    if not given.runtime_config and not targets:
        parser.error("without --runtime-config only explicit targets are written; give at least one --target")
    folders = {mount.host for mount in given.runtime_config}
    for path in given.containerd_config:
        if path.rpartition("/")[0] not in folders:
            parser.error(f"--containerd-config: the directory of {path} is not mounted; give it to --runtime-config")
    return Options(
        node=given.node_name,
        namespace=given.namespace,
        bundle=given.bundle_name,
        server=given.api_server,
        ca_file=given.ca_file,
        token_file=given.token_file,
        roots=roots,
        targets=targets,
        configurations=tuple(given.runtime_config),
        containerd_files=tuple(given.containerd_config),
        systemd_units=given.systemd_units,
        host_view=given.host_view or "",
        listen=given.listen,
        log_format=given.log_format,
        log_level=given.log_level,
        drift_interval=given.drift_interval,
    )


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the agent's arguments."""
    parser = argparse.ArgumentParser(
        prog="registry-trust agent",
        description="Keeps the certificate directories of one node as the bundle asks, and reports their state.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--node-name", required=True, help="name of this agent's Node, and of the NodeTrust that it writes")
    add("--namespace", required=True, help="namespace of the bundle's Secret")
    add("--bundle-name", default=Options.bundle, metavar="NAME", help="name of the bundle's Secret")
    add("--api-server", default=Options.server, metavar="URL", help="https://host:port of the API server")
    add("--ca-file", default=Options.ca_file, metavar="FILE", help="CA certificates of the API server")
    add("--token-file", default=Options.token_file, metavar="FILE", help="bearer token, read again at each connection")
    add(
        "--root",
        action="append",
        default=[],
        type=_mount,
        metavar="HOSTPATH[=MOUNT]",
        help="a root of certificate directories that this process may write to; repeated",
    )
    add(
        "--target",
        action="append",
        default=[],
        type=_target,
        metavar="LAYOUT=HOSTPATH",
        help="a root to write regardless of the runtime's configuration; LAYOUT is one of "
        f"{', '.join(Layout)}; repeated",
    )
    add(
        "--runtime-config",
        action="append",
        default=[],
        type=_mount,
        metavar="HOSTPATH[=MOUNT]",
        help="a directory with a runtime's own configuration, by which targets are chosen among the roots; repeated",
    )
    add(
        "--containerd-config",
        action="append",
        default=[],
        type=_absolute,
        metavar="HOSTPATH",
        help="containerd's main file, if its unit starts it with another than the usual one; repeated for nodes of "
        "several kinds: the first that exists is used",
    )
    add(
        "--systemd-units",
        type=_mount,
        metavar="HOSTPATH[=MOUNT]",
        help="the host's /run/systemd/units, which shows when a runtime was started",
    )
    add(
        "--host-view",
        type=_absolute,
        metavar="DIRECTORY",
        help="where the host's /etc/hosts, /etc/ssl/certs and /etc/systemd/system are mounted; a registry that this "
        "node verifies is then asked as the runtime would ask it",
    )
    add("--listen", type=_address, metavar="HOST:PORT", help="serve /healthz, /readyz and /metrics; HOST may be empty")
    add("--log-format", choices=FORMATS, default=Options.log_format, help="lines of text, or JSON")
    add("--log-level", choices=LEVELS, default=Options.log_level, help="log this level and what is more serious")
    add(
        "--drift-interval",
        type=_seconds,
        default=Options.drift_interval,
        metavar="SECONDS",
        help="seconds between checks of all files (in addition to inotify); default 15",
    )
    return parser


def _absolute(path: str) -> str:
    if not path.startswith("/") or path != path.rstrip("/") or "//" in path or "/../" in f"{path}/":
        raise argparse.ArgumentTypeError(f"{path!r} is not a normalized absolute directory path")
    return path


def _mount(text: str) -> Mount:
    host, equals, here = text.partition("=")
    return Mount(_absolute(host), _absolute(here) if equals else host)


def _target(text: str) -> ExplicitTarget:
    layout, equals, path = text.partition("=")
    if not equals or layout not in list(Layout):
        raise argparse.ArgumentTypeError(f"{text!r} is not LAYOUT=HOSTPATH; layouts are {', '.join(Layout)}")
    return ExplicitTarget(Layout(layout), _absolute(path))


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not _SHORTEST <= value <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0.1 to 3600")
    return value
