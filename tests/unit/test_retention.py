"""CA retention: what a source replaced stays for its time, across restarts; what an edit removes goes at once."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_trust.compiler.compile import Compiled, TrustInput, compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.sources import SourceKind, SourceObject, Sources
from registry_trust.core.bundle import Bundle, reference_of
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.reasons import Reason
from registry_trust.core.trust import ClientSource, InlinePEM, SecretKeyRef, Trust
from tests.cluster.pki import Authority

NOW = float(int(time.time()))
DAY = 86_400.0
YEAR = 365 * DAY
FIRST, SECOND, THIRD = (Authority.create(f"CA {number}") for number in range(3))
OLD, NEW, LAST = (reference_of(authority.pem) for authority in (FIRST, SECOND, THIRD))
CA = SecretKeyRef("ca", "ca.crt")
OTHER = SecretKeyRef("other", "ca.crt")


def trust(**changes: object) -> TrustInput:
    spec = Trust("harbor", "uid", "2027-01-01T00:00:00Z", 1, ("harbor.example",), (CA,))
    spec = replace(spec, **changes)  # type: ignore[arg-type]
    return TrustInput(spec.name, spec.uid, spec.created, spec.generation, spec)


def sources(**pems: bytes) -> Sources:
    found = {
        (SourceKind.SECRET, name): SourceObject(SourceKind.SECRET, name, str(hash(pem)), {"ca.crt": pem}, "Opaque")
        for name, pem in pems.items()
    }
    return Sources("registry-trust", found)


class Operator:
    """Compiles again and again, each time from what the bundle's Secret would hold: every step is a restart."""

    def __init__(self, item: TrustInput | None = None, **pems: bytes) -> None:
        self.bundle = Bundle()
        self.trust = item or trust()
        self.sources = sources(**pems)
        self.now = NOW
        self.result: Compiled = self.step()

    def step(self, item: TrustInput | None = None, *, later: float = 0, clock: float = 0, **pems: bytes) -> Compiled:
        self.trust = item or self.trust
        self.sources = sources(**pems) if pems else self.sources
        self.now += later
        last = decode(encode(self.bundle)) if self.bundle.serial else self.bundle
        self.result = compile_bundle(
            [self.trust], self.sources, last, self.now + clock, checker=Checker(), steady=self.now
        )
        self.bundle = self.result.bundle
        return self.result

    def trusted(self) -> set[str]:
        found = self.bundle.trust("harbor")
        assert found is not None
        assert found.content is not None
        return set(found.content.ca_certificates)

    def retained(self) -> dict[str, float]:
        certificates = self.result.outcomes["harbor"].certificates
        return {c.facts.subject: c.retained_until for c in certificates if c.retained_until is not None}


def test_a_ca_that_its_source_replaced_stays_for_a_day_and_then_goes() -> None:
    operator = Operator(ca=FIRST.pem)

    operator.step(ca=SECOND.pem)
    assert operator.trusted() == {OLD, NEW}
    assert operator.retained() == {"CN=CA 0": NOW + DAY}
    assert operator.result.due == NOW + DAY

    operator.step(later=DAY - 1)
    assert operator.trusted() == {OLD, NEW}
    assert not operator.result.changed

    operator.step(later=1)
    assert operator.trusted() == {NEW}
    assert not operator.result.due
    assert set(operator.bundle.blobs) == {NEW}


def test_since_moves_when_the_ca_is_replaced_and_when_it_goes_and_not_between() -> None:
    operator = Operator(ca=FIRST.pem)
    since = [operator.result.outcomes["harbor"].since]
    since.append(operator.step(ca=SECOND.pem).outcomes["harbor"].since)
    since.extend(operator.step(later=later).outcomes["harbor"].since for later in (10, DAY, 10))

    assert since == [1, 2, 2, 3, 3]


def test_a_retained_ca_has_its_source_and_its_end_in_the_status() -> None:
    operator = Operator(ca=FIRST.pem)
    operator.step(ca=SECOND.pem)

    rows = {c.facts.subject: (c.source, c.retained_until) for c in operator.result.outcomes["harbor"].certificates}

    place = "Secret registry-trust/ca key ca.crt"
    assert rows == {"CN=CA 0": (place, NOW + DAY), "CN=CA 1": (place, None)}


def test_with_no_retention_a_replaced_ca_goes_now() -> None:
    operator = Operator(trust(ca_retention=0.0), ca=FIRST.pem)

    operator.step(ca=SECOND.pem)

    assert operator.trusted() == {NEW}


def test_an_edit_to_no_retention_drops_what_is_retained_now() -> None:
    operator = Operator(ca=FIRST.pem)
    operator.step(ca=SECOND.pem)

    operator.step(trust(ca_retention=0.0))

    assert operator.trusted() == {NEW}


