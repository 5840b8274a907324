"""A trust as a whole: what is refused or warned of, with the whole message."""

from __future__ import annotations

import re
from typing import Any

import pytest

from registry_trust.api.parse import check_trust
from registry_trust.compiler import compile as compiling
from registry_trust.compiler.content import Checker
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.sources import SourceObject, Sources
from registry_trust.core.bundle import Bundle
from registry_trust.core.desired import Desired, DesiredRegistry
from registry_trust.core.hosts_toml import parse
from registry_trust.core.layout import Layout, Material
from registry_trust.core.observed import ForeignEntry, ObservedRoot, Target
from registry_trust.core.plan import make_plan
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RowState
from registry_trust.core.trust import SourceKind, SourceRef, Trust
from tools import pki
from tools.pki import root

FIELD = "spec.caCertificates[0].secretKeyRef"
PLACE = "Secret registry-trust/harbor-ca key ca.crt"


def compiled(
    data: bytes = b"", *, registries: tuple[str, ...] = ("harbor.example",), last: Bundle | None = None
) -> compiling.Outcome:
    """Compile one trust whose CA certificates are these; without any, a good one."""
    source = SourceObject(SourceKind.SECRET, "harbor-ca", "1", {"ca.crt": data or root().pem}, "Opaque")
    trust = Trust("harbor", "u", "2026-01-01T00:00:00Z", 1, registries, (SourceRef("Secret", "harbor-ca", "ca.crt"),))
    result = compiling.compile_bundle(
        [TrustInput(trust.name, trust.uid, trust.created, trust.generation, trust)],
        Sources.of("registry-trust", [source]),
        last or Bundle(),
        pki.NOW.timestamp(),
        checker=Checker(),
    )
    return result.outcomes["harbor"]


def spec(**fields: Any) -> dict[str, Any]:
    whole = {
        "registries": ["a.example"],
        "caCertificates": [{"secretKeyRef": {"name": "a", "key": "ca.crt"}}],
        **fields,
    }
    return {"metadata": {"name": "harbor"}, "spec": whole}


def of_secret(**reference: str) -> dict[str, Any]:
    return spec(caCertificates=[{"secretKeyRef": {"key": "ca.crt", **reference}}])


@pytest.mark.parametrize(
    ("obj", "reason", "message"),
    [
        pytest.param(
            of_secret(name="other/harbor-ca"),
            Reason.INVALID_SPEC,
            'spec.caCertificates[0].secretKeyRef.name: "other/harbor-ca" is not a valid Kubernetes name; use a-z, '
            "0-9, - and ., with a letter or digit at both ends",
            id="a namespace before the name of a Secret",
        ),
        pytest.param(
            of_secret(name="harbor-ca", namespace="other"),
            Reason.INVALID_SPEC,
            "spec.caCertificates[0].secretKeyRef.namespace: is not a field: Secrets and ConfigMaps are read from the "
            "trust namespace only; put the object there and remove it",
            id="another namespace",
        ),
        pytest.param(
            spec(registries=["docker.io", "index.docker.io"]),
            Reason.RESERVED_HOST,
            'spec.registries[1]: "index.docker.io" is Docker Hub, which image references and runtimes call docker.io; '
            "write docker.io",
            id="two spellings of one registry",
        ),
        pytest.param(
            spec(registries=["a.example", "b.example", "a.example"]),
            Reason.DUPLICATE_REGISTRY,
            'spec.registries[2]: "a.example" duplicates registries[0]; remove one of them',
            id="a registry that appears twice",
        ),
        pytest.param(
            spec(registries=[f"r{number}.example" for number in range(65)]),
            Reason.INVALID_SPEC,
            "spec.registries: has 65 items, but at most 64 are allowed; spread them across several trusts (they add "
            "up)",
            id="too many registries",
        ),
    ],
)
def test_an_object_that_is_refused(obj, reason, message):
    (error,) = check_trust(obj)

    assert str(error) == f"{reason}: {message}"


def test_a_name_of_253_characters_is_accepted():
    assert check_trust({**spec(), "metadata": {"name": "a" * 253}}) == ()


