"""A RegistryTrust object becomes a checked trust, or errors that name the field, what was found and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from registry_trust.api.parse import check_trust, parse_trust
from registry_trust.core.errors import InvalidField
from registry_trust.core.reasons import Reason
from registry_trust.core.selection import Operator, Requirement, Selector
from registry_trust.core.trust import ClientSource, InlinePEM, SourceRef, Trust
from tests.unit.compiling import pair_of

CA = {"configMapKeyRef": {"name": "corp-roots", "key": "ca.crt"}}
CLIENT = {"secretRef": {"name": "harbor-client"}}
CANARY = "MIIcanaryMII"
PRIVATE_KEY = f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n"


def trust(**spec: Any) -> dict[str, Any]:
    """A good object, with these fields of its spec replaced; a field that is `...` is left out."""
    fields = {"registries": ["harbor.example:5000"], "caCertificates": [CA], **spec}
    return {
        "apiVersion": "registrytrust.io/v1alpha1",
        "kind": "RegistryTrust",
        "metadata": {"name": "harbor", "uid": "u-1", "creationTimestamp": "2026-01-02T03:04:05Z", "generation": 7},
        "spec": {name: value for name, value in fields.items() if value is not ...},
    }


def selector(**fields: Any) -> dict[str, Any]:
    return trust(nodeSelector=fields)


def test_every_field_of_an_object_arrives_in_the_trust():
    parsed = parse_trust(
        trust(
            registries=["harbor.example:5000", "[2001:db8::1]"],
            caCertificates=[{"secretKeyRef": {"name": "harbor-ca", "key": "ca.crt"}}, CA, {"inline": "PEM"}],
            clientCertificates=[
                {
                    "name": "node",
                    "secretRef": {"name": "c", "certificateKey": "client.cert", "privateKeyKey": "client.key"},
                }
            ],
            nodeSelector={
                "matchLabels": {"pool": "build", "example.org/gpu": ""},
                "matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a", "b"]}],
            },
            suspend=True,
        )
    )

    assert parsed == Trust(
        name="harbor",
        uid="u-1",
        created="2026-01-02T03:04:05Z",
        generation=7,
        registries=("harbor.example:5000", "[2001:db8::1]"),
        ca_sources=(
            SourceRef("Secret", "harbor-ca", "ca.crt"),
            SourceRef("ConfigMap", "corp-roots", "ca.crt"),
            InlinePEM("PEM"),
        ),
        client_sources=(
            ClientSource(SourceRef("Secret", "c", "client.cert"), SourceRef("Secret", "c", "client.key"), "node"),
        ),
        selector=Selector(
            (("example.org/gpu", ""), ("pool", "build")), (Requirement("zone", Operator.NOT_IN, ("a", "b")),)
        ),
        suspend=True,
    )


def test_what_is_left_out_has_its_documented_default():
    parsed = parse_trust(trust(caCertificates=..., clientCertificates=[CLIENT]))

    assert parsed.client_sources == (pair_of("harbor-client"),)
    assert parsed.ca_sources == ()
    assert parsed.selector is None
    assert parsed.suspend is False


def test_a_manifest_that_no_server_has_seen_goes_by_its_name():
    parsed = parse_trust({"metadata": {"name": "harbor", "creationTimestamp": None}, "spec": trust()["spec"]})

    assert (parsed.name, parsed.uid, parsed.created, parsed.generation) == ("harbor", "harbor", "", 0)


def test_the_status_of_an_object_is_no_concern_of_the_parser():
    assert check_trust(trust() | {"status": {"anything": None}}) == ()


S = Reason.INVALID_SPEC
N = Reason.INVALID_SELECTOR

BAD: dict[str, tuple[dict[str, Any], Reason, str, str]] = {
    "no certificate at all": (
        trust(caCertificates=...), S, "spec",
        "names no certificates; add caCertificates (to trust the registry), clientCertificates, or both",
    ),
    "empty lists are no certificate either": (
        trust(caCertificates=[], clientCertificates=[]), S, "spec", "names no certificates",
    ),
    "a scheme": (
        trust(registries=["https://harbor.example"]), Reason.INVALID_HOST, "spec.registries[0]",
        '"https://harbor.example" has a scheme; write only host[:port]',
    ),
    "a path": (
        trust(registries=["a.example", "harbor.example/team"]), Reason.INVALID_HOST, "spec.registries[1]",
        '"harbor.example/team" has a path; write only host[:port]',
    ),
    "a port out of range": (
        trust(registries=["a.example:70000"]), Reason.INVALID_PORT, "spec.registries[0]", "no port between 1 and 65535",
    ),
    "Docker Hub": (trust(registries=["index.docker.io"]), Reason.RESERVED_HOST, "spec.registries[0]", "is Docker Hub"),
    "an address that is not canonical, which the server lets through": (
        trust(registries=["[2001:db8:0::1]"]), Reason.INVALID_HOST, "spec.registries[0]", 'write "[2001:db8::1]"',
    ),
    "a duplicate registry": (
        trust(registries=["a.example", "b.example", "a.example"]), Reason.DUPLICATE_REGISTRY, "spec.registries[2]",
        '"a.example" duplicates registries[0]; remove one of them',
    ),
    "no registries": (
        trust(registries=...), S, "spec.registries", "is missing; add it (see `kubectl explain rt.spec.registries`)",
    ),
    "an empty list of registries": (trust(registries=[]), S, "spec.registries", "is empty; add at least one"),
    "too many registries": (
        trust(registries=[f"a{n}.example" for n in range(65)]), S, "spec.registries",
        "has 65 items, but at most 64 are allowed",
    ),
    "a registry instead of a list of them": (
        trust(registries="a.example"), S, "spec.registries", '"a.example" is a string; write a list',
    ),
    "a number where YAML took a registry for one": (
        trust(registries=[5000]), S, "spec.registries[0]", "5000 is a number; write a string (in quotes",
    ),
    "no source in a list's item": (
        trust(caCertificates=[{}]), S, "spec.caCertificates[0]",
        "must have exactly one of secretKeyRef, configMapKeyRef, clusterTrustBundle and inline",
    ),
    "two sources in one item": (
        trust(caCertificates=[CA, {**CA, "inline": "PEM"}]), S, "spec.caCertificates[1]", "must have exactly one of",
    ),
    "a private key inline": (
        trust(caCertificates=[{"inline": PRIVATE_KEY}]), Reason.PRIVATE_KEY_IN_CA, "spec.caCertificates[0]",
        "contains a private key inline, where everyone who can read this object can read it",
    ),
    "an empty inline": (
        trust(caCertificates=[{"inline": ""}]), S, "spec.caCertificates[0].inline",
        "is empty; give it a value, or remove it",
    ),
    "an inline text that belongs in a ConfigMap": (
        trust(caCertificates=[{"inline": "x" * 65537}]), S, "spec.caCertificates[0].inline",
        "has 65537 characters, but at most 65536 are allowed",
    ),
    "a Secret's name that Kubernetes does not know": (
        trust(caCertificates=[{"secretKeyRef": {"name": "Harbor_CA", "key": "ca.crt"}}]), S,
        "spec.caCertificates[0].secretKeyRef.name",
        '"Harbor_CA" is not a valid Kubernetes name; use a-z, 0-9, - and .',
    ),
    "a key that is a path": (
        trust(caCertificates=[{"secretKeyRef": {"name": "a", "key": "../ca.crt"}}]), S,
        "spec.caCertificates[0].secretKeyRef.key", '"../ca.crt" is not a key of a Secret or ConfigMap',
    ),
    "a missing key": (
        trust(caCertificates=[{"secretKeyRef": {"name": "a"}}]), S, "spec.caCertificates[0].secretKeyRef.key",
        "is missing; add it (see `kubectl explain rt.spec.caCertificates.secretKeyRef.key`)",
    ),
    "a namespace": (
        trust(caCertificates=[{"secretKeyRef": {"name": "a", "key": "b", "namespace": "c"}}]), S,
        "spec.caCertificates[0].secretKeyRef.namespace",
        "is not a field: Secrets and ConfigMaps are read from the trust namespace only",
    ),
    "two client certificates of one name": (
        trust(clientCertificates=[CLIENT, {"name": "client", **CLIENT}]), S, "spec.clientCertificates[1].name",
        '"client" is the name of clientCertificates[0] too; give each its own',
    ),
    "a client certificate's name that leaves its directory": (
        trust(clientCertificates=[{"name": "../../x", **CLIENT}]), S, "spec.clientCertificates[0].name",
        '"../../x" is not a safe file name',
    ),
    "a client certificate's name with an ending": (
        trust(clientCertificates=[{"name": "node.cert", **CLIENT}]), S, "spec.clientCertificates[0].name",
        '"node.cert" must not end in .crt, .cert or .key',
    ),
    "a client certificate without a Secret": (
        trust(clientCertificates=[{"name": "node"}]), S, "spec.clientCertificates[0].secretRef", "is missing; add it",
    ),
    "an empty nodeSelector": (
        selector(), N, "spec.nodeSelector",
        "is empty; leave nodeSelector out to select every node, or name labels in matchLabels or matchExpressions",
    ),
    "a nodeSelector of empty parts": (
        selector(matchLabels={}, matchExpressions=[]), N, "spec.nodeSelector", "is empty; leave nodeSelector out",
    ),
    "a nodeSelector that was begun and not written": (
        trust(nodeSelector=None), S, "spec.nodeSelector", "is null; give it a value, or remove it",
    ),
    "a label key that no Node can have": (
        selector(matchLabels={"a b": "c"}), N, "spec.nodeSelector.matchLabels[a b]",
        '"a b" is not the key of a label; write [prefix/]name as the object has it',
    ),
    "a label value that is a boolean in YAML": (
        selector(matchLabels={"gpu": True}), N, "spec.nodeSelector.matchLabels[gpu]",
        "true is a boolean; write a string (in quotes if YAML would read it as something else)",
    ),
    "an operator that only pods know": (
        selector(matchExpressions=[{"key": "a", "operator": "Gt", "values": ["1"]}]), N,
        "spec.nodeSelector.matchExpressions[0].operator",
        '"Gt" is not known; write one of In, NotIn, Exists or DoesNotExist',
    ),
    "In without values": (
        selector(matchExpressions=[{"key": "a", "operator": "In"}]), N, "spec.nodeSelector.matchExpressions[0]",
        "needs values with the operators In and NotIn; add at least one",
    ),
    "Exists with values": (
        selector(matchExpressions=[{"key": "a", "operator": "Exists", "values": ["b"]}]), N,
        "spec.nodeSelector.matchExpressions[0]", "takes no values with the operators Exists and DoesNotExist",
    ),
    "a field that is nearly right": (
        trust(caCertificate=[CA]), S, "spec.caCertificate",
        "is not a field of a RegistryTrust; did you mean caCertificates?",
    ),
    "a field in the wrong case": (
        trust(nodeselector={"matchLabels": {"a": "b"}}), S, "spec.nodeselector", "did you mean nodeSelector?",
    ),
    "a field in the spelling of Python": (
        trust(client_certificates=[CLIENT]), S, "spec.client_certificates", "did you mean clientCertificates?",
    ),
    "a field of nowhere": (
        trust(caCertificates=[{**CA, "skip": 1}]), S, "spec.caCertificates[0].skip",
        "is not a field of a RegistryTrust; the fields here are clusterTrustBundle, configMapKeyRef, inline",
    ),
    "a policy that there is not": (
        trust(existingFilesPolicy="Delete"), S, "spec.existingFilesPolicy",
        '"Delete" is not known; write one of Refuse or Replace',
    ),
    "suspend as a word": (trust(suspend="yes"), S, "spec.suspend", '"yes" is a string; write true or false'),
    "a spec that is a list": (trust() | {"spec": []}, S, "spec", "the value is a list; write a mapping with fields"),
    "no spec": ({"metadata": {"name": "a"}}, S, "spec", "is missing; add it"),
    "no name": (trust() | {"metadata": {}}, S, "metadata.name", "is missing; give the trust a name"),
    "a name that is a path": (
        trust() | {"metadata": {"name": "../a"}}, S, "metadata.name", '"../a" is not a valid Kubernetes name',
    ),
    "another kind": (trust() | {"kind": "Secret"}, S, "kind", '"Secret" must be "RegistryTrust"'),
    "another version": (
        trust() | {"apiVersion": "registrytrust.io/v9"}, S, "apiVersion",
        '"registrytrust.io/v9" must be "registrytrust.io/v1alpha1"',
    ),
    "a spec outside of the spec": (
        trust() | {"registries": ["a.example"]}, S, "registries",
        "is not a field of a RegistryTrust; the fields here are",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("obj", "reason", "field", "message"), BAD.values(), ids=BAD.keys())
def test_refused_with_reason_field_and_cure(obj: dict[str, Any], reason: Reason, field: str, message: str):
    with pytest.raises(InvalidField) as refused:
        parse_trust(obj)

    assert (refused.value.problem.reason, refused.value.problem.field) == (reason, field)
    assert message in refused.value.problem.message
    assert len(check_trust(obj)) == 1


def test_all_errors_are_found_at_once_each_with_its_own_field():
    errors = check_trust(
        trust(
            registries=["https://a.example", "b.example/x"],
            caCertificates=[{"inline": PRIVATE_KEY, **CA}, {"secretKeyRef": {"name": "A", "key": None}}],
            nodeSelector={},
            suspnd=True,
        )
    )

    assert [error.problem.field for error in errors] == [
        "spec.caCertificates[1].secretKeyRef.key",
        "spec.registries[0]",
        "spec.registries[1]",
        "spec.caCertificates[0]",
        "spec.caCertificates[1].secretKeyRef.name",
        "spec.nodeSelector",
        "spec.suspnd",
    ]


@pytest.mark.parametrize(
    "source",
    [
        {"inline": PRIVATE_KEY},
        {"inline": [PRIVATE_KEY]},
        {"inline": PRIVATE_KEY + "x" * 65536},
        {"inline": PRIVATE_KEY, **CA},
        {"inlined": PRIVATE_KEY},
        {"inline": {PRIVATE_KEY: PRIVATE_KEY}},
        {PRIVATE_KEY: 1},
        PRIVATE_KEY,
    ],
    ids=["inline", "in a list", "too long", "beside another", "misspelt", "as a mapping", "as a name", "as a source"],
)
def test_a_private_key_is_refused_and_never_repeated(source: object):
    errors = check_trust(trust(caCertificates=[source]))

    assert errors
    assert CANARY not in "".join(f"{error} {error!r} {error.__cause__} {error.__context__}" for error in errors)


@pytest.mark.parametrize(
    "obj",
    [trust(registries=[PRIVATE_KEY]), selector(matchLabels={PRIVATE_KEY: PRIVATE_KEY}), trust(suspend=PRIVATE_KEY)],
    ids=["registries", "matchLabels", "suspend"],
)
def test_a_private_key_pasted_anywhere_else_is_not_repeated_either(obj: dict[str, Any]):
    errors = check_trust(obj)

    assert errors
    assert CANARY not in "".join(f"{error} {error!r}" for error in errors)


def test_messages_are_printable_ascii_of_one_line():
    strange = "a\x1b[31m\n\u202eb\x00"
    objects = [
        trust(registries=[strange]),
        trust(**{strange: 1}),
        selector(matchLabels={strange: strange}),
        trust(clientCertificates=[{"name": strange, **CLIENT}]),
        trust() | {"metadata": {"name": strange}},
        trust() | {strange: 1},
    ]

    for obj in objects:
        for error in check_trust(obj):
            assert str(error).isascii()
            assert str(error).isprintable()


def test_a_finding_without_words_of_its_own_points_at_the_documentation():
    (error,) = check_trust(trust() | {"spec": {**trust()["spec"], 5: "x"}})

    assert str(error) == "InvalidSpec: spec[5]: can't be used as written (see `kubectl explain rt.spec`)"
