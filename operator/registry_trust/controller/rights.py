"""Rights: what RBAC must let the operator do, asked of the API server one by one, so that a lost rule is named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from registry_trust.compiler.kinds import KINDS
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.settings import OperatorSettings
from registry_trust.core.names import EVENTS_ROLE, GROUP, OPERATOR, SOURCES_ROLE

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one resource (`nodes`, `registrytrusts/status`), and the role that gives it."""

    role: str
    verb: str
    group: str
    resource: str
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        resource, slash, sub = self.resource.partition("/")
        qualified = f"{resource}.{self.group}{slash}{sub}" if self.group else self.resource
        return f"{self.verb} {qualified} {self.name}".rstrip()


def rights_of(settings: OperatorSettings) -> tuple[Right, ...]:
    """Return what the operator's roles give it, but for the parts that it reads by name."""
    own, sources = settings.namespace, settings.trust_namespace
    everywhere, here = f"ClusterRole {OPERATOR}", f"Role {own}/{OPERATOR}"
    there, events = f"Role {sources}/{SOURCES_ROLE}", f"Role default/{EVENTS_ROLE}"
    bundle, lease = settings.bundle_name, settings.lease_name
    reading = ("get", "list", "watch")
    in_one = [kind for kind in KINDS if kind.of_trust_namespace]
    cluster_wide = [kind for kind in KINDS if not kind.of_trust_namespace]
    return (
        *(Right(everywhere, verb, each.group, each.resource) for each in cluster_wide for verb in reading),
        Right(everywhere, "patch", GROUP, "registrytrusts/status"),
        *([Right(everywhere, "patch", "", "nodes")] if settings.startup_taint else ()),
        *(Right(there, verb, each.group, each.resource, "", sources) for each in in_one for verb in reading),
        *(Right(here, verb, "", "secrets", bundle, own) for verb in ("get", "patch")),
        Right(here, "create", "coordination.k8s.io", "leases", "", own),
        *(Right(here, verb, "coordination.k8s.io", "leases", lease, own) for verb in ("get", "update")),
        Right(here, "get", "apps", "daemonsets", settings.agent_name, own),
        Right(here, "list", "", "pods", "", own),
        *(Right(events, verb, "", "events", "", "default") for verb in ("create", "patch")),
    )


def lacking(server: ApiServer, rights: Iterable[Right]) -> list[Right]:
    """Ask for each right; return those that the API server denies, and none where it does not let anybody ask.

    Raises:
        ApiFailure: there was no answer.
    """
    try:
        return [right for right in rights if not _has(server, right)]
    except ApiFailure as error:
        if error.status in (401, 403, 404):
            return []
        raise


def in_words(denied: Iterable[Right]) -> list[str]:
    """Return a sentence for each role that does not give what it should."""
    return [
        f"{role} or its binding does not let the operator {', '.join(map(str, rights))}"
        for role, rights in groupby(denied, key=lambda right: right.role)
    ]


def _has(server: ApiServer, right: Right) -> bool:
    resource, _, sub = right.resource.partition("/")
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": sub,
        "name": right.name,
        "namespace": right.namespace,
    }
    review: dict[str, Any] = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    status = server.create(_REVIEWS, review).get("status")
    return not isinstance(status, dict) or status.get("allowed") is not False
