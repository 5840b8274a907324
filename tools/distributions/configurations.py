"""Configurations: for each distribution a minimal one of the keys that its own has.

What has no part in registries is left out, ports of containerd's own pages among it.
"""

from __future__ import annotations

from tools.distributions.shape import LITERAL, ROOT

OLD, IMAGES, RUNTIME = (
    f'plugins."io.containerd.{name}"' for name in ("grpc.v1.cri", "cri.v1.images", "cri.v1.runtime")
)
RUNC = 'runtime_type = "io.containerd.runc.v2"'
K3S, RKE2 = (f"/var/lib/rancher/{name}/agent/etc/containerd" for name in ("k3s", "rke2"))
SNAP = "/var/snap/microk8s/7394"


def runc(section: str) -> str:
    """Return the tables of a runtime that every distribution sets."""
    at = f"{section}.containerd.runtimes.runc"
    return f"[{at}]\n{RUNC}\n[{at}.options]\nSystemdCgroup = true\n"


def rancher(folder: str, version: int) -> str:
    """Return what k3s and RKE2 make of their own template (pkg/agent/templates)."""
    data = folder.removesuffix("/etc/containerd")
    head = f'root = "{data}/containerd"\nstate = "/run/k3s/containerd"\n'
    if version == 2:
        return (
            f"version = 2\n{head}[{OLD}]\nenable_selinux = false\nenable_unprivileged_ports = true\n"
            f'[{OLD}.containerd]\nsnapshotter = "overlayfs"\ndisable_snapshot_annotations = true\n'
            f'{runc(OLD)}[{OLD}.registry]\nconfig_path = "{folder}/certs.d"\n'
        )
    return (
        f'version = 3\nimports = ["{folder}/config-v3.toml.d/*.toml"]\n{head}[{RUNTIME}]\nenable_selinux = false\n'
        f'[{IMAGES}]\nsnapshotter = "overlayfs"\ndisable_snapshot_annotations = true\nuse_local_image_pull = true\n'
        f'[{IMAGES}.pinned_images]\nsandbox = "rancher/mirrored-pause:3.6"\n{runc(RUNTIME)}'
        f'[{IMAGES}.registry]\nconfig_path = "{folder}/certs.d"\n'
    )


KIND = (
    f'version = 2\n[proxy_plugins."fuse-overlayfs"]\ntype = "snapshot"\naddress = "/run/fuse-overlayfs.sock"\n'
    f'[{OLD}]\nsandbox_image = "registry.k8s.io/pause:3.10"\n'
    f'[{OLD}.containerd]\ndiscard_unpacked_layers = true\nsnapshotter = "overlayfs"\n{runc(OLD)}'
    f"[{OLD}.containerd.runtimes.test-handler]\n{RUNC}\n"
)
KOPS_2 = f'version = 2\n[{OLD}]\nsandbox_image = "registry.k8s.io/pause:3.9"\n{runc(OLD)}'
KOPS_3 = f'version = 3\n[{IMAGES}.pinned_images]\nsandbox = "registry.k8s.io/pause:3.10"\n{runc(RUNTIME)}'
EKS_2 = (
    f'version = 2\n[{OLD}.containerd]\ndefault_runtime_name = "runc"\ndiscard_unpacked_layers = true\n'
    f'[{OLD}.registry]\nconfig_path = "{LITERAL}"\n{runc(OLD)}'
)
EKS_3 = (
    f'version = 3\n[{IMAGES}]\ndiscard_unpacked_layers = true\n[{IMAGES}.registry]\nconfig_path = "{LITERAL}"\n'
    f'{runc(RUNTIME)}[{RUNTIME}.cni]\nbin_dirs = ["/opt/cni/bin"]\n'
)
AKS_2 = (
    f"version = 2\n{runc(OLD)}[{OLD}.containerd.runtimes.untrusted]\n{RUNC}\n"
    f'[{OLD}.registry]\nconfig_path = "{ROOT}"\n[{OLD}.registry.headers]\nX-Meta-Source-Client = ["azure/aks"]\n'
)


def aks(version: int) -> str:
    """Return what AKS writes for containerd 2: the new sections, in a format that is called 2 before containerd 2.3."""
    return (
        f'version = {version}\n[{IMAGES}.pinned_images]\nsandbox = "mcr.example/pause:3.6"\n'
        f'[{IMAGES}.registry]\nconfig_path = "{ROOT}"\n[{IMAGES}.registry.headers]\n'
        f'X-Meta-Source-Client = ["azure/aks"]\n[{RUNTIME}.containerd]\ndefault_runtime_name = "runc"\n{runc(RUNTIME)}'
    )


GKE = (
    'version = 2\nrequired_plugins = ["io.containerd.grpc.v1.cri"]\ndisabled_plugins = '
    f'["io.containerd.internal.v1.restart"]\n[{OLD}]\nstream_server_address = "127.0.0.1"\n'
    f"[{OLD}.containerd]\ndiscard_unpacked_layers = true\n{runc(OLD)}"
)
HUB = 'server = "https://registry-1.docker.io"\n[host."https://mirror.gcr.io"]\ncapabilities = ["pull", "resolve"]\n'
FLATCAR = f"version = 2\n{{imports}}disabled_plugins = []\n[{OLD}]\nenable_selinux = true\n{runc(OLD)}"
FLATCAR_FILE = "/usr/share/containerd/config.toml"
FLATCAR_OS = "Flatcar Container Linux by Kinvolk 4230.2.0 (Oklo)"
DROP_INS = 'imports = ["/etc/containerd/conf.d/*.toml"]\n'

MICROK8S = (
    f'version = 2\noom_score = 0\n[{OLD}]\nstream_server_address = "127.0.0.1"\n'
    f'[{OLD}.containerd]\nsnapshotter = "overlayfs"\ndefault_runtime_name = "runc"\n'
    f"[{OLD}.containerd.runtimes.runc]\n{RUNC}\n"
    f'[{OLD}.registry]\nconfig_path = "${{SNAP_DATA}}/args/certs.d"\n'
)
K0S_2 = 'version = 2\nimports = ["/run/k0s/containerd-cri.toml"]\n'
K0S_3 = (
    'version = 3\nimports = ["/etc/k0s/containerd.d/*.toml"]\n'
    f'[{IMAGES}.pinned_images]\nsandbox = "quay.io/k0sproject/pause:3.10"\n[{RUNTIME}]\n'
)
