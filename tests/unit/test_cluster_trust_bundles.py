"""ClusterTrustBundles as sources: by name, or those of a signer by their labels, united and followed."""

from __future__ import annotations

import pytest

from registry_trust.api.parse import parse_trust
from registry_trust.compiler.compile import Compiled
from registry_trust.compiler.sources import SourceObject, Sources, read_ca
from registry_trust.core.errors import InvalidField, SourceUnavailable
from registry_trust.core.reasons import Reason
from registry_trust.core.selection import Selector
from registry_trust.core.trust import SignerBundles, SourceKind, SourceRef
from tests.unit.test_source_rows import compiled, holding, trust, valid
from tools import pki

SIGNER = "corp.example/registries"
ALL, LIVE = (SignerBundles(SIGNER, Selector(labels)) for labels in ((), (("stage", "live"),)))


def bundle(
    name: str, *authorities: pki.Issued, signer: str = SIGNER, version: str = "1", **labels: str
) -> SourceObject:
    pem = "".join(each.pem.decode() for each in authorities).rstrip().encode()
    return SourceObject(SourceKind.CLUSTER_TRUST_BUNDLE, name, version, {"": pem}, "", signer, labels)


@pytest.mark.parametrize(
    ("sources", "source", "message"),
    [
        pytest.param(
            holding(bundle("another", signer="")),
            SourceRef("ClusterTrustBundle", "corp-roots"),
            'ClusterTrustBundleNotFound: there is no ClusterTrustBundle "corp-roots"; create it, or correct the name',
            id="a ClusterTrustBundle that does not exist",
        ),
        pytest.param(
            holding(bundle("a", stage="test"), bundle("b", signer="other.example/x", stage="live")),
            LIVE,
            f'ClusterTrustBundleNotFound: no ClusterTrustBundle of signer "{SIGNER}" has the labels of labelSelector; '
            "create one, or correct signerName or labelSelector",
            id="labels that no ClusterTrustBundle of the signer has",
        ),
        pytest.param(
            Sources.of("registry-trust", [], {"ClusterTrustBundle": 404}),
            SourceRef("ClusterTrustBundle", "corp-roots"),
            "ClusterTrustBundlesUnavailable: this API server does not serve ClusterTrustBundles (Kubernetes 1.37 does, "
            "earlier versions only if they are enabled); put the certificates into a ConfigMap and name that",
            id="an API server that does not serve them",
        ),
        pytest.param(
            Sources.of("registry-trust", [], {"ClusterTrustBundle": 403}),
            ALL,
            "ClusterTrustBundlesUnavailable: the operator is not allowed to list ClusterTrustBundles; apply the "
            "chart or deploy/ again",
            id="an API server that does not let them be read",
        ),
    ],
)
def test_cluster_trust_bundles_that_are_not_there_are_refused(sources, source, message):
    with pytest.raises(SourceUnavailable) as caught:
        read_ca(sources, source, 0)

    reason, _, said = message.partition(": ")
    assert str(caught.value) == f"{reason}: spec.caCertificates[0].clusterTrustBundle: {said}"


def test_the_certificates_of_all_chosen_bundles_of_a_signer_are_united_in_the_order_of_their_names():
    one, two, three = (valid(number) for number in range(3))
    given = [bundle("b", two, one, stage="live"), bundle("c", three, stage="test"), bundle("a", one, stage="live")]

    chosen, _ = read_ca(holding(*given), LIVE, 0)
    every, _ = read_ca(holding(*reversed(given)), ALL, 0)

    assert chosen == b"\n".join((one.pem.rstrip(), two.pem + one.pem.rstrip()))
    assert every == chosen + b"\n" + three.pem.rstrip()
    result = compiled(trust(ca_sources=(ALL,)), sources=holding(*given))
    assert len(result.outcomes["trust-000"].content.ca_certificates) == 3


def test_what_is_wrong_in_one_of_several_bundles_names_each_with_the_line_that_it_begins_at():
    damaged = SourceObject(
        SourceKind.CLUSTER_TRUST_BUNDLE, "b", "1", {"": valid().pem.rstrip().replace(b"END", b"EMD")}, "", SIGNER, {}
    )
    begins = f"line {len(valid(1).pem.splitlines()) + 1}"

    (error,) = (
        compiled(trust(ca_sources=(ALL,)), sources=holding(bundle("a", valid(1)), damaged)).outcomes["trust-000"].errors
    )

    assert error.message.startswith(
        f"ClusterTrustBundles of signer {SIGNER} (a from line 1, b from {begins}): certificate 2 of 2, {begins}, "
    )


