"""Pruning: which steps of a plan take a trust's files away, and what the plan is without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from registry_trust.core.observed import ObservedRoot, OwnEntry
from registry_trust.core.plan import Plan, Record, Remove, Step, Switch

UNNAMED = "a trust that is not recorded"


def spare(plan: Plan, observed: ObservedRoot) -> tuple[Plan, Mapping[str, tuple[str, ...]]]:
    """Leave out every step by which a trust loses the files that it has in the root.

    Args:
        plan: a plan for the root.
        observed: what the root holds.

    Returns:
        The plan without those steps, and by entry the trusts that would have lost their files. Where only the record
        of an entry's trusts would change, or its files come back as they were, its earlier trusts stay on record.
    """
    steps: list[Step] = []
    spared: dict[str, tuple[str, ...]] = {}
    for step in plan.steps:
        own = observed.own.get(step.entry)
        lost = _lost(step, own) if own is not None and own.digest else ()
        if own is None or not lost:
            steps.append(step)
        elif isinstance(step, Remove) or (isinstance(step, Switch) and not step.repair):
            spared[step.entry] = lost
        elif isinstance(step, Switch):
            steps.append(replace(step, desired=replace(step.desired, trusts=_united(own.trusts, step.desired.trusts))))
        elif (trusts := _united(own.trusts, step.trusts)) != own.trusts:
            steps.append(Record(step.entry, trusts))
    return replace(plan, steps=tuple(steps)), spared


def _lost(step: Step, own: OwnEntry) -> tuple[str, ...]:
    if isinstance(step, Remove):
        return own.trusts or (UNNAMED,)
    remaining = step.desired.trusts if isinstance(step, Switch) else step.trusts
    return tuple(trust for trust in own.trusts if trust not in remaining)


def _united(before: tuple[str, ...], now: tuple[str, ...]) -> tuple[str, ...]:
    return (*before, *(trust for trust in now if trust not in before))
