"""kopf's part: it watches, and its events update the map and wake the loop; it writes nothing on any object."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

import kopf

from registry_trust.controller.cluster import (
    SECRETS_WITHOUT,
    Cluster,
    key_and_version,
    read_config_map,
    read_node,
    read_report,
    read_secret,
    read_trust,
)
from registry_trust.controller.collection import Collection
from registry_trust.core.names import GROUP, VERSION

Wake = Callable[[str, str], None]
"""Called with the kind and the name of what changed."""


def make_settings() -> kopf.OperatorSettings:
    """Return kopf's settings: no scanning, no posting, no peering, jittered backoffs, bounded memory."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.watching.chunk_size = 500
    # Bookmarks come every 60 s: two of them may be lost before a connection is taken for dead.
    settings.watching.inactivity_timeout = 130
    settings.watching.field_selectors["v1", "secrets"] = SECRETS_WITHOUT
    # One task per object lives this long after its last event; the default of 5 s doubles the memory of a large LIST.
    settings.queueing.idle_timeout = 0.1
    # kopf's own backoffs are fixed: after an outage every operator would come back in the same second.
    steps = [1, 1, 2, 3, 5, 8, 13, 21, *([30] * 20)]
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = [step * random.uniform(0.7, 1.3) for step in steps]  # noqa: S311 - jitter
    return settings


def make_registry(cluster: Cluster, wake: Wake, connection: Callable[[], kopf.AiohttpSession]) -> kopf.OperatorRegistry:
    """Return kopf's registry with one event handler for each watched kind.

    Only `on.event` handlers: a state-changing handler would copy a Secret's data into an annotation, and any other
    kind of handler would write finalizers or annotations on the objects.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:  # a coroutine: the session belongs to kopf's loop
        return connection()

    def watch(resource: tuple[str, ...], kind: str, collection: Collection[Any], read: Callable[[Any], Any]) -> None:
        @kopf.on.event(*resource, id=f"watch-{kind}", registry=registry)
        async def handle(event: Any, **_: Any) -> None:  # kopf calls plain functions in threads; the loop's own has it
            take(event, kind, collection, read, wake)

    watch((GROUP, VERSION, "registrytrusts"), "RegistryTrust", cluster.trusts, read_trust)
    watch(("", "v1", "secrets"), "Secret", cluster.secrets, read_secret)
    watch(("", "v1", "configmaps"), "ConfigMap", cluster.config_maps, read_config_map)
    watch(("", "v1", "nodes"), "Node", cluster.nodes, read_node)
    watch((GROUP, VERSION, "nodetrusts"), "NodeTrust", cluster.reports, read_report)
    return registry


def take(event: Any, kind: str, collection: Collection[Any], read: Callable[[Any], Any], wake: Wake) -> None:
    """Put one watch event into its collection, and wake the loop if that changed anything."""
    body = event["object"]
    key, version = key_and_version(body)
    value = None if event["type"] == "DELETED" else read(body)
    changed = collection.delete(key, version) if value is None else collection.put(key, version, value)
    if changed:
        logging.getLogger(__name__).debug("changed", extra={"kind": kind, "object": key})
        wake(kind, key)
