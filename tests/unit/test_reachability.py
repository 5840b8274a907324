"""Client pairs across trusts: a younger trust's pair that a registry is never shown is told of that trust."""

from __future__ import annotations

import pytest

from registry_trust.compiler.reachability import unreachable_pairs
from registry_trust.core.bundle import Bundle, ClientPairRef, IndexedTrust, TrustContent, TrustState, reference_of
from registry_trust.core.reasons import Reason
from registry_trust.core.selection import Selector
from tools.authority import Authority

FIRST, SECOND = Authority.create("first clients"), Authority.create("second clients")
CHAINS = {
    "first": FIRST.client("one").certificate,
    "first-too": FIRST.client("two").certificate,
    "second": SECOND.client("three").certificate,
}
CHAINS["both"] = CHAINS["second"] + FIRST.client("four").certificate
BLOBS = {reference_of(chain): chain for chain in CHAINS.values()}
REGISTRY = ("r.example",)


def trust(
    name: str,
    *pairs: tuple[str, str],
    registries: tuple[str, ...] = REGISTRY,
    zone: str = "",
    state: TrustState = TrustState.ACTIVE,
) -> IndexedTrust:
    references = tuple(ClientPairRef(file, reference_of(CHAINS[chain]), "key") for file, chain in pairs)
    selector = Selector((("zone", zone),)) if zone else None
    content = TrustContent(registries, (), references, selector)
    return IndexedTrust(name, f"uid-{name}", 1, state, content)


def warned(*trusts: IndexedTrust) -> dict[str, list[str]]:
    found = unreachable_pairs(Bundle(1, trusts, BLOBS))
    assert {warning.reason for warnings in found.values() for warning in warnings} <= {
        Reason.UNREACHABLE_CLIENT_CERTIFICATE
    }
    return {name: [warning.field for warning in warnings] for name, warnings in found.items()}


def test_a_pair_behind_an_older_trusts_of_the_same_issuer_is_told_of_the_younger() -> None:
    older, younger = trust("old", ("a", "first")), trust("young", ("b", "second"), ("c", "first-too"))

    assert warned(older, younger) == {"young": ["spec.clientCertificates[1]"]}
    (warning,) = unreachable_pairs(Bundle(1, (older, younger), BLOBS))["young"]
    assert "on nodes that both trusts select" in warning.message
    assert '"a" of trust old, which is older' in warning.message
    assert '"CN=first clients"' in warning.message


def test_the_order_of_the_index_decides_and_not_the_names() -> None:
    assert warned(trust("z", ("z", "first")), trust("a", ("a", "first-too"))) == {"a": ["spec.clientCertificates[0]"]}


def test_a_chain_with_more_issuers_stands_before_one_with_fewer_and_not_behind() -> None:
    both, one = trust("both", ("a", "both")), trust("one", ("b", "second"))

    assert warned(both, one) == {"one": ["spec.clientCertificates[0]"]}
    assert warned(one, both) == {}


@pytest.mark.parametrize(
    "younger",
    [
        trust("young", ("b", "second")),
        trust("young", ("b", "first-too"), registries=("other.example",)),
        trust("young", ("a", "first-too")),
        trust("young", ("b", "first")),
        trust("young", ("b", "first-too"), zone="b"),
        trust("young", ("b", "first-too"), state=TrustState.REMOVED),
    ],
    ids=["other issuer", "other registry", "same name", "same certificate", "other nodes", "removed"],
)
def test_what_is_reached_or_told_in_another_way_is_no_warning(younger: IndexedTrust) -> None:
    assert warned(trust("old", ("a", "first"), zone="a"), younger) == {}


def test_selectors_that_one_node_may_meet_overlap() -> None:
    older = trust("old", ("a", "first"), zone="a")

    assert "young" in warned(older, trust("young", ("b", "first-too"), zone="a"))
    assert "young" in warned(older, trust("young", ("b", "first-too")))
