"""containerd's main file: which one it is on this node, by its unit, its distribution or an option of the agent.

Read in the sources and documents of kOps, k3s, RKE2, k0s, MicroK8s and Flatcar; the tests start containerd with files
such as theirs, at their paths.
"""

from __future__ import annotations

from registry_trust.agent.options import Options
from registry_trust.agent.runtime.configuration_files import ConfigurationFiles, UnreadableConfiguration
from registry_trust.agent.runtime.containerd.configuration import ContainerdConfiguration, read_configuration
from registry_trust.agent.runtime.node import parse_version

FOLDER = "/etc/containerd"
KOPS_FILE = f"{FOLDER}/config-kops.toml"
"""kOps starts containerd with `-c` and this file, whatever config.toml says (nodeup/pkg/model/containerd.go)."""

_NEVER_CONTAINERDS = ("/etc/docker", "/etc/containers", "/usr/share/containers", "/root/.config/containers")
_MAIN_FILES = ("config.toml", "containerd.toml")
"""Names of the main file; the second one is k0s's (/etc/k0s) and MicroK8s's."""


def read(files: ConfigurationFiles, options: Options, runtime: str, os_image: str) -> ContainerdConfiguration | None:
    """Read the configuration of this node's containerd; None where no directory that could hold it is mounted.

    Raises:
        UnreadableConfiguration: as `read_configuration`, or nobody can know from here which file it is.
    """
    path, version = _path(files, options, runtime, os_image), parse_version(runtime)
    if not path or version is None or not runtime.startswith("containerd://"):
        return None
    return read_configuration(path, version, files.read, files.glob)


def is_stock(path: str) -> bool:
    """Say whether a main file is there before containerd starts; k3s and snaps write theirs at each start."""
    return path.startswith(f"{FOLDER}/")


def _path(files: ConfigurationFiles, options: Options, runtime: str, os_image: str) -> str:
    """Return the path of the main file; empty where no directory that could hold it is mounted.

    A file that was named comes first, then a distribution's own directory, then /etc/containerd. k3s and RKE2 (their
    containerd's version says `-k3s`) never read /etc/containerd, so there that directory alone says nothing.

    Raises:
        UnreadableConfiguration: only containerd's unit says which file it is.
    """
    for path in options.containerd_files:
        if files.read(path) is not None:
            return path
    if os_image.startswith("Flatcar"):
        raise UnreadableConfiguration(
            "on Flatcar the variable CONTAINERD_CONFIG of containerd's unit says which file containerd reads "
            "(/usr/share/containerd/config.toml if nothing changes it); name that file (chart value "
            "agent.containerdConfig, option --containerd-config)"
        )
    stock = False
    for mount in options.configurations:
        if mount.host == FOLDER:
            stock = True
        elif not mount.host.startswith(_NEVER_CONTAINERDS):
            for name in _MAIN_FILES:
                if files.read(f"{mount.host}/{name}") is not None:
                    return f"{mount.host}/{name}"
    if not stock or "-k3s" in runtime:
        return ""
    return KOPS_FILE if files.read(KOPS_FILE) is not None else f"{FOLDER}/config.toml"
