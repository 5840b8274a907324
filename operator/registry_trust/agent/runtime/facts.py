"""Facts: what the choice of a node's targets is made from, and the choice in the making."""

from __future__ import annotations

from dataclasses import dataclass, field

from registry_trust.agent.options import ExplicitTarget
from registry_trust.agent.runtime.containerd_config import ContainerdConfiguration
from registry_trust.agent.runtime.restarts import IN_FORCE, InForce
from registry_trust.core.layout import Layout, Reader
from registry_trust.core.plan import Target
from registry_trust.core.reasons import Reason
from registry_trust.core.report import TargetRow, TargetState

DOCKER_ROOT = "/etc/docker/certs.d"
CONTAINERD_ROOT = "/etc/containerd/certs.d"
CONTAINERS_ROOT = "/etc/containers/certs.d"

HOME_ROOT = "/root/.config/containers/certs.d"
"""Of the user root. It counts where its folder is mounted, and is not missed where it is not: hardly anybody has it."""

CONTAINERS_CHAIN = (
    HOME_ROOT,
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
        folders: the folders of the host that are mounted read-only: what lies below can be looked at.
        explicit: the targets that the admin named; always written.
        discover: whether targets are to be chosen by the runtime's configuration as well.
        runtime: as in the Node's status, `containerd://2.4.2`; empty where that is not known.
        containerd: its configuration; a text where it can't be read, None where no such file is mounted.
        containerd_in_force: whether containerd has started since its configuration was changed.
        docker_problem: why daemon.json can't be read; empty where it can.
        docker_readers: by whose names dockerd looks up a registry; several if its image store is not known.
        openshift: this is a node of OpenShift.
    """

    roots: tuple[MountedRoot, ...]
    folders: tuple[str, ...] = ()
    explicit: tuple[ExplicitTarget, ...] = ()
    discover: bool = True
    runtime: str = ""
    containerd: ContainerdConfiguration | str | None = None
    containerd_in_force: InForce = IN_FORCE
    docker_problem: str = ""
    docker_readers: tuple[Reader, ...] = ()
    openshift: bool = False

    def mounted(self, path: str) -> bool:
        """Say whether a path on the host is a mounted root."""
        return any(root.path == path for root in self.roots)

    def visible(self, path: str) -> bool:
        """Say whether what is at a path on the host can be looked at."""
        return self.mounted(path) or any(path == each or path.startswith(f"{each}/") for each in self.folders)

    def unseen_before(self, path: str, chain: tuple[str, ...]) -> str:
        """Return a remark on the roots that are read before `path` and can't be looked at; empty without any."""
        before = chain[: chain.index(path)]
        unseen = ", ".join(each for each in before if each != HOME_ROOT and not self.visible(each))
        return f"{unseen} is not mounted into the agent, and what is there is read first" if unseen else ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The targets to write, and a row for each of them and for each root that is missing."""

    targets: tuple[Target, ...] = ()
    rows: tuple[TargetRow, ...] = ()


@dataclass(slots=True)
class Draft:
    """A choice in the making."""

    targets: list[Target] = field(default_factory=list)
    rows: list[TargetRow] = field(default_factory=list)

    def write(self, target: Target, state: TargetState, message: str = "") -> None:
        """Add a target, with its row."""
        self.targets.append(target)
        self.rows.append(TargetRow(target.path, target.layout.value, state, message=message))

    def write_if_in_force(self, target: Target, in_force: InForce, remark: str = "") -> None:
        """Write what is read by the configuration; whether the runtime works with that already is another matter."""
        remark = "; ".join(text for text in (in_force.remark, remark) if text)
        if not in_force.problem:
            self.write(target, TargetState.READ, remark)
            return
        self.targets.append(target)
        self.say(target.path, target.layout, TargetState.UNKNOWN, Reason.RUNTIME_NOT_RESTARTED, in_force.problem)

    def say(self, path: str, layout: Layout, state: TargetState, reason: Reason, message: str) -> None:
        """Add a row alone."""
        self.rows.append(TargetRow(path, layout.value, state, reason, message))


def usual_layout(path: str) -> Layout:
    """Return the layout in which a root is written that nothing says more of: by its name."""
    if path.startswith("/etc/docker"):
        # Also where containerd reads it: dockerd shares it, and containerd finds the same files under `host:port`.
        return Layout.DOCKER
    return Layout.CONTAINERS if "/containers/" in path else Layout.CONTAINERD
