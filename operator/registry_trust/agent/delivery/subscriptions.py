"""Subscriptions: what the agent hears from the cluster (its bundle, its Node) and what each event means."""

from __future__ import annotations

import base64
import binascii
import logging
import random
import threading
from collections.abc import Mapping
from typing import Any

from registry_trust.agent.backoff import after_refusal
from registry_trust.agent.delivery.api_client import APIServer, RequestFailed
from registry_trust.agent.delivery.inbox import Inbox, NodeSeen, ReceivedBundle
from registry_trust.agent.delivery.watch import ABSENT, Subject
from registry_trust.core import bundle_format
from registry_trust.core.errors import UnusableBundle
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.process.unexpected import kind_of

METADATA_ONLY = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
"""The API server then sends a Node without its status, which changes often and is large."""

NODE_REFRESH = 600.0
"""Seconds (jittered) after which the whole Node is read again: its runtime may have been upgraded."""

UNREPORTED_REFRESH = 15.0
"""The same while the Node reports no runtime; the kubelet updates it every 10 s."""

log = logging.getLogger(__name__)


def bundle_subject(namespace: str, name: str) -> Subject:
    """Return the bundle's Secret as the subject of a watch."""
    return Subject(f"/api/v1/namespaces/{namespace}/secrets", name, "bundle")


def node_subject(name: str) -> Subject:
    """Return the metadata of a Node as the subject of a watch."""
    return Subject("/api/v1/nodes", name, "node", {"Accept": METADATA_ONLY})


def received_bundle(secret: Mapping[str, Any], last: bundle_format.Decoded | None = None) -> ReceivedBundle:
    """Return the bundle in a Secret as the API server sends it; `last` is what the last one was made of.

    Raises:
        UnusableBundle: it holds none that this version can use.
    """
    metadata = secret.get("metadata") or {}
    try:
        data = {
            name: base64.b64decode(value, validate=True) for name, value in (secret.get("data") or {}).items() if value
        }
    except (binascii.Error, ValueError, TypeError):
        raise UnusableBundle(Reason.BUNDLE_UNREADABLE, "the bundle's Secret is not base64") from None
    bundle = bundle_format.decode(data, last)
    return ReceivedBundle(str(metadata.get("uid", "")), str(metadata.get("resourceVersion", "")), bundle)


def unreadable(error: Exception) -> Problem:
    """Return the problem that a bundle has on which the agent's own code fails."""
    return Problem(Reason.BUNDLE_UNREADABLE, f"this version fails on it ({kind_of(error)})")


class BundleSubscription:
    """Takes the events of the bundle's Secret. Empty, unusable or deleted, the last usable bundle stays."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._problem: Problem | None = None
        self._last = bundle_format.Decoded()

    def deliver(self, kind: str, secret: dict[str, Any]) -> None:
        """Take one event."""
        if kind == "DELETED":
            self._trouble(Problem(Reason.BUNDLE_MISSING, "the bundle's Secret was deleted"))
            return
        if kind == ABSENT:
            self._trouble(Problem(Reason.BUNDLE_MISSING, "there is no bundle Secret"))
            return
        known = self._inbox.look().bundle
        metadata = secret.get("metadata") or {}
        seen = (str(metadata.get("uid", "")), str(metadata.get("resourceVersion", "")))
        if known is not None and not self._problem and (known.uid, known.resource_version) == seen:
            return  # The same again, after a reconnection.
        try:
            received = received_bundle(secret, self._last)
        except UnusableBundle as error:
            self._trouble(error.problem)
            return
        except Exception as error:  # noqa: BLE001 - the boundary of what is read from a Secret
            self._trouble(unreadable(error))
            return
        if self._problem:
            log.info("bundle is usable again, serial %d", received.bundle.serial)
        self._problem = None
        self._inbox.put_bundle(received)

    def _trouble(self, problem: Problem) -> None:
        if problem != self._problem:
            log.warning("bundle can't be used, files stay as they are: %s", problem)
        self._problem = problem
        self._inbox.put_bundle_problem(problem)


class NodeSubscription:
    """Takes the events of the Node's metadata."""

    def __init__(self, inbox: Inbox, runtime: RuntimeReader) -> None:
        self._inbox = inbox
        self._runtime = runtime

    def deliver(self, kind: str, node: dict[str, Any]) -> None:
        """Take one event."""
        if kind in ("DELETED", ABSENT):
            if not self._inbox.look().node_gone:
                log.warning("the Node object of this name no longer exists, files stay as they are")
            self._inbox.put_node_gone()
            return
        metadata = node.get("metadata") or {}
        seen = NodeSeen(str(metadata.get("uid", "")), dict(metadata.get("labels") or {}))
        known = self._inbox.look().node
        if known is not None and known.uid != seen.uid:
            log.info("the Node was created again under the same name")
            self._runtime.ask()
        if known != seen:
            log.info("node has %d labels", len(seen.labels))
        self._inbox.put_node(seen)


def reported_runtime(info: Mapping[str, Any]) -> str:
    """Return the runtime that a Node's nodeInfo names, e.g. `containerd://2.4.2`; empty if it names none.

    A kubelet that asks while the runtime restarts writes `containerd://Unknown` (Kubernetes 1.37, in VersionInfo).
    """
    runtime = str(info.get("containerRuntimeVersion", ""))
    return "" if runtime.endswith("://Unknown") else runtime


class RuntimeReader:
    """Reads the whole Node for the name and version of its runtime: at the start, when asked, and now and then."""

    def __init__(self, server: APIServer, node: str, inbox: Inbox, stop: threading.Event) -> None:
        self._server = server
        self._path = f"/api/v1/nodes/{node}"
        self._inbox = inbox
        self._stopping = stop
        self._asked = threading.Event()

    def ask(self) -> None:
        """Read the Node again soon: something says that its runtime may have changed."""
        self._asked.set()

    def run(self) -> None:
        """Read until told to stop."""
        failures, wish, refresh = 0, 0.0, NODE_REFRESH
        while not self._stopping.is_set():
            self._asked.clear()
            try:
                node = self._server.call("GET", self._path)
                info = (node.get("status") or {}).get("nodeInfo") or {}
                runtime = reported_runtime(info)
                if runtime or not self._inbox.look().runtime:  # what was known stays while the runtime restarts
                    image, kubelet = (str(info.get(key, "")) for key in ("osImage", "kubeletVersion"))
                    self._inbox.put_runtime(runtime, image, kubelet)
                refresh = NODE_REFRESH if runtime else UNREPORTED_REFRESH
                failures = 0
            except Exception as error:  # noqa: BLE001 - whatever the server sends, it is asked again after a pause
                failures += 1
                wish = error.retry_after if isinstance(error, RequestFailed) else 0.0
                if failures == 1:
                    text = str(error) if isinstance(error, RequestFailed) else kind_of(error)
                    log.warning("node can't be read: %s", text)
                if self._inbox.look().runtime is None:
                    self._inbox.put_runtime("")
            jitter = 0.75 + random.random() / 2  # noqa: S311 (spreads load, is no secret)
            if failures:
                self._stopping.wait(after_refusal(failures, wish, random.random))
            else:
                self._asked.wait(refresh * jitter)
                self._stopping.wait(0.5)  # A burst of questions is one.
