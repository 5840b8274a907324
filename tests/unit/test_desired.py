"""Desired state: which trusts a node has, and what several trusts together say of one registry."""

from __future__ import annotations

from registry_trust.core.bundle import Bundle, ClientPairRef, IndexedTrust, TrustContent, TrustState
from registry_trust.core.desired import desired_state
from registry_trust.core.layout import Material
from registry_trust.core.reasons import Reason
from registry_trust.core.selection import Selector
from registry_trust.core.trust import ExistingFilesPolicy

BLOBS = {name: f"<{name}>".encode() for name in ("ca1", "ca2", "cert1", "key1", "cert2", "key2")}
PAIR = ClientPairRef("client", "cert1", "key1")


def trust(
    name,
    *,
    registries=("r.example",),
    ca=("ca1",),
    pairs=(),
    selector=None,
    state=TrustState.ACTIVE,
    policy=ExistingFilesPolicy.REFUSE,
):
    return IndexedTrust(name, f"uid-{name}", 1, state, TrustContent(registries, ca, pairs, selector, policy))


def desired(*trusts, labels=None, **options):
    return desired_state(Bundle(1, trusts, BLOBS, **options), labels or {})


def test_a_trust_without_a_selector_is_for_every_node_and_for_each_of_its_registries():
    state = desired(trust("a", registries=("r.example", "s.example")))

    assert {name: item.trusts for name, item in state.registries.items()} == {"r.example": ("a",), "s.example": ("a",)}
    assert state.registries["s.example"].material == Material((b"<ca1>",))


def test_a_trust_with_a_selector_is_for_the_nodes_that_it_selects():
    gpu = trust("a", selector=Selector((("pool", "gpu"),)))

    assert desired(gpu, labels={"pool": "gpu"}).registries.keys() == {"r.example"}
    assert not desired(gpu, labels={"pool": "web"}).registries


def test_several_trusts_for_one_registry_add_up():
    state = desired(trust("a", ca=("ca2",)), trust("b", ca=("ca1", "ca2")), trust("c", ca=(), pairs=(PAIR,)))

    item = state.registries["r.example"]
    assert item.trusts == ("a", "b", "c")
    assert item.material.ca_certificates == (b"<ca1>", b"<ca2>")
    assert [(pair.name, pair.certificate, pair.key) for pair in item.material.client_pairs] == [
        ("client", b"<cert1>", b"<key1>")
    ]


def test_one_trust_that_says_replace_is_enough_and_only_where_it_selects_the_node():
    replacing = trust("b", selector=Selector((("pool", "gpu"),)), policy=ExistingFilesPolicy.REPLACE)

    gpu = desired(trust("a"), replacing, labels={"pool": "gpu"})
    web = desired(trust("a"), replacing, labels={"pool": "web"})

    assert [state.registries["r.example"].replace for state in (gpu, web)] == [True, False]


def test_the_files_stay_the_same_when_one_trust_takes_over_from_another():
    before = desired(trust("a", ca=("ca2", "ca1")))
    after = desired(trust("b", ca=("ca1", "ca2")))

    assert before.registries["r.example"].material == after.registries["r.example"].material


def test_of_two_pairs_under_one_name_the_older_trusts_is_used_and_the_younger_is_told():
    younger = trust("b", ca=(), pairs=(ClientPairRef("client", "cert2", "key2"),))
    state = desired(trust("a", pairs=(PAIR,)), younger)

    assert [pair.key for pair in state.registries["r.example"].material.client_pairs] == [b"<key1>"]
    (row,) = state.conflicts
    assert (row.trust, row.registry, row.problem.reason) == ("b", "r.example", Reason.CLIENT_CERTIFICATE_CONFLICT)
    assert "trust a, which is older" in row.problem.message


def test_the_same_pair_under_one_name_is_no_conflict():
    assert desired(trust("a", pairs=(PAIR,)), trust("b", pairs=(PAIR,))).conflicts == ()


def test_pairs_keep_the_order_of_trusts_and_of_each_trusts_list():
    first = ClientPairRef("z", "cert1", "key1")
    second = ClientPairRef("a", "cert2", "key2")
    state = desired(trust("a", pairs=(first, second)), trust("b", pairs=(ClientPairRef("m", "cert1", "key1"),)))

    assert [pair.name for pair in state.registries["r.example"].material.client_pairs] == ["z", "a", "m"]


def test_a_trust_that_was_removed_is_served_as_long_as_the_index_lists_its_content():
    assert desired(trust("a", state=TrustState.REMOVED)).registries.keys() == {"r.example"}


def test_a_trust_whose_content_nobody_knows_is_held():
    state = desired(IndexedTrust("a", "uid", 1, TrustState.HELD))

    assert state.unknown == {"a"}
    assert not state.registries


def test_a_withdrawn_bundle_asks_for_nothing_at_all():
    state = desired(trust("a"), IndexedTrust("b", "uid", 1, TrustState.HELD), withdrawn=True)

    assert (dict(state.registries), state.unknown) == ({}, frozenset())
