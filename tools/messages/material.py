"""Certificates and keys as inputs, the places where they stand, and what the real code says about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from registry_trust.certificates.authorities import CheckedRoots, read_ca_certificates
from registry_trust.certificates.pairs import CheckedPair, read_client_pair
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.problem import Problem
from tools import pki
from tools.messages.cases import Table
from tools.pki import client, issue, root

CA_FIELD, CA_PLACE = "spec.caCertificates[0].secretKeyRef", "Secret registry-certificates/harbor-ca key ca.crt"
PAIR_FIELD = "spec.clientCertificates[0].secretRef"
CERTIFICATE_PLACE = "Secret registry-certificates/harbor-client key tls.crt"
KEY_PLACE = "Secret registry-certificates/harbor-client key tls.key"
REGISTRY = "harbor.corp.example:5000"


def read_roots(data: bytes) -> CheckedRoots:
    """Read CA certificates as the operator does.

    Raises:
        UnusableMaterial: they are refused.
    """
    return read_ca_certificates(data, field=CA_FIELD, place=CA_PLACE, now=pki.NOW, registries=(REGISTRY,))


def read_pair(certificate: bytes, key: bytes) -> CheckedPair:
    """Read a pair as the operator does.

    Raises:
        UnusableMaterial: it is refused.
    """
    return read_client_pair(
        certificate, key, field=PAIR_FIELD, certificate_place=CERTIFICATE_PLACE, key_place=KEY_PLACE, now=pki.NOW
    )


def about_roots(table: Table) -> Iterator[Problem]:
    """Yield what is said of CA certificates."""
    for case in table:
        try:
            yield from read_roots(case.given()).warnings
        except UnusableMaterial as error:
            yield error.problem


def about_pairs(table: Table) -> Iterator[Problem]:
    """Yield what is said of pairs."""
    for case in table:
        try:
            yield from read_pair(*case.given()).warnings
        except UnusableMaterial as error:
            yield error.problem


def with_body_line(change: Callable[[bytes], bytes]) -> bytes:
    """Return the root's PEM with the second line of its body changed."""
    lines = root().pem.split(b"\n")
    lines[2] = change(lines[2])
    return b"\n".join(lines)


def plain_ca(**more: Any) -> pki.Issued:
    """Return a self-signed CA of a shape."""
    return issue("Shaped Root", pki.curve_key(3), ca=True, **more)


def pair_of(key: Any, **more: Any) -> tuple[bytes, bytes]:
    """Return a client certificate of a shape, issued by the root, and its key."""
    return issue("node 1", key, issuer=root(), **more).pem, pki.pkcs8(key)


def own_key() -> bytes:
    """Return the key of the client certificate."""
    return pki.pkcs8(client().key)


def with_key(key: bytes) -> tuple[bytes, bytes]:
    """Return the client certificate with a key."""
    return client().pem, key
