"""Parts: the objects of the installation that nobody watches, and the operator's rights; what is missing is named."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from registry_trust.controller import rights
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.settings import OperatorSettings
from registry_trust.core.names import (
    AGENT,
    CRDS,
    EVENTS_ROLE,
    OPERATOR,
    OWN_NODE_POLICY,
    REPORTS_CRD,
    SOURCES_ROLE,
    STARTUP_TAINT_POLICY,
    TRUSTS_CRD,
)

_log = logging.getLogger(__name__)

EVERY = 30.0
"""Seconds between two looks at all parts and rights: some 50 small requests."""

SOON = 5.0
"""The same while something is missing."""

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Part:
    """An object, and its path at the API server."""

    kind: str
    name: str
    path: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def parts_of(settings: OperatorSettings) -> tuple[Part, ...]:
    """Return what the chart makes and the processes need."""
    own = settings.namespace
    roles = ((own, OPERATOR), (own, AGENT), (settings.trust_namespace, SOURCES_ROLE))
    bundle, daemon_set = settings.bundle_name, settings.agent_name
    return (
        Part("Secret", bundle, f"/api/v1/namespaces/{own}/secrets/{bundle}", own),
        Part("DaemonSet", daemon_set, f"/apis/apps/v1/namespaces/{own}/daemonsets/{daemon_set}", own),
        *(Part("CustomResourceDefinition", name, f"{CRDS}/{name}") for name in (TRUSTS_CRD, REPORTS_CRD)),
        *(Part("ServiceAccount", n, f"/api/v1/namespaces/{own}/serviceaccounts/{n}", own) for n in (OPERATOR, AGENT)),
        *(Part("ClusterRole", n, f"{_RBAC}/clusterroles/{n}") for n in (OPERATOR, AGENT)),
        *(Part("ClusterRoleBinding", n, f"{_RBAC}/clusterrolebindings/{n}") for n in (OPERATOR, AGENT)),
        *(
            Part(kind, name, f"{_RBAC}/namespaces/{namespace}/{kind.lower()}s/{name}", namespace)
            for namespace, name in (*roles, ("default", EVENTS_ROLE))
            for kind in ("Role", "RoleBinding")
        ),
        *(
            Part(kind, policy, f"{_ADMISSION}/{resource}/{policy}")
            for policy in (OWN_NODE_POLICY, *([STARTUP_TAINT_POLICY] if settings.startup_taint else ()))
            for kind, resource in (
                ("ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
                ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
            )
        ),
    )


class Parts:
    """Knows what is missing; `problem` says so, and what to do, and is empty while all is there."""

    def __init__(self, server: ApiServer, settings: OperatorSettings) -> None:
        self._server = server
        self._parts = parts_of(settings)
        self._rights = rights.rights_of(settings)
        self.problem = ""

    @property
    def pause(self) -> float:
        """Return the seconds until the next look."""
        return SOON if self.problem else EVERY

    def look(self) -> None:
        """Ask for every part and right, and tell of a change in one line; without an answer what was known stays."""
        found: dict[int, list[Part]] = {401: [], 403: [], 404: []}
        try:
            for part in self._parts:
                try:
                    self._server.get(part.path, metadata_only=True)
                except ApiFailure as error:
                    if error.status not in found:
                        raise
                    found[error.status].append(part)
            denied = rights.lacking(self._server, self._rights)
        except ApiFailure:
            return
        problem = problem_of(found[404], found[403], denied, unknown=bool(found[401]))
        if problem and problem != self.problem:
            _log.error(problem)
        elif self.problem and not problem:
            _log.info("every part of the installation is there again")
        self.problem = problem


def problem_of(
    missing: Iterable[Part], refused: Iterable[Part], denied: Iterable[rights.Right], *, unknown: bool
) -> str:
    """Return what is wrong and how to fix it; empty if nothing is.

    Args:
        missing: parts that do not exist.
        refused: parts that the operator may not read.
        denied: what else it may not do.
        unknown: whether the API server does not know the operator at all (HTTP 401).
    """
    if unknown:
        return (
            f"the API server rejects the operator's token (HTTP 401): ServiceAccount {OPERATOR} was deleted or created "
            "again; apply the chart or deploy/ again, and delete the operator's pod if this stays"
        )
    faults = []
    if gone := ", ".join(map(str, missing)):
        faults.append(f"missing: {gone}")
    if unread := ", ".join(map(str, refused)):
        faults.append(
            f"cannot read {unread} (HTTP 403: a rule of ClusterRole or Role {OPERATOR}, or its binding, is missing, or "
            "another installation has taken it over)"
        )
    faults += rights.in_words(denied)
    return f"{'; '.join(faults)}; apply the chart or deploy/ again" if faults else ""
