"""Trusts with their sources: what the compiler says of them, alone and beside others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from registry_trust.compiler import fullness
from registry_trust.compiler.admission import Weight
from registry_trust.core.bundle import Bundle
from registry_trust.core.problem import Problem
from registry_trust.core.selection import Selector
from registry_trust.core.trust import ClientSource, SignerBundles, SourceRef, Trust
from tools import pki
from tools.messages.cluster import (
    CA,
    GOOD,
    client_secret,
    compiled,
    config_map,
    outcome_of,
    pair_source,
    secret,
)
from tools.pki import client, root

SIGNER = "corp.example/roots"
NAMED = SourceRef("ClusterTrustBundle", "corp-roots")
FORBIDDEN = "kubernetes.io/service-account-token"
CA_SECRET = secret("harbor-ca", ca_crt=root().pem)


def from_config_map(key: str) -> Trust:
    return replace(GOOD, ca_sources=(SourceRef("ConfigMap", "corp-roots", key),))


def with_pairs(*pairs: ClientSource, name: str = "harbor", created: str = "2026-01-01T00:00:00Z") -> Trust:
    return replace(GOOD, name=name, uid=f"uid-{name}", created=created, client_sources=pairs)


def said() -> Iterator[Problem]:
    """Yield what is said of sources, registries and pairs, and of a bundle that fills up."""
    many = config_map("corp-roots", **{f"a{n:02}.conf": b"" for n in range(20)})
    signed = replace(GOOD, ca_sources=(SignerBundles(SIGNER, Selector()),))
    named = replace(GOOD, ca_sources=(NAMED,))
    outcomes = (
        outcome_of(GOOD),
        outcome_of(GOOD, secret("harbor-ca", tls_crt=b"", tls_key=b"")),
        outcome_of(GOOD, secret("harbor-ca", FORBIDDEN, ca_crt=b"x")),
        outcome_of(replace(GOOD, ca_sources=(replace(CA, key="root.pem"),)), secret("harbor-ca")),
        outcome_of(from_config_map("ca.crt")),
        outcome_of(from_config_map("ca.crt"), config_map("corp-roots")),
        outcome_of(from_config_map("roots.pem"), many),
        outcome_of(named),
        outcome_of(signed),
        outcome_of(named, refused={"ClusterTrustBundle": 404}),
        outcome_of(named, refused={"ClusterTrustBundle": 403}),
        outcome_of(with_pairs(pair_source()), CA_SECRET, secret("harbor-client", tls_crt=client().pem)),
        outcome_of(with_pairs(pair_source()), CA_SECRET, secret("harbor-client", tls_key=pki.pkcs8(client().key))),
        outcome_of(replace(GOOD, registries=("localhost:5000", "harbor.corp.example:443")), CA_SECRET),
        outcome_of(
            with_pairs(pair_source(name="first"), pair_source("second", "second")),
            CA_SECRET,
            client_secret("harbor-client", client()),
            client_secret("second", client(1)),
        ),
    )
    for outcome in outcomes:
        yield from (*outcome.errors, *outcome.warnings)
    yield from _of_an_older_trust()
    yield from _of_a_replaced_ca()
    yield from _of_fullness()


def _of_an_older_trust() -> Iterator[Problem]:
    trusts = (
        with_pairs(pair_source(name="team")),
        with_pairs(pair_source("second", "node"), name="later", created="2026-02-01T00:00:00Z"),
    )
    pairs = client_secret("harbor-client", client()), client_secret("second", client(1))
    for outcome in compiled(trusts, CA_SECRET, *pairs).outcomes.values():
        yield from outcome.warnings


def _of_a_replaced_ca() -> Iterator[Problem]:
    trust = replace(GOOD, ca_retention=0.0)
    first = compiled((trust,), CA_SECRET)
    replaced = secret("harbor-ca", ca_crt=root(1).pem)
    second = compiled((trust,), replaced, last=first.bundle, after=timedelta(hours=1))
    yield from second.outcomes["harbor"].warnings


def _of_fullness() -> Iterator[Problem]:
    bundle: Bundle = compiled((GOOD,), CA_SECRET).bundle
    yield from fullness.crowding(bundle, 850_000, 1_000_000)["harbor"]
    weight = Weight(300, {"a": 420_000})
    yield fullness.no_room(weight, 4_900, 990_000, 1_000_000)
    yield fullness.over_its_limit(weight, 327_680)
    yield fullness.still_served(fullness.over_its_limit(weight, 327_680))
