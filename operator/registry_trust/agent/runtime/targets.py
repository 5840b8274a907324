"""Targets: which of the mounted roots are written, by what this node's runtime reads; a pure choice over facts."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from registry_trust.agent.options import ExplicitTarget
from registry_trust.agent.runtime import containerd_config as containerd
from registry_trust.agent.runtime.containerd_config import ContainerdConfiguration
from registry_trust.core.layout import Layout
from registry_trust.core.plan import Target
from registry_trust.core.reasons import Reason
from registry_trust.core.report import TargetRow, TargetState

DOCKER_ROOT = "/etc/docker/certs.d"
CONTAINERD_ROOT = "/etc/containerd/certs.d"
CONTAINERS_ROOT = "/etc/containers/certs.d"

CONTAINERS_CHAIN = (
    "/etc/containers/certs.rootful.d",
    CONTAINERS_ROOT,
    "/usr/share/containers/certs.rootful.d",
    "/usr/share/containers/certs.d",
    DOCKER_ROOT,
)
"""Where containers-image looks as root, in its order (go.podman.io/image v5.42; earlier ones lack three of them)."""

OPENSHIFT_LABEL = "node.openshift.io/os_id"
"""On every OpenShift node; its node-ca DaemonSet deletes what it does not know in /etc/docker/certs.d once a minute."""


@dataclass(frozen=True, slots=True)
class MountedRoot:
    """A root that this process can write to; `identity` is device and inode, None where the folder is not there.

    `written` says that it holds this installation's store.
    """

    path: str
    identity: tuple[int, int] | None = None
    written: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What the choice is made from.

    Attributes:
        roots: every mounted root.
        explicit: the targets that the admin named; always written.
        discover: whether targets are to be chosen by the runtime's configuration as well.
        runtime: as in the Node's status, `containerd://2.4.2`; empty where that is not known.
        containerd: its configuration; a text where it can't be read, None where no such file is mounted.
        docker_problem: why daemon.json can't be read; empty where it can.
        openshift: this is a node of OpenShift.
    """

    roots: tuple[MountedRoot, ...]
    explicit: tuple[ExplicitTarget, ...] = ()
    discover: bool = True
    runtime: str = ""
    containerd: ContainerdConfiguration | str | None = None
    docker_problem: str = ""
    openshift: bool = False

    def mounted(self, path: str) -> bool:
        """Say whether a path on the host is a mounted root."""
        return any(root.path == path for root in self.roots)


@dataclass(frozen=True, slots=True)
class Choice:
    """The targets to write, and a row for each of them and for each root that is missing."""

    targets: tuple[Target, ...] = ()
    rows: tuple[TargetRow, ...] = ()


@dataclass(slots=True)
class _Draft:
    targets: list[Target] = field(default_factory=list)
    rows: list[TargetRow] = field(default_factory=list)

    def write(self, target: Target, state: TargetState, message: str = "") -> None:
        self.targets.append(target)
        self.rows.append(TargetRow(target.path, target.layout.value, state, message=message))

    def say(self, path: str, layout: Layout, state: TargetState, reason: Reason, message: str) -> None:
        self.rows.append(TargetRow(path, layout.value, state, reason, message))


def choose(facts: Facts) -> Choice:
    """Choose the targets of a node.

    Explicit ones first; then what the runtime reads; then, as standby, mounted roots that hold our files although
    nothing reads them now (any more): they stay up to date instead of going stale or vanishing.
    """
    draft = _Draft()
    for explicit in facts.explicit:
        draft.write(Target(explicit.path, explicit.layout), TargetState.READ, "named explicitly")
    if facts.discover:
        _discover(facts, draft)
    known = {target.path for target in draft.targets}
    for root in facts.roots:
        if root.written and root.path not in known:
            target = Target(root.path, usual_layout(root.path), standby=True)
            draft.write(target, TargetState.STANDBY, "nothing reads it now; what was written there is kept up to date")
    choice = _refuse_contested(facts, _deduplicate(facts, draft))
    if choice.targets or choice.rows:
        return choice
    row = TargetRow(
        CONTAINERD_ROOT,
        Layout.CONTAINERD.value,
        TargetState.NOT_READ,
        Reason.NO_TARGET,
        "there is nothing to write to on this node: mount the root that its runtime reads, or name a target",
    )
    return Choice(rows=(row,))


def usual_layout(path: str) -> Layout:
    """Return the layout in which a root is written that nothing says more of: by its name."""
    if path.startswith("/etc/docker"):
        # Also where containerd reads it: dockerd shares it, and containerd finds the same files under `host:port`.
        return Layout.DOCKER
    return Layout.CONTAINERS if "/containers/" in path else Layout.CONTAINERD