@pytest.mark.parametrize(
    ("registry", "reason", "message"),
    [
        *(
            pytest.param(
                registry,
                Reason.RUNTIME_IGNORES_TLS,
                f'containerd and dockerd always skip TLS verification for "{registry}"; give the registry a host name '
                "if it should be verified",
                id=f"{registry}, for which runtimes verify nothing",
            )
            for registry in ("localhost:5000", "127.0.0.1:5000", "[::1]:5000")
        ),
        pytest.param(
            "harbor.example:443",
            Reason.INVALID_PORT,
            '"harbor.example:443" has its own directory, separate from that of "harbor.example": it is used only '
            "for image references that include :443",
            id="port 443, which is another directory",
        ),
    ],
)
def test_a_registry_that_is_accepted_with_a_warning(registry, reason, message):
    outcome = compiled(registries=(registry,))

    assert outcome.accepted
    assert [str(warning) for warning in outcome.warnings] == [f"{reason}: spec.registries[0]: {message}"]


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        pytest.param(
            lambda: b"\xff\xfe\x00" * 100,
            Reason.INVALID_PEM,
            "is UTF-16 text; save it as ASCII: iconv -f UTF-16 -t US-ASCII ca.txt > ca.crt",
            id="bytes that are no text",
        ),
        pytest.param(
            lambda: b"A" * (1 << 20),
            Reason.TOO_LARGE,
            "1,048,576 bytes, but at most 330,000 are read; provide only the CA certificates that the registry needs, "
            "or split them across several sources",
            id="1 MiB, the most that the API server takes",
        ),
    ],
)
def test_a_source_that_is_refused(data, reason, message):
    outcome = compiled(data())

    assert not outcome.accepted
    assert [str(error) for error in outcome.errors] == [f"{reason}: {FIELD}: {PLACE}: {message}"]


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        pytest.param(
            lambda: pki.issue("harbor.example", pki.curve_key(8), issuer=root(), names=("harbor.example",)).pem,
            Reason.NOT_CA,
            'certificate 1 of 1, line 1: "CN=harbor.example" is a server certificate issued by "CN=Corp Root 0", not '
            "a CA: it works only for exactly this certificate, so it must be replaced here as soon as the registry "
            "gets a new one; put the certificate of its issuer here instead",
            id="the server certificate of a kubernetes.io/tls Secret",
        ),
    ],
)
def test_a_source_that_is_accepted_with_a_warning(data, reason, message):
    outcome = compiled(data())

    assert outcome.accepted
    assert [str(warning) for warning in outcome.warnings] == [f"{reason}: {FIELD}: {PLACE}: {message}"]


def test_what_does_not_fit_into_the_bundle_is_refused(monkeypatch):
    monkeypatch.setattr(compiling, "SIZE_LIMIT", 100)

    outcome = compiled()

    assert not outcome.accepted
    (error,) = outcome.errors
    assert re.sub(r"take \d+ bytes", "take N bytes", str(error)) == (
        "BundleTooLarge: spec: this trust's certificates do not fit: they take N bytes, a trust's share is 0, and the "
        "bundle holds 157 of 100; use fewer CA certificates, or the same ones in several trusts (each is stored once)"
    )


ROOT, REGISTRY = "/etc/containerd/certs.d", "harbor.example:5000"
UNKNOWN_KEY = b"[host.'https://mirror.example']\nrewrite = { '^a' = 'b' }"
MIRROR = ForeignEntry("a directory (with hosts.toml)", offer=parse(UNKNOWN_KEY, f"{ROOT}/_default"))


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        pytest.param(
            "harbor.example_5000_",
            Reason.FOREIGN_FILE,
            "/etc/containerd/certs.d/harbor.example_5000_ is a directory (with hosts.toml) that registry-trust did "
            "not write; it is left alone. Move it away, and the entry will be written at once",
            id="somebody else's directory",
        ),
        pytest.param(
            "_default",
            Reason.WOULD_SHADOW,
            "writing /etc/containerd/certs.d/harbor.example_5000_ would hide /etc/containerd/certs.d/_default, which "
            'the runtime reads now and which can\'t be taken along: its hosts.toml has the key "rewrite" in [host] '
            "table 1, and containerd knows no such key; nothing was written. Remove the key, or move it away: mv "
            "/etc/containerd/certs.d/_default /etc/containerd/certs.d/_default.old",
            id="somebody else's mirrors in _default, with what containerd does not know",
        ),
    ],
)
def test_where_somebody_elses_files_are_nothing_is_written_and_the_row_is_refused(name, reason, message):
    wanted = Desired({REGISTRY: DesiredRegistry(REGISTRY, ("a",), Material((b"ca",)))})

    made = make_plan(Target(ROOT, Layout.CONTAINERD), wanted, {ROOT: ObservedRoot(foreign={name: MIRROR})})

    assert made.steps == ()
    assert [(row.state, row.problem) for row in made.rows] == [(RowState.FAILED, Problem(reason, message))]
