"""Pulls by the kubelets and other runtimes of a cluster: one, and many side by side until somebody says enough."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tools.cluster.kubectl import Kubectl
from tools.cluster.waiting import wait_until


@dataclass(frozen=True)
class _Pulled:
    """The end of a pull: empty words are success."""

    words: str

    def __bool__(self) -> bool:
        """Return true: there is an outcome, whatever it is."""
        return True


def kubelet_pull(kubectl: Kubectl, node: str, image: str, within: float = 60) -> str:
    """Let the kubelet pull on a node; return the runtime's own words where it fails, else nothing."""
    name = f"pull-{uuid.uuid4().hex[:10]}"
    with _pod(kubectl, name, node, image):
        return wait_until(lambda: _pulled(kubectl, name), f"{node} pulled or failed", within=within, every=0.2).words


@contextmanager
def _pod(kubectl: Kubectl, name: str, node: str, image: str) -> Iterator[None]:
    """Run a pod on one node for as long as the block lasts."""
    container = {"name": "main", "image": image, "imagePullPolicy": "Always"}
    spec = {
        "nodeName": node,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
    }
    kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec})
    try:
        yield
    finally:
        kubectl("delete", "pod", name, "-n", "default", "--wait=false", "--grace-period=0", "--force")


def _pulled(kubectl: Kubectl, pod: str) -> _Pulled | None:
    statuses = kubectl.get("pod", pod, "-n", "default").get("status", {}).get("containerStatuses") or []
    if not statuses:
        return None
    state = statuses[0].get("state", {})
    if "running" in state or "terminated" in state:
        return _Pulled("")
    waiting = state.get("waiting", {})
    return (
        _Pulled(waiting.get("message", "")) if waiting.get("reason") in ("ErrImagePull", "ImagePullBackOff") else None
    )


@dataclass
class Pulls:
    """What a loop of pulls saw."""

    done: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def pulling_by(loops: Mapping[str, Callable[[], str]]) -> Iterator[Pulls]:
    """Pull again and again, side by side, while the block lasts.

    Args:
        loops: by who pulls, what pulls once and returns why that failed, or nothing.
    """
    seen, stop = Pulls(), threading.Event()

    def loop(name: str, pull: Callable[[], str]) -> None:
        while not stop.is_set():
            words = pull()
            seen.done += 1
            if words:
                seen.failures.append(f"{name}: {words}")

    threads = [threading.Thread(target=loop, args=each) for each in loops.items()]
    for each in threads:
        each.start()
    try:
        yield seen
    finally:
        stop.set()
        for each in threads:
            each.join(90)
