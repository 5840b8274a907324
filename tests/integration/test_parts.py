"""Parts: whatever of deploy/ is deleted on a running system is named and heals when it is back."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from registry_trust.controller.parts import parts_of
from registry_trust.controller.settings import OperatorSettings
from tools.cluster.waiting import wait_until
from tools.installation import MANIFEST, NAMESPACE, TRUST_NAMESPACE, Installation

NAMED_ELSEWHERE = {
    "Namespace registry-trust": "everything in it is gone, the operator, too",
    "Namespace registry-certificates": "its Role and RoleBinding are gone with it",
    "Deployment registry-trust/registry-trust-operator": "nothing runs that could tell",
    "PodDisruptionBudget registry-trust/registry-trust-operator": "no process needs it",
    "NetworkPolicy registry-trust/registry-trust": "no process needs it",
}
"""What the operator doesn't ask for, and where its loss is seen."""

ENDS_THE_LEADER = ("registry-trust/registry-trust-operator", "CustomResourceDefinition")
"""Without its own Role or ServiceAccount it can't renew its Lease and ends, as it does without any of its kinds."""

OWN_RIGHTS = ("ClusterRole registry-trust-operator", "ClusterRoleBinding registry-trust-operator")

ASKED_FOR = {str(part) for part in parts_of(OperatorSettings(NAMESPACE, TRUST_NAMESPACE, "me"))}
DOCUMENTS = {
    " ".join((d["kind"], "/".join(filter(None, (d["metadata"].get("namespace"), d["metadata"]["name"]))))): d
    for d in yaml.safe_load_all(MANIFEST.read_text())
    if d
}


def delete(installation: Installation, document: dict[str, Any]) -> None:
    metadata = document["metadata"]
    where = ("-n", metadata["namespace"]) if "namespace" in metadata else ()
    installation.plane.kubectl("delete", document["kind"].lower(), metadata["name"], *where)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_object_of_the_installation_has_a_place_where_its_loss_is_named(name: str) -> None:
    assert (name in ASKED_FOR) != (name in NAMED_ELSEWHERE)


def test_the_operator_asks_for_nothing_that_is_not_installed() -> None:
    assert set(DOCUMENTS) >= ASKED_FOR


def test_every_lost_object_is_named_on_the_page_and_in_the_log_and_heals_without_a_restart(
    installation: Installation,
) -> None:
    process = installation.operator
    assert process is not None
    wait_until(lambda: installation.readiness().strip() == "ok", "it is ready", within=60, meanwhile=process.check)
    others = ASKED_FOR.difference(OWN_RIGHTS)
    lost = {n: DOCUMENTS[n] for n in sorted(others) if not any(each in n for each in ENDS_THE_LEADER)}
    for document in lost.values():
        delete(installation, document)

    wait_until(
        lambda: all(name in installation.readiness() for name in lost),
        "the page names every object",
        within=60,
        meanwhile=process.check,
    )
    assert all(name in process.log.read_text() for name in lost)
    installation.plane.kubectl.apply(*lost.values())

    wait_until(lambda: installation.readiness().strip() == "ok", "it heals", within=60, meanwhile=process.check)


def test_the_loss_of_the_operators_own_rights_is_named_and_heals_without_a_restart(installation: Installation) -> None:
    process = installation.operator
    assert process is not None
    name = "ClusterRoleBinding registry-trust-operator"
    delete(installation, DOCUMENTS[name])

    wait_until(lambda: "ClusterRoleBinding" in installation.readiness(), "named", within=60, meanwhile=process.check)
    installation.plane.kubectl.apply(DOCUMENTS[name])

    wait_until(lambda: installation.readiness().strip() == "ok", "it heals", within=60, meanwhile=process.check)