def _discover(facts: Facts, draft: _Draft) -> None:
    scheme, separator, _ = facts.runtime.partition("://")
    version = containerd.parse_version(facts.runtime)
    if scheme == "docker" and separator:
        _first_mounted(facts, draft, "dockerd", (DOCKER_ROOT,), (DOCKER_ROOT,), Layout.DOCKER, facts.docker_problem)
    elif scheme == "cri-o" and separator:
        candidates = (CONTAINERS_ROOT, DOCKER_ROOT)
        _first_mounted(facts, draft, "CRI-O", candidates, CONTAINERS_CHAIN, Layout.CONTAINERS)
    elif scheme == "containerd" and version is not None:
        if isinstance(facts.containerd, ContainerdConfiguration):
            _containerd(facts, facts.containerd, version, draft)
        else:
            _unknown(draft, facts.containerd or _NOT_MOUNTED)
    elif not facts.runtime:
        _unknown(draft, "the Node says no runtime, or can't be read; name the targets explicitly (--target)")
    else:
        _unknown(
            draft, f"the runtime {facts.runtime} is not known to this version; name its targets explicitly (--target)"
        )


_NOT_MOUNTED = (
    "the folder with containerd's configuration is not mounted into the agent (--runtime-config, by default "
    "/etc/containerd; distributions have other places); so it is not known what containerd reads"
)


def _unknown(draft: _Draft, message: str) -> None:
    draft.say(CONTAINERD_ROOT, Layout.CONTAINERD, TargetState.UNKNOWN, Reason.RUNTIME_UNKNOWN, message)


def _first_mounted(
    facts: Facts,
    draft: _Draft,
    reader: str,
    candidates: Sequence[str],
    chain: tuple[str, ...],
    layout: Layout,
    remark: str = "",
) -> None:
    path = next((path for path in candidates if facts.mounted(path)), None)
    if path is None:
        _not_mounted(draft, candidates[0], layout, f"{reader} reads {candidates[0]}")
    else:
        draft.write(Target(path, layout, chain), TargetState.READ, remark)


def _not_mounted(draft: _Draft, path: str, layout: Layout, gist: str, cure: str = "") -> None:
    message = f"{gist}, which is not mounted into the agent; mount it (chart value agent.extraRoots, option --root)"
    draft.say(path, layout, TargetState.NOT_READ, Reason.ROOT_NOT_READ, f"{message}{cure}")


def _containerd(
    facts: Facts, configuration: ContainerdConfiguration, version: containerd.Version, draft: _Draft
) -> None:
    path = containerd.effective_path(configuration, version)
    if not path:
        _nothing_read(facts, configuration, version, draft)
        return
    if configuration.config_path and configuration.mirrors:
        _unknown(
            draft,
            f"{configuration.path} sets both registry.mirrors and config_path, and containerd's CRI plugin does not "
            "load with both; remove registry.mirrors and restart containerd",
        )
        return
    parts = tuple(dict.fromkeys(posixpath.normpath(part) for part in path.split(":") if part))
    if len(parts) == 1 or containerd.splits_list(configuration, version):
        _one_of(facts, configuration, version, parts, draft)
    else:
        _literal(facts, configuration, version, posixpath.normpath(path), parts, draft)


def _one_of(
    facts: Facts,
    configuration: ContainerdConfiguration,
    version: containerd.Version,
    parts: tuple[str, ...],
    draft: _Draft,
) -> None:
    for number, path in enumerate(parts):
        if facts.mounted(path):
            hidden = ", ".join(parts[:number])
            remark = f"{hidden} is not mounted into the agent, and what is there is read first" if hidden else ""
            target = Target(path, usual_layout(path), parts, reader=Layout.CONTAINERD)
            draft.write(target, TargetState.READ, remark)
            return
    gist = f"containerd reads {' and '.join(parts)} (config_path, {configuration.path})"
    _not_mounted(draft, parts[0], Layout.CONTAINERD, gist, _or_point_it(facts, configuration, version))