def test_another_retention_counts_from_the_moment_of_the_replacement() -> None:
    operator = Operator(ca=FIRST.pem)
    operator.step(ca=SECOND.pem)

    operator.step(trust(ca_retention=2 * DAY), later=3600)

    assert operator.retained() == {"CN=CA 0": NOW + 2 * DAY}


@pytest.mark.parametrize("kept", [OTHER, InlinePEM(SECOND.pem.decode())])
def test_what_an_edit_of_the_trust_removes_goes_at_once(kept: SecretKeyRef | InlinePEM) -> None:
    operator = Operator(trust(ca_sources=(CA, kept)), ca=FIRST.pem, other=SECOND.pem)
    assert operator.trusted() == {OLD, NEW}

    operator.step(trust(ca_sources=(kept,)))

    assert operator.trusted() == {NEW}


def test_an_inline_ca_that_an_edit_replaced_goes_at_once() -> None:
    operator = Operator(trust(ca_sources=(InlinePEM(FIRST.pem.decode()),)), ca=FIRST.pem)

    operator.step(trust(ca_sources=(InlinePEM(SECOND.pem.decode()),)))

    assert operator.trusted() == {NEW}


def test_a_retained_ca_goes_at_once_with_the_source_that_had_it() -> None:
    operator = Operator(trust(ca_sources=(CA, OTHER)), ca=FIRST.pem, other=THIRD.pem)
    operator.step(ca=SECOND.pem, other=THIRD.pem)
    assert operator.trusted() == {OLD, NEW, LAST}

    operator.step(trust(ca_sources=(OTHER,)))

    assert operator.trusted() == {LAST}


def test_two_rotations_within_a_day_end_one_after_the_other() -> None:
    operator = Operator(ca=FIRST.pem)
    operator.step(ca=SECOND.pem)
    operator.step(ca=THIRD.pem, later=3600)

    assert operator.trusted() == {OLD, NEW, LAST}
    assert operator.retained() == {"CN=CA 0": NOW + DAY, "CN=CA 1": NOW + 3600 + DAY}
    operator.step(later=DAY - 3600)
    assert operator.trusted() == {NEW, LAST}


def test_a_ca_that_comes_back_is_not_retained_any_more() -> None:
    operator = Operator(ca=FIRST.pem)
    operator.step(ca=SECOND.pem)

    operator.step(ca=FIRST.pem, later=60)

    assert operator.retained() == {"CN=CA 1": NOW + 60 + DAY}


def test_a_ca_that_another_source_still_has_is_not_called_retained() -> None:
    operator = Operator(trust(ca_sources=(CA, OTHER)), ca=FIRST.pem, other=FIRST.pem)

    operator.step(ca=SECOND.pem, other=FIRST.pem)

    assert operator.trusted() == {OLD, NEW}
    assert operator.retained() == {}


def test_a_source_that_is_bad_or_a_trust_that_is_suspended_keeps_what_is_retained() -> None:
    operator = Operator(ca=FIRST.pem)
    operator.step(ca=SECOND.pem)

    operator.step(ca=b"broken", later=2 * DAY)
    assert operator.trusted() == {OLD, NEW}
    operator.step(trust(suspend=True), ca=SECOND.pem)
    assert operator.trusted() == {OLD, NEW}
    operator.step(trust())
    assert operator.trusted() == {NEW}


def test_a_reader_that_does_not_know_of_origins_ignores_them() -> None:
    operator = Operator(ca=FIRST.pem)
    operator.step(ca=SECOND.pem)
    data = encode(operator.bundle)

    assert b'"minReader":1' in data["index.json"]
    stripped = {**data, "index.json": data["index.json"].replace(b'"origins"', b'"somethingNew"')}
    assert decode(stripped).trusts[0].content == operator.bundle.trusts[0].content


def test_a_jump_of_the_clock_ends_no_retention_and_removes_nothing() -> None:
    operator = Operator(ca=FIRST.pem)
    operator.step(ca=SECOND.pem)

    for clock in (YEAR, -YEAR, 30 * YEAR, 0):
        operator.step(clock=clock)
        assert operator.trusted() == {OLD, NEW}
    assert operator.result.outcomes["harbor"].accepted


steps = st.tuples(
    st.floats(-40 * YEAR, 40 * YEAR),
    st.sampled_from([FIRST.pem, SECOND.pem, FIRST.pem + SECOND.pem, b"broken", b""]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=6))
def test_a_clock_that_jumps_never_removes_content(sequence: list[tuple[float, bytes, bool]]) -> None:
    operator = Operator(ca=FIRST.pem)
    checker = Checker()
    trusted = operator.trusted()
    for clock, pem, suspend in sequence:
        result = compile_bundle(
            [trust(suspend=suspend)], sources(ca=pem), operator.bundle, NOW + clock, checker=checker, steady=NOW
        )
        operator.bundle = result.bundle
        assert operator.trusted() >= trusted
        trusted = operator.trusted()


