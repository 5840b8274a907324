"""The inbox: what the watches last heard, handed to the one thread that changes files, which it wakes."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from registry_trust.core.bundle import Bundle
from registry_trust.core.problem import Problem


@dataclass(frozen=True, slots=True)
class ReceivedBundle:
    """A usable bundle, and the UID and resource version of its Secret."""

    uid: str
    resource_version: str
    bundle: Bundle = field(repr=False)


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """This agent's own Node: its UID and its labels."""

    uid: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Heard:
    """Everything that the cluster said; None is what it did not say yet.

    `bundle_problem` says why the Secret as it is now is no bundle; `bundle` stays the last usable one. `node_gone` says
    that the Node object was deleted; `node` stays what it was. `runtime` is `containerd://2.4.2` or the like, and empty
    where the Node could not be read; `os_image` is `Flatcar Container Linux by Kinvolk …` or the like, and `kubelet`
    `v1.36.1+k0s` or the like.
    """

    bundle: ReceivedBundle | None = None
    bundle_problem: Problem | None = None
    node: NodeSeen | None = None
    node_gone: bool = False
    runtime: str | None = None
    os_image: str = ""
    kubelet: str = ""


class Inbox:
    """The last words of each watch, thread-safe, with a descriptor that is readable when something new came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard = Heard()
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._reader

    def wake(self) -> None:
        """Make the descriptor readable; safe in a signal handler."""
        with suppress(BlockingIOError):
            os.write(self._writer, b".")

    def look(self) -> Heard:
        """Return what was heard so far, without forgetting that there is something new."""
        with self._lock:
            return self._heard

    def take(self) -> tuple[Heard, bool]:
        """Return what was heard so far, and whether anybody woke the one who waits.

        The descriptor is cleared first, so nothing is missed.
        """
        woken = False
        with suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                woken = True
        return self.look(), woken

    def put_bundle(self, received: ReceivedBundle) -> None:
        """A usable bundle arrived."""
        self._put(bundle=received, bundle_problem=None)

    def put_bundle_problem(self, problem: Problem) -> None:
        """The Secret is gone, or is no bundle."""
        self._put(bundle_problem=problem)

    def put_node(self, node: NodeSeen) -> None:
        """The Node is there, with these labels."""
        self._put(node=node, node_gone=False)

    def put_node_gone(self) -> None:
        """The Node object was deleted."""
        self._put(node_gone=True)

    def put_runtime(self, runtime: str, os_image: str = "", kubelet: str = "") -> None:
        """The Node's status names this runtime; empty where it could not be read."""
        self._put(runtime=runtime, os_image=os_image, kubelet=kubelet)

    def _put(self, **changes: object) -> None:
        with self._lock:
            heard = replace(self._heard, **changes)  # type: ignore[arg-type]  # the callers above are typed
            news = heard != self._heard
            self._heard = heard
        if news:
            self.wake()
