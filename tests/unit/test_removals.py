"""Removals: a grace for each, a cover that makes a rename gapless, a guard against the loss of many at once."""

from __future__ import annotations

from registry_trust.compiler.removals import GRACE, GUARD_WINDOW, decide_removals
from registry_trust.core.bundle import Bundle, IndexedTrust, TrustContent, TrustState
from registry_trust.core.selection import Selector

NOW = 1_800_000_000.0
CONTENT = TrustContent(("harbor.example",), ("aa", "bb"))


def bundle(*names: str, serial: int = 5, **contents: TrustContent) -> Bundle:
    return Bundle(
        serial,
        tuple(
            IndexedTrust(
                name, f"uid-{name}", 1, TrustState.ACTIVE, contents.get(name, TrustContent((f"{name}.example",)))
            )
            for name in names
        ),
    )


def after(last: Bundle, *names: str, now: float = NOW, **arguments: object) -> Bundle:
    live = {trust.name: trust.content for trust in last.trusts if trust.name in names}
    removals = decide_removals(last, live, now, **arguments)  # type: ignore[arg-type]
    kept = [t for t in last.trusts if t.name in names] + list(removals.tombstones.values())
    return Bundle(last.serial + 1, tuple(kept), removals=removals.carried_out)


def test_a_trust_that_is_gone_is_served_for_its_grace_and_then_removed() -> None:
    gone = after(bundle("a", "b"), "a")
    assert gone.trust("b").state is TrustState.REMOVED

    assert after(gone, "a", now=NOW + GRACE - 1).trust("b") is not None
    assert after(gone, "a", now=NOW + GRACE).trust("b") is None


def test_a_trust_that_covers_the_same_ends_the_tombstone_at_once() -> None:
    last = bundle("old", old=CONTENT)
    wider = TrustContent(("harbor.example", "other.example"), ("aa", "bb", "cc"))

    assert not decide_removals(last, {"new": wider}, NOW).tombstones
    assert not decide_removals(last, {"new": wider}, NOW).carried_out


def test_a_trust_that_covers_less_or_other_nodes_does_not() -> None:
    last = bundle("old", old=CONTENT)
    less = TrustContent(("harbor.example",), ("aa",))
    elsewhere = TrustContent(("harbor.example",), ("aa", "bb"), selector=Selector((("zone", "a"),)))

    assert decide_removals(last, {"new": less}, NOW).tombstones
    assert decide_removals(last, {"new": elsewhere}, NOW).tombstones
    assert decide_removals(last, {"new": None}, NOW).tombstones


def test_more_than_half_of_three_or_more_are_held_ten_minutes_longer() -> None:
    gone = after(bundle("a", "b", "c"), "a")

    held = decide_removals(gone, {"a": None}, NOW + GRACE)
    assert held.guarded == ("b", "c")
    assert {trust.held_until for trust in held.tombstones.values()} == {NOW + GRACE + GUARD_WINDOW}
    assert held.due == NOW + GRACE + GUARD_WINDOW
    assert not decide_removals(gone, {"a": None}, NOW + GRACE + GUARD_WINDOW).tombstones


def test_removals_one_after_the_other_are_counted_together() -> None:
    last = after(after(bundle("a", "b", "c", "d"), "a", "b", "c"), "a", "b", "c", now=NOW + GRACE)
    assert last.trust("d") is None

    last = after(last, "a", "b", now=NOW + GRACE + 1)
    assert not decide_removals(last, {"a": None, "b": None}, NOW + GRACE + 1).guarded

    last = after(last, "a", now=NOW + GRACE + 2)
    assert decide_removals(last, {"a": None}, NOW + GRACE + 2).guarded == ("b", "c")


def test_a_trust_that_comes_and_goes_under_one_name_is_one_trust() -> None:
    last = bundle("a", "b", "c")
    for round_number in range(5):
        moment = NOW + round_number * 2 * GRACE
        last = after(last, "a", "b", now=moment)
        last = after(last, "a", "b", now=moment + GRACE)
        assert last.trust("c") is None
        last = Bundle(last.serial + 1, (*last.trusts, bundle("c").trusts[0]), removals=last.removals)


def test_a_confirmation_carries_a_held_removal_out_at_once() -> None:
    gone = after(bundle("a", "b", "c", serial=5))

    assert decide_removals(gone, {}, NOW + 1, confirmed_serial=5).tombstones
    assert not decide_removals(gone, {}, NOW + 1, confirmed_serial=6).tombstones


def test_nothing_matures_while_the_crd_is_missing() -> None:
    gone = after(bundle("a", "b"), "a")

    frozen = decide_removals(gone, {"a": None}, NOW + 10 * GUARD_WINDOW, frozen=True)

    assert set(frozen.tombstones) == {"b"}
    assert frozen.due is None
    assert frozen.tombstones["b"].held_until is None


def test_a_hold_ends_with_a_trust_that_comes_back() -> None:
    gone = after(bundle("a", "b", "c"), "a")

    back = decide_removals(gone, {"a": None, "b": None}, NOW + 1)

    assert back.guarded == ()
    assert back.tombstones["c"].held_until is None
