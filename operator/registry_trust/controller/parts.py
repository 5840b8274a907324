"""Parts: the objects of the installation that nobody watches, asked for by name, so that a missing one is named."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.settings import GROUP, OperatorSettings

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
    operator, agent, policy = "registry-trust-operator", "registry-trust-agent", "registry-trust-agent-own-node"
    own = settings.namespace
    roles = ((own, operator), (own, agent), (settings.trust_namespace, "registry-trust-sources"))
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    bundle, daemon_set = settings.bundle_name, settings.agent_name
    return (
        Part("Secret", bundle, f"/api/v1/namespaces/{own}/secrets/{bundle}", own),
        Part("DaemonSet", daemon_set, f"/apis/apps/v1/namespaces/{own}/daemonsets/{daemon_set}", own),
        *(
            Part("CustomResourceDefinition", name, f"{crds}/{name}")
            for name in (f"registrytrusts.{GROUP}", f"nodetrusts.{GROUP}")
        ),
        *(Part("ServiceAccount", n, f"/api/v1/namespaces/{own}/serviceaccounts/{n}", own) for n in (operator, agent)),
        *(Part("ClusterRole", n, f"{_RBAC}/clusterroles/{n}") for n in (operator, agent)),
        *(Part("ClusterRoleBinding", n, f"{_RBAC}/clusterrolebindings/{n}") for n in (operator, agent)),
        *(
            Part(kind, name, f"{_RBAC}/namespaces/{namespace}/{kind.lower()}s/{name}", namespace)
            for namespace, name in (*roles, ("default", "registry-trust-events"))
            for kind in ("Role", "RoleBinding")
        ),
        *(
            Part(kind, policy, f"{_ADMISSION}/{resource}/{policy}")
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
            f"cannot read {unread} (HTTP 401 or 403: ClusterRole or ClusterRoleBinding registry-trust-operator, "
            "or the operator's ServiceAccount, is missing or another one)"
        )
    return f"{'; '.join(faults)}; apply the chart or deploy/ again" if faults else ""