def test_a_trust_follows_every_bundle_that_its_selector_chooses_and_no_other():
    item, known = trust(ca_sources=(LIVE,)).trust, bundle("a", valid(), stage="live")
    assert item is not None
    before = holding(known).versions(item)

    assert holding(known, bundle("b", valid(1), stage="test")).versions(item) == before
    assert holding(known, bundle("b", valid(1), stage="live")).versions(item) != before
    assert holding(bundle("a", valid(1), version="2", stage="live")).versions(item) != before
    assert holding(bundle("a", valid(), stage="test")).versions(item) != before
    assert Sources.of("registry-trust", [], {"ClusterTrustBundle": 404}).versions(item) != holding().versions(item)


def test_a_bundle_that_replaces_another_of_its_signer_is_a_rotation_and_one_that_goes_alone_is_a_revocation():
    item = trust(ca_sources=(ALL,))
    old, new = bundle("1", valid(1)), bundle("2", valid(2))
    first = compiled(item, sources=holding(old))
    rotated = compiled(item, sources=holding(new), last=first.bundle)
    both = compiled(item, sources=holding(old, new), last=first.bundle)
    revoked = compiled(item, sources=holding(new), last=both.bundle)

    def served(result: Compiled) -> dict[str, bool]:
        certificates = result.outcomes["trust-000"].certificates
        return {each.facts.subject: each.retained_until is not None for each in certificates}

    assert served(rotated) == {"CN=Valid 1": True, "CN=Valid 2": False}
    assert served(both) == {"CN=Valid 1": False, "CN=Valid 2": False}
    assert served(revoked) == {"CN=Valid 2": False}
    assert {each.source for each in rotated.outcomes["trust-000"].certificates} == {
        f"ClusterTrustBundles of signer {SIGNER}"
    }


def described(*sources: object) -> dict[str, object]:
    spec = {"registries": ["a.example"], "caCertificates": [{"clusterTrustBundle": each} for each in sources]}
    return {"apiVersion": "registrytrust.io/v1alpha1", "kind": "RegistryTrust", "metadata": {"name": "a"}, "spec": spec}


ONE = "must have either name or signerName"
LABELS = "must have labelSelector with signerName, and not with name; {} selects every ClusterTrustBundle of the signer"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param({"name": "a", "signerName": SIGNER, "labelSelector": {}}, ONE, id="by name and by signer"),
        pytest.param({}, ONE, id="by nothing"),
        pytest.param({"signerName": SIGNER}, LABELS, id="by signer without labels, which selects nothing in a volume"),
        pytest.param({"name": "a", "labelSelector": {}}, LABELS, id="by name and by labels"),
    ],
)
def test_what_names_both_or_neither_is_refused(source: object, message: str) -> None:
    with pytest.raises(InvalidField) as refused:
        parse_trust(described(source))

    assert str(refused.value) == f"InvalidSpec: spec.caCertificates[0].clusterTrustBundle: {message}"


def test_labels_that_no_object_can_have_are_refused() -> None:
    with pytest.raises(InvalidField, match="is not the key of a label") as refused:
        parse_trust(described({"signerName": SIGNER, "labelSelector": {"matchLabels": {"a b": ""}}}))

    assert refused.value.problem.reason is Reason.INVALID_SELECTOR
    assert refused.value.problem.field == "spec.caCertificates[0].clusterTrustBundle.labelSelector.matchLabels[a b]"


def test_they_are_named_or_chosen_by_signer_and_labels_and_no_labels_choose_all() -> None:
    live = {"signerName": SIGNER, "labelSelector": {"matchLabels": {"stage": "live"}}}

    parsed = parse_trust(described({"name": "corp-roots"}, live, {"signerName": SIGNER, "labelSelector": {}}))

    named = SourceRef("ClusterTrustBundle", "corp-roots")
    assert parsed.ca_sources == (named, LIVE, ALL)
    assert str(named) == "ClusterTrustBundle/corp-roots/"
    assert len({source.ref for source in parsed.ca_sources}) == 3
    assert all(SourceRef.parse(str(source.ref)) == source.ref for source in parsed.ca_sources)
