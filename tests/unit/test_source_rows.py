"""Secrets, ConfigMaps and whole trusts as input: verdict and whole message."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from registry_trust.compiler.compile import Compiled, compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.sources import SourceObject, Sources, read_ca, read_pair
from registry_trust.core import registry as registry_names
from registry_trust.core import text
from registry_trust.core.bundle import Bundle, IndexedTrust, TrustContent, TrustState
from registry_trust.core.desired import desired_state
from registry_trust.core.errors import SourceUnavailable
from registry_trust.core.trust import SourceKind, SourceRef, Trust
from tests.unit.compiling import pair_of
from tools import pki
from tools.pki import client

SECRET, CONFIG_MAP = SourceKind.SECRET, SourceKind.CONFIG_MAP
CA, PAIR = SourceRef("Secret", "harbor-ca", "ca.crt"), pair_of("harbor-client")
KEY = pki.pkcs8(client().key)


def holding(*objects: SourceObject) -> Sources:
    return Sources.of("registry-trust", objects)


def secret(name: str, secret_type: str = "Opaque", version: str = "1", **data: bytes) -> SourceObject:
    named = {key.replace("_", "."): value for key, value in data.items()}
    return SourceObject(SECRET, name, version, named, secret_type)


FIELD = "spec.caCertificates[0].secretKeyRef: "
TYPES = (
    "kubernetes.io/service-account-token",
    "helm.sh/release.v1",
    "bootstrap.kubernetes.io/token",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/basic-auth",
    "kubernetes.io/ssh-auth",
)


@pytest.mark.parametrize(
    ("sources", "source", "message"),
    [
        pytest.param(
            holding(),
            CA,
            f'SecretNotFound: {FIELD}there is no Secret "harbor-ca" in namespace registry-trust, the only one that is '
            "read; create it there, or correct the name",
            id="a Secret that does not exist",
        ),
        pytest.param(
            holding(SourceObject(CONFIG_MAP, "harbor-ca", "1", {"ca.crt": b""})),
            CA,
            f'SecretNotFound: {FIELD}there is no Secret "harbor-ca" in namespace registry-trust, the only one that is '
            "read; create it there, or correct the name",
            id="a ConfigMap where a Secret is named",
        ),
        pytest.param(
            holding(),
            SourceRef("ConfigMap", "corp-roots", "ca.crt"),
            'ConfigMapNotFound: spec.caCertificates[0].configMapKeyRef: there is no ConfigMap "corp-roots" in '
            "namespace registry-trust, the only one that is read; create it there, or correct the name",
            id="a ConfigMap that does not exist",
        ),
        pytest.param(
            holding(secret("harbor-ca", root_pem=b"", tls_key=b"")),
            CA,
            f'SecretKeyNotFound: {FIELD}Secret registry-trust/harbor-ca has no key "ca.crt"; it has "root.pem", '
            '"tls.key"; cert-manager fills ca.crt only if the issuer provides one',
            id="a key that does not exist, and the names of those that do",
        ),
        pytest.param(
            holding(
                SourceObject(CONFIG_MAP, "many", "1", {**{f"a{n:02}.conf": b"" for n in range(20)}, "root.pem": b""})
            ),
            SourceRef("ConfigMap", "many", "roots.pem"),
            "ConfigMapKeyNotFound: spec.caCertificates[0].configMapKeyRef: ConfigMap registry-trust/many has no key "
            '"roots.pem"; it has "root.pem", "a00.conf", "a01.conf", "a02.conf", "a03.conf", "a04.conf", "a05.conf", '
            '"a06.conf" and 13 more',
            id="the key that may have been meant is shown before twenty others",
        ),
        pytest.param(
            holding(secret("harbor-ca")),
            replace(CA, key="root.pem"),
            f'SecretKeyNotFound: {FIELD}Secret registry-trust/harbor-ca has no key "root.pem"; it has no keys at all',
            id="a Secret without keys",
        ),
        pytest.param(
            holding(secret("harbor-ca", "kubernetes.io/tls", tls_crt=b"", tls_key=b"")),
            CA,
            f'SecretKeyNotFound: {FIELD}Secret registry-trust/harbor-ca has no key "ca.crt"; it has "tls.crt", '
            '"tls.key"; cert-manager fills ca.crt only if the issuer provides one',
            id="a kubernetes.io/tls Secret without ca.crt",
        ),
        *(
            pytest.param(
                holding(secret("harbor-ca", forbidden, ca_crt=b"canary")),
                CA,
                f'SecretTypeForbidden: {FIELD}Secret registry-trust/harbor-ca has type "{forbidden}", which never '
                "holds certificates for registries; use one of type Opaque or kubernetes.io/tls",
                id=f"a Secret of type {forbidden}",
            )
            for forbidden in TYPES
        ),
    ],
)
def test_a_source_that_is_not_there_or_not_one_is_refused(sources, source, message):
    with pytest.raises(SourceUnavailable) as caught:
        read_ca(sources, source, 0)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            {"tls_crt": client().pem},
            'Secret registry-trust/harbor-client has no key "tls.key"; a certificate without a key is not a client '
            "certificate: if it is the CA of the registry, it belongs in caCertificates; otherwise add the key",
            id="a pair without its key",
        ),
        pytest.param(
            {"tls_crt": b" ", "tls_key": KEY},
            'Secret registry-trust/harbor-client has no key "tls.crt"; add the certificate that belongs to this key',
            id="a pair without its certificate",
        ),
    ],
)
def test_half_a_pair_is_refused_as_that(data, message):
    with pytest.raises(SourceUnavailable) as caught:
        read_pair(holding(secret("harbor-client", **data)), PAIR, 0)

    assert str(caught.value) == f"PairIncomplete: spec.clientCertificates[0].secretRef: {message}"


# ---- whole trusts ----------------------------------------------------------------------------------------------------


def trust(number: int = 0, **changes: object) -> TrustInput:
    made = Trust(f"trust-{number:03}", f"uid-{number}", "2026-01-01T00:00:00Z", 1, ("harbor.example",), (CA,))
    spec = replace(made, **changes)  # type: ignore[arg-type]
    return TrustInput(spec.name, spec.uid, spec.created, spec.generation, spec)


def compiled(*trusts: TrustInput, sources: Sources, last: Bundle | None = None) -> Compiled:
    return compile_bundle(list(trusts), sources, last or Bundle(), time.time(), checker=Checker())


def test_a_secret_that_was_made_anew_with_the_same_bytes_changes_nothing():
    first = compiled(trust(), sources=holding(secret("harbor-ca", ca_crt=valid().pem)))
    anew = holding(secret("harbor-ca", version="77", ca_crt=valid().pem))

    second = compiled(trust(), sources=anew, last=first.bundle)

    assert first.outcomes["trust-000"].accepted
    assert not second.changed
    assert second.outcomes["trust-000"].accepted


def test_a_hundred_trusts_of_one_registry_are_all_accepted_and_add_up():
    sources = holding(*(secret(f"ca-{n}", ca_crt=valid(n).pem) for n in range(100)))
    trusts = [trust(n, ca_sources=(SourceRef("Secret", f"ca-{n}", "ca.crt"),)) for n in range(100)]

    result = compiled(*trusts, sources=sources)

    assert all(result.outcomes[one.name].accepted for one in trusts)
    [registry] = desired_state(result.bundle, {}).registries.values()
    assert len(registry.material.ca_certificates) == 100


def test_a_registry_with_port_443_and_without_are_two_registries():
    content = TrustContent(("harbor.example", "harbor.example:443"), ("ca",), (), None)
    bundle = Bundle(1, (IndexedTrust("a", "u", 1, TrustState.ACTIVE, content),), {"ca": b"ca"})

    assert desired_state(bundle, {}).registries.keys() == {"harbor.example", "harbor.example:443"}


def test_a_message_is_cut_and_a_list_in_it_counts_what_it_leaves_out():
    assert text.listing([str(n) for n in range(40)]) == "0, 1, 2 and 37 more"
    assert text.clip("x" * 33_000) == "x" * (text.MESSAGE_LIMIT - 3) + "..."


def test_a_name_in_ascii_form_that_does_not_decode_is_accepted_because_no_runtime_decodes_it():
    assert registry_names.check("xn--a.example") == "xn--a.example"


def valid(number: int = 0) -> pki.Issued:
    """A CA certificate that is valid now: the compiler is given the real time."""
    return pki.issue(f"Valid {number}", pki.curve_key(600 + number), ca=True, not_after=pki.NOW + 20 * pki.YEAR)
