"""Parts: the objects of the installation that nobody watches, asked for by name, so that a missing one is named."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

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
    TRUSTS_CRD,
)

_log = logging.getLogger(__name__)

EVERY = 20.0
"""Seconds between two looks at all parts."""

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
            Part(kind, OWN_NODE_POLICY, f"{_ADMISSION}/{resource}/{OWN_NODE_POLICY}")
            for kind, resource in (
                ("ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
                ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
            )
        ),
    )


class Parts:
    """Knows which parts are missing; `problem` says so, and what to do, and is empty while all are there."""

    def __init__(self, server: ApiServer, settings: OperatorSettings) -> None:
        self._server = server
        self._parts = parts_of(settings)
        self.problem = ""

    def look(self) -> None:
        """Ask for every part, and tell of a change in one line; without an answer what was known stays."""
        missing: list[Part] = []
        refused: list[Part] = []
        for part in self._parts:
            try:
                self._server.get(part.path, metadata_only=True)
            except ApiFailure as error:
                if error.status == 404:
                    missing.append(part)
                elif error.status in (401, 403):
                    refused.append(part)
                else:
                    return
        problem = problem_of(missing, refused)
        if problem and problem != self.problem:
            _log.error(problem)
        elif self.problem and not problem:
            _log.info("every part of the installation is there again")
        self.problem = problem


def problem_of(missing: Iterable[Part], refused: Iterable[Part]) -> str:
    """Return what is wrong and how to mend it; empty if nothing is missing and nothing was refused."""
    faults = []
    if gone := ", ".join(map(str, missing)):
        faults.append(f"missing: {gone}")
    if unread := ", ".join(map(str, refused)):
        faults.append(
            f"cannot read {unread} (HTTP 401 or 403: ClusterRole or ClusterRoleBinding {OPERATOR}, "
            "or the operator's ServiceAccount, is missing or another one)"
        )
    return f"{'; '.join(faults)}; apply the chart or deploy/ again" if faults else ""
