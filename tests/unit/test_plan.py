"""The plan: the fewest steps to what is wanted, and a failing row where a step would touch another's file."""

from __future__ import annotations

import pytest

from registry_trust.core.desired import Desired, DesiredRegistry
from registry_trust.core.layout import Layout, Material, Reader, content_hash, entry_name
from registry_trust.core.observed import ForeignEntry, ObservedRoot, OwnEntry, Target
from registry_trust.core.plan import Record, Remove, Switch, make_plan, merge_rows
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState
from tests.rows import reason_of

ROOT, EARLIER, LATER = "/etc/root", "/etc/earlier", "/etc/later"
REGISTRY = "r.example:5000"
MATERIAL = Material((b"ca",))
ITEM = DesiredRegistry(REGISTRY, ("a",), MATERIAL)
WANTED = Desired({REGISTRY: ITEM})
DIRECTORY = ForeignEntry("a directory (with ca.crt)")
EMPTY = ForeignEntry("an empty directory", reads=False)
NOWHERE = ForeignEntry("a symbolic link that leads nowhere", reads=False, hides=False)


def digest(layout=Layout.DOCKER):
    return content_hash(layout, REGISTRY, MATERIAL)


def own(layout=Layout.DOCKER, **changes):
    values = {"generation": f"{digest(layout)}-1", "digest": digest(layout), "trusts": ("a",), "intact": True}
    return {entry_name(layout, REGISTRY): OwnEntry(REGISTRY, **{**values, **changes})}


def plan(desired=WANTED, *, own=None, foreign=None, kept=(), layout=Layout.DOCKER, chain=(), readers=(), **others):
    roots = {ROOT: ObservedRoot(own or {}, foreign or {}, kept=frozenset(kept))}
    roots |= {{"earlier": EARLIER, "later": LATER}[name]: observed for name, observed in others.items()}
    return make_plan(Target(ROOT, layout, chain, readers=readers), desired, roots)


def reasons(made):
    return [(row.state, reason_of(row)) for row in made.rows]


# ---- steps -----------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_written():
    made = plan()

    assert made.steps == (Switch(REGISTRY, ITEM, digest()),)
    assert made.rows == (RegistryRow(REGISTRY, RowState.CURRENT, generation=digest()),)


def test_what_is_there_already_needs_no_step():
    assert plan(own=own()).steps == ()


def test_other_content_is_a_switch_and_no_repair():
    (step,) = plan(own=own(digest="f" * 16, generation="f" * 16 + "-1")).steps

    assert (step.digest, step.repair) == (digest(), False)


@pytest.mark.parametrize("drift", [{"intact": False}, {"generation": "", "intact": False}])
def test_the_same_content_that_somebody_spoilt_is_a_repair(drift):
    (step,) = plan(own=own(**drift)).steps

    assert step.repair


def test_another_trust_with_the_same_content_is_only_written_down():
    assert plan(own=own(trusts=("b",))).steps == (Record(REGISTRY, ("a",)),)


def test_what_nobody_wants_any_more_is_removed():
    assert plan(Desired({}), own=own()).steps == (Remove(REGISTRY),)


def test_containerds_entry_has_containerds_spelling():
    made = plan(layout=Layout.CONTAINERD)

    assert [step.entry for step in made.steps] == ["r.example_5000_"]


@pytest.mark.parametrize("desired", [Desired({}, frozenset({"a"})), Desired(WANTED.registries, frozenset({"a"}))])
def test_an_entry_of_a_held_trust_stays_as_it_is_and_says_so(desired):
    made = plan(desired, own=own(digest="f" * 16))

    assert made.steps == ()
    assert reasons(made) == [(RowState.HELD, Reason.CONTENT_HELD)]
    assert "trust a;" in made.rows[0].problem.message


def test_a_held_trust_keeps_nothing_of_other_trusts():
    assert plan(Desired({}, frozenset({"b"})), own=own()).steps == (Remove(REGISTRY),)


# ---- other people's files --------------------------------------------------------------------------------------------


def test_an_entry_of_somebody_else_is_left_alone_and_named():
    made = plan(foreign={REGISTRY: DIRECTORY})

    assert made.steps == ()
    assert reasons(made) == [(RowState.FAILED, Reason.FOREIGN_FILE)]
    assert made.rows[0].problem.message.startswith(
        f"{ROOT}/{REGISTRY} is a directory (with ca.crt) that registry-trust did not"
    )


