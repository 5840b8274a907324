"""Objects of an import: as few as possible, always the same, and named without collisions."""

from __future__ import annotations

from registry_trust.certificates.private import PrivateKey
from registry_trust.cli.importing.checked import CheckedClient, Imported
from registry_trust.cli.importing.objects import name_of, objects_of
from registry_trust.core.trust import ExistingFilesPolicy

A, B = b"CA A\n", b"CA B\n"
PAIR, OTHER = CheckedClient(b"leaf\n", PrivateKey(b"key\n")), CheckedClient(b"leaf 2\n", PrivateKey(b"key 2\n"))


def names(bodies) -> list[str]:
    return [body["metadata"]["name"] for body in bodies]


def made(*materials, policy=None):
    return objects_of(sorted(materials, key=lambda each: each.registry), "ns", policy)


def test_registries_with_the_same_certificates_share_one_trust_and_one_source_of_each():
    objects = made(Imported("b.example", (A,), (PAIR,)), Imported("a.example:5000", (A,), (PAIR,)))

    assert names(objects.trusts) == ["a.example-5000"]
    assert objects.trusts[0]["spec"] == {
        "registries": ["a.example:5000", "b.example"],
        "caCertificates": [{"configMapKeyRef": {"name": "a.example-5000-ca", "key": "ca.crt"}}],
        "clientCertificates": [{"secretRef": {"name": "a.example-5000-client"}}],
    }
    assert names(objects.config_maps) == ["a.example-5000-ca"]
    assert names(objects.secrets) == ["a.example-5000-client"]


def test_trusts_that_differ_in_their_pairs_still_share_the_config_map_and_one_that_has_more_shares_the_secret():
    objects = made(
        Imported("a.example", (A,), ()),
        Imported("b.example", (A,), (PAIR,)),
        Imported("c.example", (B,), (PAIR, OTHER)),
    )

    assert names(objects.trusts) == ["a.example", "b.example", "c.example"]
    assert names(objects.config_maps) == ["a.example-ca", "c.example-ca"]
    assert names(objects.secrets) == ["b.example-client", "c.example-client-2"]
    assert objects.trusts[2]["spec"]["clientCertificates"] == [
        {"name": "client-1", "secretRef": {"name": "b.example-client"}},
        {"name": "client-2", "secretRef": {"name": "c.example-client-2"}},
    ]


def test_more_registries_than_one_trust_takes_are_split_among_several():
    objects = made(*(Imported(f"r{number:03}.example", (A,), ()) for number in range(65)))

    assert names(objects.trusts) == ["r000.example", "r064.example"]
    assert [len(body["spec"]["registries"]) for body in objects.trusts] == [64, 1]
    assert names(objects.config_maps) == ["r000.example-ca"]


def test_replace_is_left_out_where_a_runtime_would_lose_other_settings():
    plain, mirrored = Imported("a.example", (A,), ()), Imported("b.example", (A,), (), has_settings=True)
    objects = made(plain, mirrored, policy=ExistingFilesPolicy.REPLACE)

    assert [body["spec"].get("existingFilesPolicy") for body in objects.trusts] == ["Replace", None]
    assert len(objects.config_maps) == 1


def test_names_are_those_of_kubernetes_and_no_two_registries_share_one():
    registries = [
        "harbor.corp.example",
        "a.example:5000",
        "a.example-5000",
        "A.example:5000",
        "[2001:db8::1]:5000",
        "[2001:db8::1]",
        "localhost:5000",
        "10.0.0.1:5000",
        "docker.io",
        "x" * 60 + "." + "y" * 60 + "." + "z" * 60 + ".example-1",
    ]

    assert name_of("harbor.corp.example") == "harbor.corp.example"
    assert name_of("a.example:5000") == "a.example-5000"
    assert name_of("a.example-5000") == "a.example-5000-adaf83fc"
    assert name_of("[2001:db8::1]:5000").startswith("2001-db8-1-5000-")
    assert len({name_of(registry) for registry in registries}) == len(registries)


def test_a_refused_trust_goes_with_the_sources_that_only_it_names():
    objects = made(
        Imported("a.example", (A,), ()), Imported("b.example", (A,), (PAIR,)), Imported("c.example", (B,), ())
    )

    left = objects.without(["b.example", "c.example"])

    assert (names(left.trusts), names(left.config_maps), names(left.secrets)) == (["a.example"], ["a.example-ca"], [])
    assert "key" not in repr(objects.secrets[0]["metadata"])
