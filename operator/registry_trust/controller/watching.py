"""kopf's part: it watches, and its events update the map and wake the loop; it writes nothing on any object."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import kopf

from registry_trust.compiler.kinds import KINDS, WatchedKind
from registry_trust.controller.cluster import ClusterMap

Wake = Callable[[str, str], None]
"""Called with the kind and the name of what changed."""


class NoDifferences(kopf.DiffBaseStorage):
    """Nothing is kept of an object from one event to the next, and nothing written into it.

    kopf copies every object whole for a difference that only state-changing handlers ask for. There are none here, and
    for a report that copy was a third of the work.
    """

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:  # noqa: ARG002 - kopf's own name
        """Return what matters of an object: nothing."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> None:
        """Return what an object was before: not known."""

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Write nothing."""


def make_settings() -> kopf.OperatorSettings:
    """Return kopf's settings: no scanning, no posting, no peering, jittered backoffs, bounded memory."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.persistence.diffbase_storage = NoDifferences()
    settings.watching.chunk_size = 500
    # A bookmark comes every 60 s. The kernel notices packets that are dropped; a proxy that has lost its other side
    # acknowledges on, and nothing but this ends such a stream.
    settings.watching.inactivity_timeout = 80
    for kind in KINDS:
        if kind.field_selector:
            settings.watching.field_selectors[kind.group, kind.resource] = kind.field_selector
    # One task per object lives this long after its last event; the default of 5 s doubles the memory of a large LIST.
    settings.queueing.idle_timeout = 0.1
    # kopf's own backoffs are fixed: after an outage every operator would come back in the same second. They go up to
    # 8 s: a change is seen that soon after an outage of any length, and all watches make about one request a second.
    steps = [1, 1, 2, 3, 5, *([8] * 80)]
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = [step * random.uniform(0.7, 1.3) for step in steps]  # noqa: S311 - jitter
    return settings


def make_registry(
    cluster: ClusterMap, wake: Wake, connection: Callable[[], kopf.AiohttpSession]
) -> kopf.OperatorRegistry:
    """Return kopf's registry with one event handler for each kind that the API server has.

    Only `on.event` handlers: a state-changing handler would copy a Secret's data into an annotation, and any other
    kind of handler would write finalizers or annotations on the objects.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:  # a coroutine: the session belongs to kopf's loop
        return connection()

    for kind, version in cluster.served.items():
        watch = kopf.on.event(kind.group, version, kind.resource, id=f"watch-{kind.name}", registry=registry)
        watch(partial(_take, kind, cluster, wake))
    return registry


async def _take(kind: WatchedKind[Any], cluster: ClusterMap, wake: Wake, *, event: Any, **_: Any) -> None:
    """Take one watch event, and wake the loop if that changed anything.

    A coroutine: kopf calls plain functions in threads, and the loop's own has time for it.
    """
    if cluster.take(kind, event["object"], deleted=event["type"] == "DELETED"):
        name = event["object"]["metadata"]["name"]
        logging.getLogger(__name__).debug("changed", extra={"kind": kind.name, "object": name})
        wake(kind.name, name)
