"""What an API server makes of `clientCertificates`: of trusts stored before it was a map list, of several owners."""

from __future__ import annotations

import json
from typing import Any

from registry_trust.api.crd import REGISTRY_TRUST, build_crd
from tools.cluster.kubectl import Kubectl
from tools.cluster.waiting import wait_until
from tools.installation import trust

REGISTRY = "stored.example"


def pair(secret: str, name: str | None = None) -> dict[str, Any]:
    return {**({} if name is None else {"name": name}), "secretRef": {"name": secret}}


def applied(kubectl: Kubectl, owner: str, *pairs: dict[str, Any], name: str = "stored") -> str:
    """Apply a trust server-side as one owner of its client certificates."""
    body = trust(name, registries=[REGISTRY], clientCertificates=list(pairs))
    return kubectl("apply", "--server-side", f"--field-manager={owner}", "-f", "-", input=json.dumps(body))


def listed(kubectl: Kubectl, name: str = "stored") -> list[str]:
    """Return name=Secret of each pair, in the order of the object; a name that is not there is empty."""
    pairs = kubectl.get("registrytrust", name)["spec"]["clientCertificates"]
    return [f"{each.get('name', '')}={each['secretRef']['name']}" for each in pairs]


def crd_before() -> dict[str, Any]:
    """Return the CRD with the list as it was: atomic, its names optional and without a default."""
    crd = build_crd(REGISTRY_TRUST)
    (version,) = crd["spec"]["versions"]
    pairs = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["clientCertificates"]
    pairs["x-kubernetes-list-type"] = "atomic"
    del pairs["x-kubernetes-list-map-keys"]
    del pairs["items"]["properties"]["name"]["default"]
    return crd


def check_a_trust_that_was_stored_without_names(kubectl: Kubectl) -> None:
    """Store a trust under the CRD as it was, upgrade the CRD, and do with it what operator and owner do."""
    kubectl.apply(crd_before())

    def stored_without_a_name() -> bool:
        kubectl("delete", "registrytrust", "stored", "--ignore-not-found")
        applied(kubectl, "owner", pair("a"))
        return listed(kubectl) == ["=a"]

    wait_until(stored_without_a_name, "the CRD as it was is in force", within=30)
    kubectl.apply(build_crd(REGISTRY_TRUST))
    wait_until(lambda: listed(kubectl) == ["client=a"], "the stored trust has the default name", within=30)

    status = trust("stored") | {"status": {"nodesSummary": "0/0"}}
    del status["spec"]
    options = ["--server-side", "--subresource=status", "--field-manager=another"]
    kubectl("apply", *options, "-f", "-", input=json.dumps(status))
    applied(kubectl, "owner", pair("b"))
    assert listed(kubectl) == ["client=b"]
    kubectl("delete", "registrytrust", "stored")


def check_the_order_of_pairs_and_their_owners(kubectl: Kubectl) -> None:
    """Apply as two owners: each one's pairs keep its order, and nobody takes away another's."""
    applied(kubectl, "first", pair("1", "a"), pair("2", "b"), pair("3", "c"))
    assert listed(kubectl) == ["a=1", "b=2", "c=3"]

    applied(kubectl, "first", pair("9", "z"), pair("3", "c"), pair("1", "a"))
    assert listed(kubectl) == ["z=9", "c=3", "a=1"]

    applied(kubectl, "second", pair("8"))
    assert listed(kubectl) == ["z=9", "c=3", "a=1", "client=8"]

    applied(kubectl, "first", pair("1", "a"), pair("3", "c"))
    assert [each for each in listed(kubectl) if each != "client=8"] == ["a=1", "c=3"]
    assert "client=8" in listed(kubectl)
    kubectl("delete", "registrytrust", "stored")
