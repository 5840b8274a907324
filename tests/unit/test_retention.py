"""CA retention: what a rotation replaced stays for its time, across restarts; what is only taken away goes at once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_trust.compiler.compile import compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.sources import SourceObject, Sources
from registry_trust.core.bundle import Bundle
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.reasons import Reason
from registry_trust.core.trust import InlinePEM, SourceKind, SourceRef
from tests.unit.compiling import (
    CA,
    DAY,
    FIRST,
    LAST,
    NEW,
    NOW,
    OLD,
    OTHER,
    SECOND,
    THIRD,
    YEAR,
    Operator,
    pair_of,
    sources,
    trust,
)
from tools.authority import Authority


def test_a_ca_that_its_source_replaced_stays_for_a_day_and_then_goes() -> None:
    operator = Operator(ca=FIRST.pem)

    operator.step(ca=SECOND.pem)
    assert operator.trusted() == {OLD, NEW}
    assert operator.retained() == {"CN=CA 0": NOW + DAY}
    assert operator.result.due == DAY

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
def test_what_an_edit_of_the_trust_removes_goes_at_once(kept: SourceRef | InlinePEM) -> None:
    operator = Operator(trust(ca_sources=(CA, kept)), ca=FIRST.pem, other=SECOND.pem)
    assert operator.trusted() == {OLD, NEW}

    operator.step(trust(ca_sources=(kept,)))

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
    st.sampled_from([FIRST.pem, SECOND.pem, THIRD.pem, b"broken", b""]),
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


def client_sources(*issuers: Authority) -> Sources:
    found = [SourceObject(SourceKind.SECRET, "ca", "1", {"ca.crt": FIRST.pem}, "Opaque")]
    for place, issuer in enumerate(issuers):
        pair = issuer.client(f"node {place}")
        data = {"tls.crt": pair.certificate, "tls.key": pair.key}
        found.append(SourceObject(SourceKind.SECRET, f"p{place}", "1", data, "Opaque"))
    return Sources.of("registry-trust", found)


@pytest.mark.parametrize(
    ("issuers", "unreachable"),
    [((FIRST,), []), ((FIRST, SECOND), []), ((FIRST, FIRST), [1]), ((FIRST, SECOND, FIRST, SECOND), [2, 3])],
)
def test_a_client_pair_behind_one_of_the_same_issuer_is_unreachable(
    issuers: tuple[Authority, ...], unreachable: list[int]
) -> None:
    clients = tuple(pair_of(f"p{place}", f"c{place}") for place in range(len(issuers)))

    result = compile_bundle([trust(client_sources=clients)], client_sources(*issuers), Bundle(), NOW, checker=Checker())

    outcome = result.outcomes["harbor"]
    warned = [w.field for w in outcome.warnings if w.reason is Reason.UNREACHABLE_CLIENT_CERTIFICATE]
    assert outcome.accepted
    assert warned == [f"spec.clientCertificates[{place}]" for place in unreachable]