def test_a_clock_that_was_wrong_for_a_moment_leaves_no_refusal_behind() -> None:
    checker = Checker()
    item, given_sources = trust(), sources(ca=FIRST.pem)
    far = compile_bundle([item], given_sources, Bundle(), NOW + 90 * YEAR, checker=checker)
    assert far.outcomes["harbor"].errors[0].reason is Reason.EXPIRED

    assert compile_bundle([item], given_sources, far.bundle, NOW, checker=checker).outcomes["harbor"].accepted


def test_an_expired_ca_that_is_still_served_stays_in_the_status() -> None:
    operator = Operator(ca=FIRST.pem)

    operator.step(clock=90 * YEAR)

    outcome = operator.result.outcomes["harbor"]
    assert not outcome.accepted
    assert [(c.facts.subject, c.source) for c in outcome.certificates] == [
        ("CN=CA 0", "Secret registry-trust/ca key ca.crt")
    ]


def told(result: Compiled) -> list[str]:
    return [str(w.field) for w in result.outcomes["harbor"].warnings if w.reason is Reason.ROOT_REPLACED]


def test_roots_that_are_replaced_with_no_overlap_are_told_for_a_day() -> None:
    operator = Operator(trust(ca_retention=0.0), ca=FIRST.pem)
    assert told(operator.result) == []

    assert told(operator.step(ca=SECOND.pem)) == ["spec.caCertificates[0]"]
    assert "Secret registry-trust/ca key ca.crt" in operator.result.outcomes["harbor"].warnings[0].message
    serial = operator.bundle.serial
    assert told(operator.step(later=DAY - 1)) == ["spec.caCertificates[0]"]
    assert told(operator.step(later=1)) == []
    assert operator.bundle.serial == serial, "the end of a warning writes no bundle"


def test_a_source_that_changes_again_is_judged_anew() -> None:
    operator = Operator(trust(ca_retention=0.0), ca=FIRST.pem)
    operator.step(ca=SECOND.pem)

    assert told(operator.step(ca=SECOND.pem + FIRST.pem)) == []
    assert told(operator.step(ca=FIRST.pem)) == []
    assert told(operator.step(ca=THIRD.pem)) == ["spec.caCertificates[0]"]


def test_roots_that_stay_for_their_retention_or_by_another_source_are_no_loss() -> None:
    retaining = Operator(ca=FIRST.pem)
    shared = Operator(trust(ca_sources=(CA, OTHER), ca_retention=0.0), ca=FIRST.pem, other=FIRST.pem)

    assert told(retaining.step(ca=SECOND.pem)) == []
    assert told(retaining.step(later=2 * DAY)) == []
    assert told(shared.step(ca=SECOND.pem, other=FIRST.pem)) == []


def test_an_inline_certificate_that_is_replaced_is_told_and_a_source_that_is_new_is_not() -> None:
    operator = Operator(trust(ca_sources=(InlinePEM(FIRST.pem.decode()),)))

    assert told(operator.step(trust(ca_sources=(InlinePEM(SECOND.pem.decode()),)))) == ["spec.caCertificates[0]"]
    assert told(operator.step(trust(ca_sources=(CA,)), ca=FIRST.pem)) == []


def client_sources(*issuers: Authority) -> Sources:
    found = {(SourceKind.SECRET, "ca"): SourceObject(SourceKind.SECRET, "ca", "1", {"ca.crt": FIRST.pem}, "Opaque")}
    for place, issuer in enumerate(issuers):
        pair = issuer.client(f"node {place}")
        data = {"tls.crt": pair.certificate, "tls.key": pair.key}
        found[SourceKind.SECRET, f"p{place}"] = SourceObject(SourceKind.SECRET, f"p{place}", "1", data, "Opaque")
    return Sources("registry-trust", found)


@pytest.mark.parametrize(
    ("issuers", "unreachable"),
    [((FIRST,), []), ((FIRST, SECOND), []), ((FIRST, FIRST), [1]), ((FIRST, SECOND, FIRST, SECOND), [2, 3])],
)
def test_a_client_pair_behind_one_of_the_same_issuer_is_unreachable(
    issuers: tuple[Authority, ...], unreachable: list[int]
) -> None:
    clients = tuple(ClientSource(f"p{place}", name=f"c{place}") for place in range(len(issuers)))

    result = compile_bundle([trust(client_sources=clients)], client_sources(*issuers), Bundle(), NOW, checker=Checker())

    outcome = result.outcomes["harbor"]
    warned = [w.field for w in outcome.warnings if w.reason is Reason.UNREACHABLE_CLIENT_CERTIFICATE]
    assert outcome.accepted
    assert warned == [f"spec.clientCertificates[{place}]" for place in unreachable]