REPLACING = Desired({REGISTRY: DesiredRegistry(REGISTRY, ("a",), MATERIAL, replace=True)})
KEPT = f"{ROOT}/.registry-trust-replaced.{REGISTRY}"


def test_with_replace_an_entry_of_somebody_else_gives_way_and_the_row_says_where_it_is():
    made = plan(REPLACING, foreign={REGISTRY: DIRECTORY})

    (step,) = made.steps
    assert (step.replace, step.repair) == (True, False)
    assert reasons(made) == [(RowState.CURRENT, Reason.EXISTING_FILES_REPLACED)]
    assert f"that is kept as {KEPT}, and will be put back" in made.rows[0].problem.message


def test_of_several_good_rows_the_one_with_something_to_say_counts():
    plain = RegistryRow(REGISTRY, RowState.CURRENT, digest())
    telling = RegistryRow(REGISTRY, RowState.CURRENT, digest(), Problem(Reason.RUNTIME_IGNORES_TLS, "why"))

    for first, second in ((plain, telling), (telling, plain)):
        assert merge_rows([(Target(ROOT, Layout.DOCKER), [first]), (Target(LATER, Layout.DOCKER), [second])]) == (
            telling,
        )


def test_with_replace_only_one_thing_is_kept_and_a_second_one_is_a_conflict():
    made = plan(REPLACING, own=own(generation=""), foreign={REGISTRY: DIRECTORY}, kept={REGISTRY})

    assert made.steps == ()
    assert reasons(made) == [(RowState.FAILED, Reason.FOREIGN_FILE)]
    assert f"kept as {KEPT}; move one of the two away" in made.rows[0].problem.message


def test_what_is_kept_is_put_back_even_where_our_link_is_gone_unless_the_place_is_taken():
    removed = own(generation="", digest="", intact=False)

    assert plan(Desired({}), own=removed, kept={REGISTRY}).steps == (Remove(REGISTRY),)
    assert plan(Desired({}), own=removed, kept={REGISTRY}, foreign={REGISTRY: DIRECTORY}).steps == ()


def test_with_replace_what_would_be_hidden_is_hidden_and_said():
    made = plan(REPLACING, later=ObservedRoot(foreign={REGISTRY: DIRECTORY}), chain=(ROOT, LATER))

    assert [step.entry for step in made.steps] == [REGISTRY]
    assert reasons(made) == [(RowState.CURRENT, Reason.EXISTING_FILES_REPLACED)]
    assert f"hides {LATER}/{REGISTRY}, which registry-trust did not write" in made.rows[0].problem.message


def test_with_replace_what_is_read_first_elsewhere_still_fails():
    made = plan(REPLACING, earlier=ObservedRoot(foreign={REGISTRY: DIRECTORY}), chain=(EARLIER, ROOT))

    assert reasons(made) == [(RowState.FAILED, Reason.SHADOWED)]


def test_an_entry_that_somebody_put_in_place_of_ours_is_left_alone_too():
    made = plan(own=own(generation="", intact=False), foreign={REGISTRY: DIRECTORY})

    assert made.steps == ()
    assert reasons(made) == [(RowState.FAILED, Reason.FOREIGN_FILE)]


def test_one_conflict_does_not_stop_the_other_registries():
    other = DesiredRegistry("s.example", ("a",), MATERIAL)
    made = plan(Desired({REGISTRY: ITEM, "s.example": other}), foreign={REGISTRY: DIRECTORY})

    assert [step.entry for step in made.steps] == ["s.example"]


@pytest.mark.parametrize("name", ["r.example:5000", "_default"])
def test_what_containerd_reads_now_under_another_name_is_not_hidden(name):
    made = plan(layout=Layout.CONTAINERD, foreign={name: DIRECTORY})

    assert made.steps == ()
    assert reasons(made) == [(RowState.FAILED, Reason.WOULD_SHADOW)]
    assert f"{ROOT}/{name}" in made.rows[0].problem.message


@pytest.mark.parametrize("name", ["_default", "r.example_5000_"])
def test_the_classic_store_of_docker_knows_no_other_name(name):
    assert len(plan(foreign={name: DIRECTORY}, readers=(Reader.DOCKERD,)).steps) == 1


