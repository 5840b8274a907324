"""containerd's main file: which one it is on this node, by its unit, its distribution or an option of the agent.

Read in the sources and documents of kOps, k3s, RKE2, k0s, MicroK8s and Flatcar; the tests start containerd with files
such as theirs, at their paths.
"""

from __future__ import annotations

from registry_trust.agent.options import Options
from registry_trust.agent.runtime.configuration_files import ConfigurationFiles, UnreadableConfiguration
from registry_trust.agent.runtime.containerd.configuration import ContainerdConfiguration, read_configuration
from registry_trust.agent.runtime.node import Sign, parse_version

FOLDER = "/etc/containerd"
KOPS_FILE = f"{FOLDER}/config-kops.toml"
"""kOps starts containerd with `-c` and this file, whatever config.toml says (nodeup/pkg/model/containerd.go)."""

_NEVER_CONTAINERDS = ("/etc/docker", "/etc/containers", "/usr/share/containers", "/root/.config/containers")
_ELSEWHERE = {
    Sign.K0S: "k0s starts containerd with /etc/k0s/containerd.toml, which is not mounted into the agent; mount "
    "/etc/k0s and /run/k0s (chart value agent.extraRuntimeConfig, option --runtime-config)",
    Sign.MICROK8S: "MicroK8s starts containerd with a file of its snap, and not with one in /etc/containerd; set the "
    "chart's values for MicroK8s (agent.targets, option --target)",
}
"""Distributions whose containerd never reads /etc/containerd/config.toml; a file that was named comes first."""
_MAIN_FILES = ("config.toml", "containerd.toml")
"""Names of the main file; the second one is k0s's (/etc/k0s) and MicroK8s's."""


def read(
    files: ConfigurationFiles, options: Options, runtime: str, signs: frozenset[Sign]
) -> ContainerdConfiguration | None:
    """Read the configuration of this node's containerd; None where no directory that could hold it is mounted.

    Raises:
        UnreadableConfiguration: as `read_configuration`, or nobody can know from here which file it is.
    """
    path, version = _path(files, options, runtime, signs), parse_version(runtime)
    if not path or version is None or not runtime.startswith("containerd://"):
        return None
    return read_configuration(path, version, files.read, files.glob)


def is_stock(path: str) -> bool:
    """Say whether a main file is there before containerd starts; k3s and snaps write theirs at each start."""
    return path.startswith(f"{FOLDER}/")


def _path(files: ConfigurationFiles, options: Options, runtime: str, signs: frozenset[Sign]) -> str:
    """Return the path of the main file; empty where no directory that could hold it is mounted.

    A file that was named comes first, then a distribution's own directory, then /etc/containerd. k3s and RKE2 (their
    containerd's version says `-k3s`) never read /etc/containerd, so there that directory alone says nothing.

    Raises:
        UnreadableConfiguration: only containerd's unit says which file it is.
    """
    for path in options.containerd_files:
        if files.read(path) is not None:
            return path
    if Sign.FLATCAR in signs:
        raise UnreadableConfiguration(
            "on Flatcar the variable CONTAINERD_CONFIG of containerd's unit says which file containerd reads "
            "(/usr/share/containerd/config.toml if nothing changes it); name that file (chart value "
            "agent.containerdConfig, option --containerd-config)"
        )
    if own := _in_own_folder(files, options):
        return own
    if "-k3s" in runtime or not any(mount.host == FOLDER for mount in options.configurations):
        return ""
    for sign, words in _ELSEWHERE.items():
        if sign in signs:
            raise UnreadableConfiguration(words)
    return KOPS_FILE if files.read(KOPS_FILE) is not None else f"{FOLDER}/config.toml"


def _in_own_folder(files: ConfigurationFiles, options: Options) -> str:
    """Return the main file in a distribution's own directory; empty without one."""
    for mount in options.configurations:
        if mount.host != FOLDER and not mount.host.startswith(_NEVER_CONTAINERDS):
            for name in _MAIN_FILES:
                if files.read(f"{mount.host}/{name}") is not None:
                    return f"{mount.host}/{name}"
    return ""
