"""Hosts in certificates: names are compared as DNS does, and Docker Hub's certificate names its server."""

from __future__ import annotations

import pytest

from registry_trust.core.x509.extensions import Extensions
from registry_trust.core.x509.hosts import forbidden_by, is_named


@pytest.mark.parametrize(
    ("registry", "names", "expected"),
    [
        ("Harbor.Example:5000", ("harbor.example",), True),
        ("Harbor.Example", ("*.example",), True),
        ("Harbor.Example", ("other.example",), False),
        ("docker.io", ("registry-1.docker.io",), True),
        ("docker.io", ("*.docker.io",), True),
        ("docker.io", ("docker.io",), False),
    ],
)
def test_a_certificate_names_a_registry_whatever_the_case(registry, names, *, expected):
    assert is_named(registry, Extensions(dns_names=names)) is expected


@pytest.mark.parametrize("registry", ["Harbor.Example:5000", "docker.io"])
def test_name_constraints_know_no_case(registry):
    assert not forbidden_by(registry, Extensions(permitted=("example", "docker.io")))
    assert forbidden_by(registry, Extensions(permitted=("elsewhere.example",)))
