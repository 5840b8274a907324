"""The compiler: one bad trust never blocks another, last good stays, and nothing is written without a change."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from registry_trust.compiler.compile import Compiled, compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.sources import SourceObject, Sources
from registry_trust.core.bundle import INDEX_KEY, Bundle, TrustState
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.reasons import Reason
from registry_trust.core.trust import ExistingFilesPolicy, SourceKind, SourceRef, Trust
from tests.unit.compiling import pair_of
from tools.authority import Authority

NOW = time.time()
FIRST = Authority.create("first CA")
SECOND = Authority.create("second CA")
NODE = FIRST.client("node")
OTHER = SECOND.client("node")


def trust(name: str = "harbor", **changes: object) -> TrustInput:
    spec = Trust(
        name=name,
        uid=f"uid-{name}",
        created="2027-01-01T00:00:00Z",
        generation=1,
        registries=("harbor.example:5000",),
        ca_sources=(SourceRef("Secret", "ca", "ca.crt"),),
    )
    spec = replace(spec, **changes)  # type: ignore[arg-type]
    return TrustInput(spec.name, spec.uid, spec.created, spec.generation, spec)


def sources(**objects: dict[str, bytes]) -> Sources:
    found = []
    for name, data in objects.items():
        kind = SourceKind.CONFIG_MAP if name.startswith("map") else SourceKind.SECRET
        version = str(hash(tuple(sorted(data.items()))))
        found.append(SourceObject(kind, name, version, data, "Opaque"))
    return Sources.of("registry-trust", found)


GOOD = sources(ca={"ca.crt": FIRST.pem})


def compiled(trusts: list[TrustInput], given: Sources = GOOD, last: Bundle | None = None, now: float = NOW) -> Compiled:
    return compile_bundle(trusts, given, last or Bundle(), now, checker=Checker())


def test_a_trust_is_compiled_into_the_first_bundle() -> None:
    result = compiled([trust()])

    assert result.changed
    assert result.bundle.serial == 1
    assert [t.state for t in result.bundle.trusts] == [TrustState.ACTIVE]
    assert list(result.bundle.blobs.values()) == [FIRST.pem]
    assert result.outcomes["harbor"].accepted


def test_compiling_the_same_again_changes_nothing_and_keeps_the_serial() -> None:
    first = compiled([trust()])

    again = compiled([trust()], last=first.bundle, now=NOW + 1)

    assert not again.changed
    assert again.bundle is first.bundle


def test_the_bundle_survives_its_own_format() -> None:
    given = sources(ca={"ca.crt": FIRST.pem}, pair={"tls.crt": NODE.certificate, "tls.key": NODE.key})
    replacing = trust(client_sources=(pair_of("pair"),), existing_files=ExistingFilesPolicy.REPLACE)
    bundle = compiled([replacing, trust(name="refusing")], given).bundle

    assert decode(encode(bundle)) == bundle
    policies = [one.content.existing_files for one in bundle.trusts if one.content is not None]
    assert sorted(policies) == [ExistingFilesPolicy.REFUSE, ExistingFilesPolicy.REPLACE]


def test_a_policy_of_a_later_version_touches_nobody_s_files() -> None:
    data = encode(compiled([trust(existing_files=ExistingFilesPolicy.REPLACE)]).bundle)
    later = data | {INDEX_KEY: data[INDEX_KEY].replace(b'"Replace"', b'"Devour"')}

    content = decode(later).trusts[0].content

    assert content is not None
    assert content.existing_files is ExistingFilesPolicy.REFUSE


def test_a_certificate_that_many_trusts_share_is_stored_once() -> None:
    result = compiled([trust(f"t{number}") for number in range(20)])

    assert len(result.bundle.blobs) == 1


def test_a_source_that_turns_bad_leaves_the_last_good_content_serving() -> None:
    first = compiled([trust()])

    result = compiled([trust()], sources(ca={"ca.crt": b"not a certificate"}), first.bundle)

    outcome = result.outcomes["harbor"]
    assert not result.changed
    assert not outcome.accepted
    assert outcome.revision == first.outcomes["harbor"].revision
    assert outcome.certificates
    assert outcome.errors[0].field == "spec.caCertificates[0].secretKeyRef"


def test_a_source_that_disappears_leaves_the_last_good_content_serving() -> None:
    first = compiled([trust()])

    result = compiled([trust()], sources(), first.bundle)

    assert not result.changed
    assert result.outcomes["harbor"].errors[0].reason is Reason.SECRET_NOT_FOUND


def test_a_trust_that_never_had_content_is_held_so_that_nodes_keep_what_they_have() -> None:
    result = compiled([trust()], sources())

    assert result.bundle.trusts[0].state is TrustState.HELD
    assert result.bundle.trusts[0].content is None


def test_one_bad_trust_does_not_block_another() -> None:
    bad = trust("bad", ca_sources=(SourceRef("Secret", "missing", "ca.crt"),))

    result = compiled([bad, trust("good")])

    assert result.bundle.trust("good").state is TrustState.ACTIVE
    assert not result.outcomes["bad"].accepted


def test_since_moves_only_for_the_trust_whose_content_changed() -> None:
    first = compiled(
        [trust("a"), trust("b", ca_sources=(SourceRef("Secret", "cb", "ca.crt"),))],
        sources(ca={"ca.crt": FIRST.pem}, cb={"ca.crt": FIRST.pem}),
    )
    second = compiled(
        [trust("a"), trust("b", ca_sources=(SourceRef("Secret", "cb", "ca.crt"),))],
        sources(ca={"ca.crt": FIRST.pem}, cb={"ca.crt": SECOND.pem}),
        first.bundle,
    )

    assert second.bundle.serial == 2
    assert second.outcomes["a"].since == 1
    assert second.outcomes["b"].since == 2


def test_a_trust_keeps_its_place_in_the_index_and_new_ones_come_by_age_then_name() -> None:
    first = compiled([trust("m", created="2027-01-05T00:00:00Z")])

    second = compiled(
        [
            trust("m", created="2027-01-05T00:00:00Z"),
            trust("z", created="2027-01-01T00:00:00Z"),
            trust("a"),
            trust("b"),
        ],
        last=first.bundle,
    )

    assert [t.name for t in second.bundle.trusts] == ["m", "a", "b", "z"]


def test_a_suspended_trust_keeps_its_content_whatever_its_sources_say() -> None:
    first = compiled([trust()])

    result = compiled([trust(suspend=True)], sources(ca={"ca.crt": SECOND.pem}), first.bundle)

    assert not result.changed
    assert result.outcomes["harbor"].suspended


def test_a_ca_in_client_certificates_without_a_key_says_where_it_belongs() -> None:
    given = sources(ca={"ca.crt": FIRST.pem}, pair={"tls.crt": FIRST.pem})

    result = compiled([trust(client_sources=(pair_of("pair"),))], given)

    error = result.outcomes["harbor"].errors[0]
    assert error.reason is Reason.PAIR_INCOMPLETE
    assert "belongs in caCertificates" in error.message


def test_a_missing_key_names_the_keys_that_exist() -> None:
    result = compiled(
        [trust(ca_sources=(SourceRef("ConfigMap", "map", "root.pem"),))], sources(map={"ca.crt": FIRST.pem})
    )

    error = result.outcomes["harbor"].errors[0]
    assert error.reason is Reason.CONFIG_MAP_KEY_NOT_FOUND
    assert '"ca.crt"' in error.message


@pytest.mark.parametrize("secret_type", ["kubernetes.io/service-account-token", "helm.sh/release.v1"])
def test_a_secret_of_a_type_that_holds_no_certificates_is_refused_without_its_value(secret_type: str) -> None:
    found = SourceObject(SourceKind.SECRET, "ca", "1", {"ca.crt": b"canary-token"}, secret_type)

    result = compiled([trust()], Sources.of("registry-trust", [found]))

    error = result.outcomes["harbor"].errors[0]
    assert error.reason is Reason.SECRET_TYPE_FORBIDDEN
    assert "canary" not in str(error)


def test_what_no_longer_fits_leaves_its_trust_at_the_last_content_and_the_others_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("registry_trust.compiler.compile.SIZE_LIMIT", len(FIRST.pem) + 900)
    first = compiled([trust("old")])
    assert first.outcomes["old"].accepted

    second = compiled(
        [trust("old"), trust("new", ca_sources=(SourceRef("Secret", "cb", "ca.crt"),))],
        sources(ca={"ca.crt": FIRST.pem}, cb={"ca.crt": SECOND.pem}),
        first.bundle,
    )

    assert second.outcomes["old"].accepted
    assert second.outcomes["old"].content is not None
    assert second.outcomes["new"].errors[-1].reason is Reason.BUNDLE_TOO_LARGE
    assert second.outcomes["new"].content is None
