"""Pruning: without being asked, no step by which a trust loses its files; what it would have cost is named."""

from __future__ import annotations

from registry_trust.core.desired import Desired, DesiredRegistry
from registry_trust.core.layout import Layout, Material, content_hash
from registry_trust.core.observed import ObservedRoot, OwnEntry, Target
from registry_trust.core.plan import Record, Remove, Switch, make_plan
from registry_trust.core.prune import UNNAMED, spare

ROOT, REGISTRY = "/etc/root", "r.example:5000"
OLD, NEW = Material((b"old",)), Material((b"new",))


def wants(*trusts, material=NEW):
    return Desired({REGISTRY: DesiredRegistry(REGISTRY, trusts, material)}) if trusts else Desired({})


def spared(desired, *trusts, intact=True, digest=content_hash(Layout.DOCKER, REGISTRY, OLD)):  # noqa: B008 - a constant
    own = OwnEntry(REGISTRY, f"{digest}-1" if digest else "", digest, trusts, intact)
    observed = ObservedRoot({REGISTRY: own})
    plan, lost = spare(make_plan(Target(ROOT, Layout.DOCKER), desired, {ROOT: observed}), observed)
    return plan.steps, lost


def test_an_entry_that_nobody_wants_stays_with_the_names_of_its_trusts():
    assert spared(wants(), "a", "b") == ((), {REGISTRY: ("a", "b")})
    assert spared(wants()) == ((), {REGISTRY: (UNNAMED,)})


def test_files_are_not_changed_while_one_of_their_trusts_would_lose_them():
    assert spared(wants("b"), "a", "b") == ((), {REGISTRY: ("a",)})


def test_files_are_changed_where_no_trust_loses_them():
    (step,), lost = spared(wants("a", "b"), "a")

    assert isinstance(step, Switch)
    assert lost == {}


def test_the_same_files_again_keep_every_trust_on_record():
    (repair,), lost = spared(wants("b", material=OLD), "a", intact=False)
    assert (repair.desired.trusts, lost) == (("a", "b"), {})

    assert spared(wants("b", material=OLD), "a") == ((Record(REGISTRY, ("a", "b")),), {})
    assert spared(wants("b", material=OLD), "a", "b") == ((), {})


def test_what_was_removed_already_is_nobody_s_loss():
    (step,), lost = spared(wants("b"), "a", digest="")

    assert (type(step), lost) == (Switch, {})


def test_a_removal_that_only_puts_back_what_it_replaced_goes_on():
    observed = ObservedRoot({REGISTRY: OwnEntry(REGISTRY, "", "", ("a",), intact=False)}, kept=frozenset({REGISTRY}))
    plan, lost = spare(make_plan(Target(ROOT, Layout.DOCKER), wants(), {ROOT: observed}), observed)

    assert (plan.steps, lost) == ((Remove(REGISTRY),), {})