@pytest.mark.parametrize(("name", "reason"), [("_default", Reason.WOULD_SHADOW), ("r.example_5000_", Reason.SHADOWED)])
@pytest.mark.parametrize("readers", [(Reader.DOCKERD_CONTAINERD,), (Reader.DOCKERD, Reader.DOCKERD_CONTAINERD), ()])
def test_what_dockers_containerd_store_may_read_is_not_hidden_and_a_doubt_is_said(name, reason, readers):
    made = plan(foreign={name: DIRECTORY}, readers=readers)

    assert (made.steps, reasons(made)) == ((), [(RowState.FAILED, reason)])
    assert f"{ROOT}/{name}" in made.rows[0].problem.message
    assert ("which store it uses is not known here" in made.rows[0].problem.message) is (len(readers) != 1)


@pytest.mark.parametrize("foreign", [EMPTY, NOWHERE])
def test_hiding_what_a_runtime_finds_nothing_in_hides_nothing(foreign):
    made = plan(layout=Layout.CONTAINERD, foreign={"_default": foreign})

    assert len(made.steps) == 1


def test_a_default_directory_that_came_after_our_entry_is_no_reason_to_stop_serving_it():
    made = plan(layout=Layout.CONTAINERD, own=own(Layout.CONTAINERD), foreign={"_default": DIRECTORY})

    assert (made.steps, reasons(made)) == ((), [(RowState.CURRENT, "")])


def test_a_default_directory_hides_the_next_root_from_us_only_if_it_hides_anything():
    later = ObservedRoot(foreign={"r.example_5000_": DIRECTORY})
    chain = (ROOT, LATER)
    hides = plan(layout=Layout.CONTAINERD, chain=chain, foreign={"_default": EMPTY}, later=later)
    hides_not = plan(layout=Layout.CONTAINERD, chain=chain, foreign={"_default": NOWHERE}, later=later)

    assert len(hides.steps) == 1, "the empty directory hides the later root already"
    assert reasons(hides_not) == [(RowState.FAILED, Reason.WOULD_SHADOW)]


def test_a_directory_in_a_later_root_of_the_reader_is_not_hidden():
    made = plan(layout=Layout.CONTAINERS, chain=(ROOT, LATER), later=ObservedRoot(foreign={REGISTRY: DIRECTORY}))

    assert reasons(made) == [(RowState.FAILED, Reason.WOULD_SHADOW)]
    assert f"{LATER}/{REGISTRY}" in made.rows[0].problem.message


@pytest.mark.parametrize("foreign", [DIRECTORY, EMPTY])
def test_a_directory_in_an_earlier_root_hides_ours_even_if_it_is_empty(foreign):
    earlier = ObservedRoot(foreign={REGISTRY: foreign})
    made = plan(layout=Layout.CONTAINERS, chain=(EARLIER, ROOT), earlier=earlier, own=own(Layout.CONTAINERS))

    assert reasons(made) == [(RowState.FAILED, Reason.SHADOWED)]
    assert f"{EARLIER}/{REGISTRY}" in made.rows[0].problem.message


def test_a_link_that_leads_nowhere_in_an_earlier_root_hides_nothing():
    made = plan(layout=Layout.CONTAINERS, chain=(EARLIER, ROOT), earlier=ObservedRoot(foreign={REGISTRY: NOWHERE}))

    assert len(made.steps) == 1


def test_our_own_entry_in_a_later_root_is_no_conflict():
    made = plan(
        layout=Layout.CONTAINERS, chain=(ROOT, LATER), later=ObservedRoot(own(Layout.CONTAINERS), {"_x": DIRECTORY})
    )

    assert len(made.steps) == 1


def test_roots_that_another_reader_looks_in_are_no_concern_of_this_target():
    assert len(plan(later=ObservedRoot(foreign={REGISTRY: DIRECTORY})).steps) == 1


# ---- rows of several targets -----------------------------------------------------------------------------------------


def test_of_several_targets_the_worst_row_counts_and_a_standby_target_fails_nothing():
    good, bad = RegistryRow("r", RowState.CURRENT), RegistryRow("r", RowState.FAILED)
    target, standby = Target(ROOT, Layout.DOCKER), Target(LATER, Layout.DOCKER, standby=True)

    assert merge_rows([(target, [good]), (target, [bad])]) == (bad,)
    assert merge_rows([(target, [good]), (standby, [bad])]) == (good,)
