"""One trust can't fill the bundle: what is served stays, a share can't be taken, and the limit holds."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_trust.compiler import compile as compiling
from registry_trust.compiler.admission import Weight, even_share, fair_share, fits, reserved
from registry_trust.compiler.compile import Compiled
from registry_trust.compiler.content import Checked
from registry_trust.compiler.fitting import weigh
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.sources import Sources
from registry_trust.core.bundle import Bundle, CAOrigin, TrustContent, TrustState, reference_of
from registry_trust.core.bundle_format import encode, size_of
from registry_trust.core.reasons import Reason
from registry_trust.core.trust import SourceRef, Trust

NAMES = tuple("abcdefgh")
LIMIT = 20_000
PEMS = {reference_of(data): data for data in (bytes([65 + place]) * 400 * (place % 5 + 1) for place in range(24))}
REFERENCES = tuple(sorted(PEMS))


@dataclass
class Contents:
    """Stands where certificates are checked: the content of each trust, made of PEMs that nobody parses."""

    by_name: dict[str, tuple[str, ...]]

    def forget_all_but(self, names: set[str]) -> None:
        """Remember nothing."""

    def check(self, trust: Trust, sources: Sources, now: float) -> Checked:
        references = self.by_name[trust.name]
        return Checked(
            TrustContent(trust.registries, ca_certificates=tuple(sorted(references))),
            {reference: PEMS[reference] for reference in references},
            origins=tuple(CAOrigin(reference, SourceRef("Secret", "ca", "ca.crt")) for reference in sorted(references)),
        )


def compiled(
    contents: dict[str, tuple[str, ...]],
    last: Bundle,
    at: float,
    *,
    retention: float = 0.0,
    trust_limit: int = 2 * LIMIT,
) -> Compiled:
    trusts = [
        TrustInput(
            name,
            f"uid-{name}",
            "2027-01-01T00:00:00Z",
            1,
            Trust(
                name=name,
                uid=f"uid-{name}",
                created="2027-01-01T00:00:00Z",
                generation=1,
                registries=(f"{name}.example",),
                ca_sources=(SourceRef("Secret", "ca", "ca.crt"),),
                ca_retention=retention,
            ),
        )
        for name in contents
    ]
    checker = Contents(contents)
    sources = Sources("certificates", {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling, "served_certificates", lambda *_: ())  # These PEMs hold no certificate to show.
        return compiling.compile_bundle(trusts, sources, last, at, checker=checker, trust_limit=trust_limit)  # type: ignore[arg-type]


def weights_of(bundle: Bundle) -> tuple[dict[str, Weight], int]:
    weights = {trust.name: weigh(trust, bundle.blobs) for trust in bundle.trusts}
    return weights, LIMIT - size_of(encode(Bundle(serial=bundle.serial + 1, removals=bundle.removals))) - 10


CONTENT = st.sets(st.sampled_from(REFERENCES), min_size=1, max_size=12).map(lambda found: tuple(sorted(found)))
STEPS = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.none() | CONTENT, min_size=1, max_size=4), min_size=1, max_size=10
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, retention=st.sampled_from([0.0, 2000.0]))
def test_whatever_trusts_do_nothing_served_is_lost_and_what_is_within_its_share_is_taken(
    steps: list[dict[str, tuple[str, ...] | None]], retention: float
) -> None:
    at, bundle = 1_800_000_000.25, Bundle()
    wanted: dict[str, tuple[str, ...]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling, "SIZE_LIMIT", LIMIT)
        for step in steps:
            at += 1000.0
            for name, content in step.items():
                if content is None:
                    wanted.pop(name, None)
                else:
                    wanted[name] = content
            before, room = weights_of(bundle)
            share = fair_share(before.values(), room)
            result = compiled(wanted, bundle, at, retention=retention)
            for name, outcome in result.outcomes.items():
                was = bundle.trust(name)
                if was is None or was.content is None or was.state is TrustState.REMOVED:
                    continue
                assert outcome.content is not None, f"{name} was served and is no longer"
                if not outcome.accepted:
                    assert outcome.content == was.content, f"{name} was refused and changed"
                    # With the PEMs that retention may keep: never more than old and new together.
                    both = Weight(
                        before[name].entry + 90 * len(wanted[name]) + 400,
                        {
                            reference: len(reference) + len(PEMS[reference])
                            for reference in {*was.content.ca_certificates, *wanted[name]}
                        },
                    )
                    gone = bundle.trusts and {t.name for t in bundle.trusts} - wanted.keys()
                    assert both.total > share or gone, f"{name} is within its share and was refused"
            bundle = result.bundle
            # Times of a removal, and entries of trusts that were never served: the API server takes 48,576 bytes more.
            marks = 100 * sum(trust.state is not TrustState.ACTIVE for trust in bundle.trusts)
            assert size_of(encode(bundle)) <= LIMIT + marks


WEIGHTS = st.builds(
    Weight,
    st.integers(100, 500),
    st.dictionaries(st.sampled_from(REFERENCES), st.just(1000), max_size=8),
    st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(
    weights=st.dictionaries(st.sampled_from(NAMES), WEIGHTS, min_size=1),
    changes=st.lists(st.tuples(st.sampled_from(NAMES), WEIGHTS), max_size=12),
)
def test_growth_of_others_leaves_every_share_free(
    weights: dict[str, Weight], changes: list[tuple[str, Weight]]
) -> None:
    room = max(LIMIT, reserved(weights.values(), 0))
    for name, after in changes:
        share = fair_share(weights.values(), room)
        assert share <= even_share(weights.values(), room)
        assert reserved(weights.values(), share) <= room
        if fits(name, after, weights, share, room):
            weights = {**weights, name: after}
        assert reserved(weights.values(), 0) <= room


def test_a_trust_that_asks_for_everything_leaves_the_share_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "SIZE_LIMIT", LIMIT)
    small, other, greedy = REFERENCES[:1], REFERENCES[1:2], REFERENCES[2:]
    first = compiled({"a": small, "b": greedy[:1]}, Bundle(), 1e9)

    second = compiled({"a": small, "b": greedy}, first.bundle, 1e9 + 60)
    third = compiled({"a": other, "b": greedy}, second.bundle, 1e9 + 120, retention=600)

    assert second.outcomes["b"].errors[-1].reason is Reason.BUNDLE_TOO_LARGE
    assert third.outcomes["a"].accepted
    assert third.outcomes["a"].content is not None
    assert set(third.outcomes["a"].content.ca_certificates) == {*small, *other}


def test_one_trust_may_take_no_more_than_its_limit_however_empty_the_bundle_is() -> None:
    first = compiled({"a": REFERENCES[:2]}, Bundle(), 1e9, trust_limit=5000)

    second = compiled({"a": REFERENCES}, first.bundle, 1e9 + 60, trust_limit=5000)
    third = compiled({"a": REFERENCES[:1]}, second.bundle, 1e9 + 120, trust_limit=100)

    assert second.outcomes["a"].errors[-1].reason is Reason.TOO_LARGE
    assert second.outcomes["a"].content == first.outcomes["a"].content
    assert third.outcomes["a"].accepted, "what only removes is always taken"


def test_the_largest_trusts_are_told_from_80_percent_on(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {"a": REFERENCES[:1], "b": REFERENCES[1:6]}
    size = size_of(encode(compiled(contents, Bundle(), 1e9).bundle))
    for limit, told in ((size * 10 // 7, ()), (size * 10 // 8 - 1, ("b", "a"))):
        monkeypatch.setattr("registry_trust.compiler.fullness.MOST_CROWDING", 2)
        last = compiled(contents, Bundle(), 1e9).bundle
        with monkeypatch.context() as patch:
            patch.setattr(compiling, "SIZE_LIMIT", limit)

            result = compiled(contents, last, 1e9 + 60)

        assert result.crowding == told
        reasons = [finding.reason for finding in result.outcomes["b"].warnings]
        assert (Reason.BUNDLE_NEARLY_FULL in reasons) == bool(told)
