"""The fix: what an admin writes so containerd reads a root, in words, with the file that counts and the restart.

Distributions that write containerd's main file themselves, or keep it where nobody can, have another file for it:
k3s pkg/agent/templates, k0s docs/runtime.md and pkg/component/worker/containerd, MicroK8s
microk8s-resources/default-args, kOps nodeup/pkg/model/containerd.go, Flatcar's coreos/sysext/containerd. The tests
carry each fix out as it stands, start that distribution's containerd again, and pull.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import replace

from registry_trust.agent.runtime.containerd.configuration import ContainerdConfiguration
from registry_trust.agent.runtime.containerd.edits import DROP_IN, Edit, Where, find_drop_in, find_edit
from registry_trust.agent.runtime.node import Version

RESTART = ", then once: systemctl restart containerd"
_K3S = ", then once: systemctl restart k3s (k3s-agent on agents)"
_RKE2 = ", then once: systemctl restart rke2-server (rke2-agent on agents)"
_K0S = "; k0s restarts containerd by itself"
_MICROK8S = ", then once: snap restart microk8s.daemon-containerd"
_KOPS = ", then: kops update cluster --yes && kops rolling-update cluster --yes"

Words = Callable[[Edit, Version], str]
"""Says where an edit of a main file belongs instead."""


def fix(configuration: ContainerdConfiguration, version: Version, root: str) -> str:
    """Return what makes containerd read `root`, with the file that decides and the one restart; empty if none is known.

    Only what was tried with this module's own reading of the files is returned.
    """
    path = configuration.path
    beginning = next((each for each in _MANAGED if path.startswith(each)), "")
    edit = find_edit(configuration, version, root)
    if not beginning:
        return edit.words(RESTART) if edit is not None else ""
    restart, words = _MANAGED[beginning]
    drop_in = find_drop_in(configuration, version, root)
    if drop_in is not None:
        return drop_in.words(restart)
    if edit is None:
        return ""
    owned = edit.path == path or edit.path.startswith("/run/")
    return words(edit, version) if owned else edit.words(restart)


def _in_template(distribution: str, restart: str) -> Words:
    """k3s and RKE2 make the main file of a template, if there is one."""

    def words(edit: Edit, version: Version) -> str:
        name = "config-v3.toml.tmpl" if version >= (2, 0, 0) else "config.toml.tmpl"
        template = replace(edit, path=f"{posixpath.dirname(edit.path)}/{name}")
        return (
            f"{template.words(restart)}. {distribution} makes {edit.path} of that file at each start; without "
            f"such a file, {distribution} needs an upgrade: its releases since January 2024 set config_path"
        )

    return words


def _in_snap(edit: Edit, _version: Version) -> str:
    template = replace(edit, path=f"{posixpath.dirname(edit.path)}/containerd-template.toml")
    return f"{template.words(_MICROK8S)}. MicroK8s makes {edit.path} of that file at each start"


def _in_drop_in_of_k0s(edit: Edit, version: Version) -> str:
    """k0s up to 1.35 lays files of this directory over its own section, and writes the outcome to /run/k0s."""
    new = replace(
        edit,
        path=f"/etc/k0s/containerd.d/{DROP_IN}",
        where=Where.NEW,
        version=3 if version >= (2, 0, 0) else 2,
    )
    return new.words(_K0S)


def _in_specification(edit: Edit, _version: Version) -> str:
    """kOps, from 1.29 on (pkg/apis/kops/containerdconfig.go: ConfigAdditions)."""
    key = f"{edit.table.strip('[]')}.config_path"
    return (
        f"spec:\n  containerd:\n    configAdditions:\n      {key}: {edit.root}\n"
        f"to the cluster's specification (kops edit cluster){_KOPS}"
    )


def _in_copy(edit: Edit, _version: Version) -> str:
    """Flatcar: /usr is read-only, and the unit takes the main file's path from a variable."""
    copy = replace(edit, path="/etc/containerd/config.toml")
    return (
        f"{copy.lines()}{copy.place()}, a copy of {edit.path}; let containerd's unit read it (systemctl edit "
        f"containerd: [Service] Environment=CONTAINERD_CONFIG={copy.path}), name it in the chart value "
        f"agent.containerdConfig{RESTART}"
    )


_MANAGED: Mapping[str, tuple[str, Words]] = {
    "/var/lib/rancher/k3s/": (_K3S, _in_template("k3s", _K3S)),
    "/var/lib/rancher/rke2/": (_RKE2, _in_template("RKE2", _RKE2)),
    "/etc/k0s/": (_K0S, _in_drop_in_of_k0s),
    "/var/snap/microk8s/": (_MICROK8S, _in_snap),
    "/etc/containerd/config-kops.toml": (_KOPS, _in_specification),
    "/usr/share/containerd/": (RESTART, _in_copy),
}
"""Main files that are not edited, by how their paths begin; the restart that a distribution has, and its own place."""
