"""The node: what is mounted of it, and which runtime its Node names; the facts that count for every runtime."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from registry_trust.agent.options import ExplicitTarget

HOME_ROOT = "/root/.config/containers/certs.d"
"""Of the user root. It counts if its directory is mounted, and is not missed if it is not: hardly anybody has it."""

OPENSHIFT_LABEL = "node.openshift.io/os_id"
"""On every OpenShift node; its node-ca DaemonSet deletes what it does not know in /etc/docker/certs.d once a minute."""

MICROK8S_LABEL = "microk8s.io/cluster"
"""On every MicroK8s node (microk8s-resources/default-args/kubelet)."""

Version = tuple[int, int, int]


class Sign(StrEnum):
    """What a Node says of itself by which containerd's main file is not the usual one."""

    FLATCAR = "Flatcar"
    K0S = "k0s"
    MICROK8S = "MicroK8s"


def signs_of(os_image: str, kubelet: str, labels: Mapping[str, str]) -> frozenset[Sign]:
    """Return the signs in a Node's operating system, kubelet's version and labels."""
    found = {
        Sign.FLATCAR: os_image.startswith("Flatcar"),
        Sign.K0S: "+k0s" in kubelet,
        Sign.MICROK8S: MICROK8S_LABEL in labels,
    }
    return frozenset(sign for sign, there in found.items() if there)


def parse_version(runtime: str) -> Version | None:
    """Return the version in `containerd://2.4.2` or `containerd://v1.7.27-k3s1`; None if there is none."""
    match = re.match(r"[a-z-]+://v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?", runtime)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


@dataclass(frozen=True, slots=True)
class MountedRoot:
    """A root that this process can write to; `identity` is device and inode, None where the directory is not there.

    `written` says that it holds this installation's store.
    """

    path: str
    identity: tuple[int, int] | None = None
    written: bool = False


@dataclass(frozen=True, slots=True)
class NodeRuntime:
    """What is known of a node without any file of a runtime.

    Attributes:
        roots: every mounted root.
        folders: the directories of the host that are mounted read-only: what lies below can be looked at.
        explicit: the targets that the admin named; always written.
        discover: whether targets are to be chosen by the runtime's configuration as well.
        runtime: as in the Node's status, `containerd://2.4.2`; empty where that is not known.
        openshift: this is a node of OpenShift.
    """

    roots: tuple[MountedRoot, ...] = ()
    folders: tuple[str, ...] = ()
    explicit: tuple[ExplicitTarget, ...] = ()
    discover: bool = True
    runtime: str = ""
    openshift: bool = False

    def scheme(self) -> str:
        """Return the runtime's name (`containerd`, `docker`, `cri-o`); empty where that is not known."""
        scheme, separator, _ = self.runtime.partition("://")
        return scheme if separator else ""

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
