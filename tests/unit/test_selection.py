"""Selection: which nodes a selector chooses, and whether two selectors can choose one node together."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_trust.core.selection import Operator, Requirement, Selector, may_overlap

KEYS, VALUES = ("zone", "pool"), ("a", "b", "c", "")
MORE = (*VALUES, "a value that no selector names")
NODES = [
    {key: value for key, value in zip(KEYS, chosen, strict=True) if value is not None}
    for chosen in itertools.product((None, *MORE), repeat=len(KEYS))
]
"""Every node that could matter: each label absent, with a value that selectors name, or with another one."""

listed = st.lists(st.sampled_from(VALUES), min_size=1, max_size=3, unique=True).map(lambda v: tuple(sorted(v)))
requirements = st.one_of(
    st.builds(Requirement, st.sampled_from(KEYS), st.sampled_from([Operator.IN, Operator.NOT_IN]), listed),
    st.builds(Requirement, st.sampled_from(KEYS), st.sampled_from([Operator.EXISTS, Operator.DOES_NOT_EXIST])),
)
selectors = st.builds(
    Selector,
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2).map(lambda d: tuple(sorted(d.items()))),
    st.lists(requirements, max_size=3).map(tuple),
)


@settings(max_examples=500, deadline=None, database=None)
@given(one=selectors, other=selectors)
def test_two_selectors_overlap_exactly_where_a_node_exists_that_both_select(one: Selector, other: Selector) -> None:
    assert may_overlap(one, other) is any(one.selects(labels) and other.selects(labels) for labels in NODES)


def test_no_selector_overlaps_with_every_selector() -> None:
    assert may_overlap(None, Selector((("zone", "a"),)))
    assert may_overlap(Selector((("zone", "a"),)), None)


@pytest.mark.parametrize(
    ("requirement", "selected"),
    [
        (Requirement("zone", Operator.IN, ("a", "b")), [True, False, False]),
        (Requirement("zone", Operator.NOT_IN, ("a", "b")), [False, True, True]),
        (Requirement("zone", Operator.EXISTS), [True, True, False]),
        (Requirement("zone", Operator.DOES_NOT_EXIST), [False, False, True]),
    ],
)
def test_a_requirement_holds_as_kubernetes_has_it(requirement: Requirement, selected: list[bool]) -> None:
    nodes: tuple[dict[str, str], ...] = ({"zone": "a"}, {"zone": "c"}, {})

    assert [Selector((), (requirement,)).selects(labels) for labels in nodes] == selected
