"""RegistryTrusts and sources whose shape is wrong: what the operator's status and the command say of their fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from registry_trust.api.parse import check_trust
from registry_trust.compiler.objects import read_source
from registry_trust.core.errors import InvalidField
from registry_trust.core.problem import Problem
from registry_trust.core.registry import check
from registry_trust.core.trust import SourceKind
from tools.messages import registries
from tools.pki import root

SECRET = {"secretKeyRef": {"name": "harbor-ca", "key": "ca.crt"}}
SIGNER = "corp.example/roots"


def trust(**fields: Any) -> dict[str, Any]:
    """Return a RegistryTrust with some fields of its spec replaced."""
    spec = {"registries": ["harbor.corp.example:5000"], "caCertificates": [SECRET], **fields}
    return {"metadata": {"name": "harbor"}, "spec": spec}


def of_secret(**reference: Any) -> dict[str, Any]:
    return trust(caCertificates=[{"secretKeyRef": {**SECRET["secretKeyRef"], **reference}}])


def of_bundle(**reference: Any) -> dict[str, Any]:
    return trust(caCertificates=[{"clusterTrustBundle": reference}])


def selected(*expressions: dict[str, Any], **labels: Any) -> dict[str, Any]:
    return trust(nodeSelector={"matchLabels": labels, "matchExpressions": list(expressions)})


def requirement(operator: str, *values: str) -> dict[str, Any]:
    return {"key": "pool", "operator": operator, "values": list(values)}


TRUSTS: tuple[dict[str, Any], ...] = (
    trust(registries=["a.example", "b.example", "a.example"]),
    trust(caCertificates=None),
    {"metadata": {"name": "harbor"}},
    {"metadata": {}, "spec": trust()["spec"]},
    {**trust(), "metadata": {"name": "Harbor"}},
    {**trust(), "kind": "RegistryTrusts"},
    {**trust(), "specs": {}},
    {**trust(), "data": {}},
    {"metadata": {"name": "harbor"}, "spec": {"registries": ["a.example"]}},
    {"metadata": {"name": "harbor"}, "spec": {"caCertificates": [SECRET]}},
    trust(registries=[]),
    trust(registries="harbor.corp.example"),
    trust(registries=[5000]),
    trust(registries=[f"r{number}.example" for number in range(65)]),
    trust(registries=["-----BEGIN PRIVATE KEY-----"]),
    of_secret(name="other/harbor-ca"),
    of_secret(namespace="other"),
    of_secret(name=""),
    of_secret(key="a b"),
    of_secret(key="k" * 300),
    trust(caCertificates=[{"secretKeyRef": "harbor-ca"}]),
    trust(caCertificates=[{**SECRET, "configMapKeyRef": SECRET["secretKeyRef"]}]),
    trust(caCertificates=[{"inline": root().pem.decode()}, {"inline": "-----BEGIN EC PRIVATE KEY-----"}]),
    trust(caCertificates=[{"inline": "x" * 70_000}]),
    of_bundle(),
    of_bundle(signerName=SIGNER),
    of_bundle(signerName=SIGNER, labelSelector={"matchLabels": {"a b": ""}}),
    trust(clientCertificates=[{"secretRef": {"name": "harbor-client"}, "name": "node.crt"}]),
    trust(clientCertificates=[{"secretRef": {"name": "harbor-client"}, "name": "Node_1"}]),
    trust(clientCertificates=[{"secretRef": {"name": name}} for name in ("first", "second")]),
    trust(caRetention="1 day"),
    trust(caRetention="9000h"),
    trust(existingFilesPolicy="Overwrite"),
    trust(suspend="yes"),
    trust(nodeSelector={}),
    trust(nodeSelector={"pool": "a"}),
    selected(**{"a b": "x"}),
    selected(pool="-a"),
    selected(pool=1),
    selected(requirement("In")),
    selected(requirement("Exists", "a")),
    selected(requirement("in", "a")),
)
"""RegistryTrusts with something wrong in each."""

SECRETS: tuple[dict[str, Any], ...] = (
    {"metadata": {"name": "harbor-ca"}, "data": {"ca.crt": "-----BEGIN CERTIFICATE-----"}},
    {"metadata": {"name": "harbor-ca"}, "data": {"ca.crt": "no base64"}},
    {"metadata": {"name": "harbor-ca"}, "data": ["ca.crt"]},
    {"metadata": {"name": "harbor-ca"}, "stringData": {"ca.crt": 1}},
    {"metadata": {"name": "harbor-ca"}, "type": 1},
    {"metadata": {"name": "harbor-ca"}, "stringdata": {}},
    {"metadata": {"name": "harbor-ca"}, "spec": {}},
    {"metadata": "harbor-ca"},
    {"metadata": {}},
    {"metadata": {"name": 1}},
    {"metadata": {"name": "Harbor_CA"}},
    {"metadata": {"name": "harbor-ca", "namespace": 1}},
)
"""Secrets of a manifest with something wrong in each."""


def said() -> Iterator[Problem]:
    """Yield what is said of registries' names, of RegistryTrusts, and of sources in manifests."""
    for case in registries.REFUSED:
        try:
            check(case.given, "spec.registries[0]")
        except InvalidField as error:
            yield error.problem
    for body in TRUSTS:
        yield from (error.problem for error in check_trust(body))
    for body in SECRETS:
        yield from read_source(body, SourceKind.SECRET)[1]
    yield from read_source({"metadata": {"name": "a"}, "binaryData": {"a": "-----BEGIN"}}, SourceKind.CONFIG_MAP)[1]
    yield from read_source({"metadata": {"name": "a"}, "spec": {}}, SourceKind.CLUSTER_TRUST_BUNDLE)[1]
