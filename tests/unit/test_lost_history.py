"""A lost history: what nodes have and the restored state does not know stays there, until time or an admin ends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from registry_trust.compiler.compile import Compiled, compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.handover import take_over
from registry_trust.compiler.lost_history import go_on_after
from registry_trust.compiler.removals import GUARD_WINDOW
from registry_trust.compiler.sources import Sources
from registry_trust.controller.budget import Budget
from registry_trust.controller.history import HOLD_EVERY, HOLDS
from registry_trust.core.bundle import Bundle, IndexedTrust, LostHistory, TrustContent, TrustState, reference_of
from registry_trust.core.bundle_format import decode, encode
from registry_trust.core.desired import desired_state
from registry_trust.core.layout import Layout, Material, content_hash
from registry_trust.core.observed import ObservedRoot, OwnEntry, Target
from registry_trust.core.plan import Plan, Record, Remove, Switch, make_plan
from registry_trust.core.reasons import Reason
from registry_trust.core.removal_hold import hold_losses
from registry_trust.core.report import RowState
from registry_trust.core.selection import Selector
from registry_trust.core.text import MESSAGE_LIMIT
from tests.rows import message_of, reason_of
from tools.authority import Authority

NOW = 1_800_000_000.0
END = NOW + GUARD_WINDOW
PEM, OTHER = (Authority.create(name).pem for name in ("CA", "other CA"))
BLOBS = {reference_of(pem): pem for pem in (PEM, OTHER)}
ROOT = "/etc/docker/certs.d"


def trust(name: str, registry: str = "", pem: bytes = PEM, selector: Selector | None = None) -> IndexedTrust:
    content = TrustContent((registry or f"{name}.example",), (reference_of(pem),), selector=selector)
    return IndexedTrust(name, f"uid-{name}", 3, TrustState.ACTIVE, content)


def restored(*trusts: IndexedTrust) -> Bundle:
    """Return the bundle with which the operator goes on after nodes have said that there was a serial 57."""
    return go_on_after(Bundle(40, trusts, BLOBS if trusts else {}), 57, NOW)


def compiled(last: Bundle, now: float, confirmed: int = 0, *, frozen: bool = False) -> Compiled:
    return compile_bundle(
        [], Sources("trusts", {}), last, now, checker=Checker(), confirmed_serial=confirmed, removals_frozen=frozen
    )


def on_a_node(bundle: Bundle, has: Mapping[str, tuple[str, ...]]) -> Plan:
    """Plan for a node without labels that has these registries, each from these trusts, with the certificate PEM."""
    desired = desired_state(bundle, {})
    material = Material((PEM,))
    own = {}
    for registry, trusts in has.items():
        digest = content_hash(Layout.DOCKER, registry, material)
        own[registry] = OwnEntry(registry, f"{digest}-1", digest, trusts, intact=True)
    observed = ObservedRoot(own)
    plan = make_plan(Target(ROOT, Layout.DOCKER), desired, {ROOT: observed})
    if desired.lost_history is None:
        return plan
    return hold_losses(plan, observed, desired.lost_history, "registry-trust", "registry-trust-bundle")


# ---- the operator ----------------------------------------------------------------------------------------------------


def test_a_bundle_that_goes_on_after_a_lost_history_says_so_for_as_long_as_the_guard_would_hold_removals() -> None:
    bundle = restored(trust("a"))

    assert (bundle.serial, bundle.lost_history) == (58, LostHistory(58, END))
    assert decode(encode(bundle)).lost_history == bundle.lost_history


def test_it_ends_by_the_time_that_passed_with_a_bundle_of_its_own() -> None:
    last = restored()

    before = compiled(last, END - 1)
    after = compiled(last, END)

    assert (before.changed, before.due) == (False, 1.0)
    assert (after.changed, after.bundle.serial, after.bundle.lost_history, after.due) == (True, 59, None, None)
    assert b"lostHistory" not in after.encoded["index.json"]


@pytest.mark.parametrize(("confirmed", "held"), [(0, 1), (40, 1), (57, 1), (58, 0), (10**9, 0)])
def test_it_ends_at_once_when_an_admin_confirms_it_and_not_by_what_was_confirmed_before(
    confirmed: int, held: int
) -> None:
    assert (compiled(restored(), NOW, confirmed).bundle.lost_history is not None) == held


def test_it_does_not_end_by_time_while_nothing_may_be_removed() -> None:
    result = compiled(restored(), END, frozen=True)

    assert (result.bundle.lost_history, result.due) == (LostHistory(58, END), None)


@pytest.mark.parametrize("ahead", [-3600.0, 0.0, 365 * 86_400.0])
def test_another_leader_lets_the_whole_time_pass_by_its_own_clock(ahead: float) -> None:
    taken = take_over(decode(encode(restored())), NOW + ahead)

    assert taken.lost_history == LostHistory(58, NOW + ahead + GUARD_WINDOW)
    assert compiled(taken, NOW + ahead + GUARD_WINDOW - 1).bundle.lost_history is not None
    assert compiled(taken, NOW + ahead + GUARD_WINDOW).bundle.lost_history is None


def test_a_later_leap_prolongs_it_only_where_that_is_allowed() -> None:
    first = restored()

    assert go_on_after(first, 90).lost_history == first.lost_history
    assert go_on_after(first, 90, NOW + 60).lost_history == LostHistory(91, END + 60)
    assert go_on_after(Bundle(40), 90).lost_history is None


def test_a_node_that_reports_ever_later_serials_has_removals_held_for_a_sixth_of_the_time_at_most() -> None:
    budget, day = Budget(HOLDS, HOLD_EVERY), 86_400

    held = sum(budget.take(float(10**6 + second)) for second in range(0, day, 60)) * GUARD_WINDOW

    assert held <= HOLDS * GUARD_WINDOW + day / 6


# ---- a node ----------------------------------------------------------------------------------------------------------


def test_what_the_restored_state_does_not_know_stays_with_its_end_and_both_ways_out() -> None:
    plan = on_a_node(restored(trust("kept")), {"kept.example": ("kept",), "lost.example": ("lost",)})

    assert plan.steps == ()
    kept, lost = plan.rows
    assert (kept.registry, kept.state) == ("kept.example", RowState.CURRENT)
    assert (lost.registry, lost.state, reason_of(lost)) == ("lost.example", RowState.HELD, Reason.REMOVAL_HELD)
    assert "at least until 2027-01-15T08:10:00Z. To keep them, apply the trust again." in message_of(lost)
    assert message_of(lost).endswith(
        "kubectl annotate --overwrite -n registry-trust secret registry-trust-bundle "
        "registrytrust.io/confirm-removal=58"
    )


def test_without_a_lost_history_it_goes_at_once() -> None:
    bundle = replace(restored(trust("kept")), lost_history=None)

    assert on_a_node(bundle, {"lost.example": ("lost",)}).steps[-1:] == (Remove("lost.example"),)


def test_a_very_old_bundle_takes_nothing_from_a_node() -> None:
    has = {f"r{number}.example": (f"t{number}",) for number in range(100)}

    plan = on_a_node(restored(), has)

    assert plan.steps == ()
    assert {row.registry for row in plan.rows} == has.keys()


@pytest.mark.parametrize(
    "older",
    [trust("a", "other.example"), trust("a", "r.example", selector=Selector((("pool", "gpu"),)))],
    ids=["another registry", "other nodes"],
)
def test_what_an_older_spec_of_a_trust_does_not_give_stays_too(older: IndexedTrust) -> None:
    plan = on_a_node(restored(older), {"r.example": ("a",)})

    assert not [step for step in plan.steps if step.entry == "r.example"]
    assert [reason_of(row) for row in plan.rows if row.registry == "r.example"] == [Reason.REMOVAL_HELD]


def test_files_that_a_lost_trust_shares_with_another_one_stay_as_they_are() -> None:
    plan = on_a_node(restored(trust("kept", "r.example", OTHER)), {"r.example": ("kept", "lost")})

    assert plan.steps == ()
    (row,) = plan.rows
    assert (row.state, reason_of(row)) == (RowState.HELD, Reason.REMOVAL_HELD)
    assert "from lost;" in message_of(row)


def test_a_trust_that_is_applied_again_takes_its_files_over_as_they_are() -> None:
    again = on_a_node(restored(trust("lost")), {"lost.example": ("lost",)})
    renamed = on_a_node(restored(trust("new", "lost.example")), {"lost.example": ("lost",)})

    assert (again.steps, [row.state for row in again.rows]) == ((), [RowState.CURRENT])
    assert renamed.steps == (Record("lost.example", ("lost", "new")),)


def test_trusts_that_lose_nothing_are_written_as_ever() -> None:
    plan = on_a_node(restored(trust("kept", "r.example", OTHER), trust("new")), {"r.example": ("kept",)})

    assert [type(step) for step in plan.steps] == [Switch, Switch]


def test_a_withdrawn_bundle_removes_what_was_written_all_the_same() -> None:
    bundle = replace(restored(trust("kept")), withdrawn=True)

    assert on_a_node(bundle, {"lost.example": ("lost",)}).steps == (Remove("lost.example"),)


def test_the_command_is_whole_however_long_the_names_are() -> None:
    lost = LostHistory(58, END)
    trusts = tuple(str(number) * 253 for number in range(9))
    observed = ObservedRoot({"r.example": OwnEntry("r.example", "aa-1", "aa", trusts, intact=True)})
    plan = make_plan(Target(ROOT, Layout.DOCKER), desired_state(restored(), {}), {ROOT: observed})

    (row,) = hold_losses(plan, observed, lost, "n" * 63, "s" * 63).rows

    assert len(message_of(row)) <= MESSAGE_LIMIT