def _literal(
    facts: Facts,
    configuration: ContainerdConfiguration,
    version: containerd.Version,
    path: str,
    parts: tuple[str, ...],
    draft: _Draft,
) -> None:
    """Serve a list that containerd takes for one folder: that folder, and the first of the list for later."""
    number = ".".join(str(part) for part in version)
    if facts.mounted(path):
        remark = f"containerd {number} takes the list in config_path for the name of one folder"
        draft.write(Target(path, Layout.CONTAINERD, (path,)), TargetState.READ, remark)
    else:
        gist = f'containerd {number} takes the list "{path}" for the name of one folder'
        _not_mounted(draft, path, Layout.CONTAINERD, gist, _or_point_it(facts, configuration, version))
    first = next((part for part in parts if facts.mounted(part)), None)
    if first is not None:
        target = Target(first, usual_layout(first), parts, standby=True, reader=Layout.CONTAINERD)
        draft.write(target, TargetState.STANDBY, "for the day containerd splits the list in config_path")


def _nothing_read(
    facts: Facts, configuration: ContainerdConfiguration, version: containerd.Version, draft: _Draft
) -> None:
    root = _preferred_root(facts)
    number = ".".join(str(part) for part in version)
    if configuration.mirrors:
        gist = (
            f"containerd {number} reads no certificate directory while {configuration.path} sets registry.mirrors; "
            "move the mirrors to hosts.toml files, remove that table, and add:\n"
        )
    elif configuration.ignored_path:
        gist = (
            f'containerd {number} ignores config_path = "{configuration.ignored_path}", which stands in a section of '
            f"another version's format in {configuration.path}, and reads no certificate directory; add:\n"
        )
    else:
        gist = f"containerd {number} reads no certificate directory while config_path is empty; add:\n"
    cure = containerd.lines_to_add(configuration, version, root)
    draft.say(root, Layout.CONTAINERD, TargetState.NOT_READ, Reason.ROOT_NOT_READ, gist + cure)


def _or_point_it(facts: Facts, configuration: ContainerdConfiguration, version: containerd.Version) -> str:
    root = _preferred_root(facts)
    if not facts.mounted(root):
        return ""
    return f"; or point containerd to a root that is mounted:\n{containerd.lines_to_add(configuration, version, root)}"


def _preferred_root(facts: Facts) -> str:
    if facts.mounted(CONTAINERD_ROOT):
        return CONTAINERD_ROOT
    usable = (r.path for r in facts.roots if usual_layout(r.path) is Layout.CONTAINERD and ":" not in r.path)
    return next(usable, CONTAINERD_ROOT)


def _deduplicate(facts: Facts, draft: _Draft) -> Choice:
    """Keep one target for each directory, whatever paths lead to it; two layouts on one are an error."""
    identities = {root.path: root.identity for root in facts.roots}
    chosen: dict[object, Target] = {}
    rows: dict[str, TargetRow] = {}
    explicit = {(target.path, target.layout) for target in facts.explicit}
    for target in draft.targets:
        key = identities.get(target.path) or target.path
        # The first word on a path stands: a root that is kept up to date is still NotRead or Unknown if it was said so.
        row = next(r for r in draft.rows if r.path == target.path and r.layout == target.layout.value)
        known = chosen.get(key)
        if known is None:
            chosen[key] = target
            rows[target.path] = row
        elif known.layout is not target.layout and {(t.path, t.layout) for t in (known, target)} <= explicit:
            rows[known.path] = replace(
                row,
                path=known.path,
                layout=known.layout.value,
                state=TargetState.FAILED,
                reason=Reason.CONTESTED_ROOT,
                message=f"{known.path} and {target.path} are one directory, and are to have the layouts {known.layout} "
                f"and {target.layout}; name it once. It is written as {known.layout}",
            )
        elif known.standby and not target.standby:
            chosen[key] = target
            rows = {path: r for path, r in rows.items() if path != known.path} | {target.path: row}
        elif not known.chain and target.chain and not target.standby:
            # Named explicitly, and read by the runtime as well: then its other roots count, too.
            chosen[key] = replace(known, chain=tuple(known.path if p == target.path else p for p in target.chain))
    written = {target.path for target in draft.targets}
    others = [row for row in draft.rows if row.path not in written]
    return Choice(tuple(chosen.values()), (*rows.values(), *others))


def _refuse_contested(facts: Facts, choice: Choice) -> Choice:
    if not facts.openshift:
        return choice
    rows = tuple(
        replace(
            row,
            state=TargetState.FAILED,
            reason=Reason.CONTESTED_ROOT,
            message=f"OpenShift's node-ca deletes what it does not know in {DOCKER_ROOT}; name "
            f"{CONTAINERS_ROOT} (layout containers) instead. Nothing is written here",
        )
        if row.path == DOCKER_ROOT
        else row
        for row in choice.rows
    )
    return Choice(tuple(target for target in choice.targets if target.path != DOCKER_ROOT), rows)
