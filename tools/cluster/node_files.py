"""Writes a node's files: its own /etc, /run, /var/lib and /var/log, and containerd's and kubelet's configuration."""

import json
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.authority import write_file
from tools.cluster.control_plane import ControlPlane
from tools.cluster.kubeconfig import write_kubeconfig

PAUSE_IMAGE = "registrytrust.test/pause:1"
SINGLE_PATH = "/etc/containerd/certs.d"
OWN_FOLDERS = ("/etc", "/run", "/var/lib", "/var/log")
"""What a node does not share with this machine. Mounts below two of them must reach pods, or come back from them."""
SHARED_MOUNTS = ("/var/lib/kubelet", "/run/containerd")
_MADE = (
    *SHARED_MOUNTS,
    "/var/lib/containerd",
    "/var/lib/cni",
    "/run/netns",
    "/run/lock",
    "/var/log/pods",
    "/var/log/containers",
)
_FROM_THIS_MACHINE = (
    "ca-certificates",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "nsswitch.conf",
    "os-release",
    "ssl",
)


@dataclass(frozen=True)
class NodeOptions:
    """What is special about a node."""

    config_path: str | None = SINGLE_PATH
    """containerd's `config_path`; None leaves the registry section out, which is the stock configuration."""
    dockerd: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    """With which it registers, as `key=value:effect`."""


@dataclass(frozen=True)
class NodeIdentity:
    """What tells one node from another."""

    name: str
    number: int
    cgroup: str

    @property
    def address(self) -> str:
        return f"10.240.0.{10 + self.number}"

    @property
    def pods(self) -> str:
        return f"10.244.{self.number}.0/24"


def outside(folder: Path, inside: str) -> Path:
    """Where a node's path is on this machine.

    Raises ValueError for a path that the node shares with this machine.
    """
    normal = inside.replace("/var/run/", "/run/", 1)
    for own in OWN_FOLDERS:
        if normal == own or normal.startswith(f"{own}/"):
            return folder / normal.lstrip("/")
    message = f"{inside} is not a node's own: only what is below {', '.join(OWN_FOLDERS)}"
    raise ValueError(message)


def write_files(folder: Path, node: NodeIdentity, options: NodeOptions, plane: ControlPlane) -> None:
    """Everything that the node needs before its first start."""
    for path in (
        *OWN_FOLDERS,
        *_MADE,
        "/etc/containerd",
        "/etc/docker",
        "/etc/containers",
        "/etc/cni/net.d",
        "/etc/kubernetes",
    ):
        outside(folder, path).mkdir(parents=True, exist_ok=True)
    etc = outside(folder, "/etc")
    for name in _FROM_THIS_MACHINE:
        _copy(Path("/etc") / name, etc / name)
    for name in ("policy.json", "registries.conf"):
        _copy(Path("/etc/containers") / name, etc / "containers" / name)
    (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n")
    (etc / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (etc / "hostname").write_text(f"{node.name}\n")
    (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
    (etc / "resolv.conf").write_text("")  # names come from /etc/hosts: there is nobody else to ask
    (etc / "mtab").symlink_to("/proc/self/mounts")
    write_hosts(folder, node, {})
    (etc / "cni/net.d/10-cluster.conflist").write_text(json.dumps(_pod_network(node), indent=1))
    write_containerd_configuration(folder, options.config_path)
    _write_kubelet_files(etc / "kubernetes", node, plane)


def write_hosts(folder: Path, node: NodeIdentity, registries: dict[str, str]) -> None:
    """/etc/hosts, with registries as name: address."""
    lines = [
        "127.0.0.1 localhost",
        f"{node.address} {node.name}",
        *(f"{address} {name}" for name, address in registries.items()),
    ]
    outside(folder, "/etc/hosts").write_text("\n".join(lines) + "\n")


def write_containerd_configuration(folder: Path, config_path: str | None, *, top: str = "", images: str = "") -> None:
    """`top` is TOML for the beginning of the file, `images` for the beginning of the table of images."""
    registry = (
        f"""  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = {json.dumps(config_path)}
"""
        if config_path is not None
        else ""
    )
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc fails with "can't get final child's PID from pipe: EOF".
    outside(folder, "/etc/containerd/config.toml").write_text(
        f"""version = 3
{top}
[plugins.'io.containerd.internal.v1.opt']
  path = '/var/lib/containerd/opt'
[plugins.'io.containerd.cri.v1.images']
{images}
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '{PAUSE_IMAGE}'
{registry}[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['/usr/lib/cni']
"""
    )


def write_unit_start(folder: Path, unit: str) -> None:
    """What systemd leaves when it starts a unit: a link to the start's own number, made anew each time."""
    units = outside(folder, "/run/systemd/units")
    units.mkdir(parents=True, exist_ok=True)
    link = units / f"invocation:{unit}"
    link.unlink(missing_ok=True)
    link.symlink_to(uuid.uuid4().hex)


def _write_kubelet_files(folder: Path, node: NodeIdentity, plane: ControlPlane) -> None:
    pair = plane.authority.node(f"system:node:{node.name}", [node.name, node.address])
    pair.write(folder, "kubelet")
    write_file(folder / "ca.crt", plane.authority.pem)
    host, port = plane.inside
    write_kubeconfig(folder / "kubelet.kubeconfig", f"https://{host}:{port}", plane.authority.pem, pair)
    (folder / "kubelet.json").write_text(json.dumps(_kubelet_configuration(node), indent=1))


def _kubelet_configuration(node: NodeIdentity) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",  # two kubelets that share a root kill each other's pods as orphans
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": "/etc/kubernetes/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": "/etc/kubernetes/kubelet.crt",
        "tlsPrivateKeyFile": "/etc/kubernetes/kubelet.key",
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "resolvConf": "/etc/resolv.conf",
    }


def _pod_network(node: NodeIdentity) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "name": "cluster",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "ipMasq": False,
                "ipam": {"type": "host-local", "ranges": [[{"subnet": node.pods}]], "routes": [{"dst": "0.0.0.0/0"}]},
            }
        ],
    }


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        # Private keys of this machine stay where they are.
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("private"))
    elif source.exists():
        shutil.copy(source, target)
