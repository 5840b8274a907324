"""Another installation: of several in one cluster, only the one that the ClusterRoleBinding names writes anything."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.core.names import OPERATOR

_log = logging.getLogger(__name__)

BINDING = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{OPERATOR}"
"""A cluster has one object of this name, and every operator may read it: what it names is the installation."""


def other_namespace(binding: Mapping[str, Any], namespace: str) -> str:
    """Return the namespace of the installation that a ClusterRoleBinding names; empty if it is `namespace`, or none.

    Of several, the first in the list counts, so that each of them comes to the same answer.
    """
    for subject in binding.get("subjects") or ():
        if (subject.get("kind"), subject.get("name")) == ("ServiceAccount", OPERATOR):
            found = str(subject.get("namespace") or "")
            return found if found != namespace else ""
    return ""


class OtherInstallation:
    """Knows whether this cluster belongs to another installation; `problem` says so, and is empty if it does not."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self._server = server
        self._namespace = namespace
        self.problem = ""

    def look(self) -> None:
        """Read the ClusterRoleBinding, and tell of a change in one line; without an answer what was known stays."""
        try:
            other = other_namespace(self._server.get(BINDING), self._namespace)
        except ApiFailure as error:
            if error.status != 404:
                return
            other = ""  # That it is missing is named with the other parts.
        problem = (
            f"standing by: another installation of registry-trust, in namespace {other}, manages this cluster "
            f"(ClusterRoleBinding {OPERATOR} names it first). There can be only one: uninstall one of the two, then "
            "apply the other one's chart or deploy/ again"
            if other
            else ""
        )
        if problem and problem != self.problem:
            _log.error(problem)
        elif self.problem and not problem:
            _log.info("no other installation manages this cluster now")
        self.problem = problem
