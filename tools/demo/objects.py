"""The objects of the demo: trusts and the Secrets that they name, as an admin would write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.authority import Pair
from tools.demo.api import API
from tools.installation import TRUST_NAMESPACE, secret, trust

TRUST = "registry"
NEIGHBOUR = "neighbour.example.test:5000"
"""A registry whose directories another process made."""

CA_SECRET = "registry-ca"
CLIENT_SECRET = "registry-client"

TRUSTS = "/apis/registrytrust.io/v1alpha1/registrytrusts"
SECRETS = f"/api/v1/namespaces/{TRUST_NAMESPACE}/secrets"

_CA_SOURCE = {"secretKeyRef": {"name": CA_SECRET, "key": "ca.crt"}}


def the_trust(registry: str) -> dict[str, Any]:
    """Return the trust: the registry's CA from one Secret, the nodes' client certificate from another."""
    return trust(
        TRUST,
        registries=[registry],
        caCertificates=[_CA_SOURCE],
        clientCertificates=[{"secretRef": {"name": CLIENT_SECRET}}],
        caRetention="0s",  # by default a replaced CA stays for a day; the story shows each step on disk
    )


def neighbours_trust() -> dict[str, Any]:
    """Return a trust for the registry whose directories another process made."""
    return trust("neighbour", registries=[NEIGHBOUR], caCertificates=[_CA_SOURCE])


def ca_secret(*certificates: bytes) -> dict[str, Any]:
    """Return the Secret with the registry's CA certificates."""
    return secret(CA_SECRET, {"ca.crt": b"".join(certificates)})


def client_secret(pair: Pair) -> dict[str, Any]:
    """Return the Secret with a client certificate and a key."""
    return secret(CLIENT_SECRET, {"tls.crt": pair.certificate, "tls.key": pair.key}, "kubernetes.io/tls")


def apply(api: API, body: Mapping[str, Any]) -> None:
    """Apply a trust or a Secret of the trust namespace, as `kubectl apply --server-side` does."""
    name = body["metadata"]["name"]
    api.apply(f"{TRUSTS}/{name}" if body["kind"] == "RegistryTrust" else f"{SECRETS}/{name}", body)
