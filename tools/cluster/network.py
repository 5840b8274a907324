"""Makes a cluster's own network: namespaces on a bridge with nothing else on it, so that clusters never collide."""

import subprocess
from pathlib import Path

from tools.cluster.control_plane import SERVICE_ADDRESS
from tools.cluster.runs import Run

BRIDGE_ADDRESS = "10.240.0.1"
_NETNS = Path("/run/netns")


class NetworkError(Exception):
    """`ip` said no; the message has its words."""


class Network:
    """A bridge in the control plane's network namespace, and a namespace per member with an address on that bridge."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.control_plane = f"{run.name}-cp"

    def create(self) -> None:
        """The control plane's namespace: bridge, its address, and the address that pods know the API server by."""
        namespace = self.control_plane
        self._add_namespace(namespace)
        ip("-n", namespace, "link", "add", "br0", "type", "bridge")
        ip("-n", namespace, "address", "add", f"{SERVICE_ADDRESS}/32", "dev", "br0")
        ip("-n", namespace, "address", "add", f"{BRIDGE_ADDRESS}/24", "dev", "br0")
        ip("-n", namespace, "link", "set", "br0", "up")
        ip("-n", namespace, "route", "add", "default", "dev", "br0")

    def add_member(self, name: str, address: str, *, pods: str | None = None) -> str:
        """A namespace with this address on the bridge; the range `pods` is reached through it. Returns its name."""
        namespace = f"{self._run.name}-{name}"
        self._add_namespace(namespace)
        near = f"v-{name}"[:15]
        ip("link", "add", near, "netns", self.control_plane, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        ip("-n", self.control_plane, "link", "set", near, "master", "br0", "up")
        ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
        ip("-n", namespace, "link", "set", "eth0", "up")
        ip("-n", namespace, "route", "add", "default", "via", BRIDGE_ADDRESS)
        if pods:
            ip("-n", self.control_plane, "route", "replace", pods, "via", address)
        return namespace

    def _add_namespace(self, namespace: str) -> None:
        self._run.record("netns", namespace)
        ip("netns", "add", namespace)
        ip("-n", namespace, "link", "set", "lo", "up")
        subprocess.run(
            [*enter_network(namespace), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], check=True, timeout=20
        )


def enter_network(namespace: str) -> tuple[str, ...]:
    """The command that runs another in the namespace.

    Not `ip netns exec`: that remounts /sys, and a kubelet then finds no cgroups.
    """
    return ("nsenter", f"--net={_NETNS / namespace}", "--")


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        message = f"ip {' '.join(arguments)}: {done.stderr.strip()}"
        raise NetworkError(message)
