"""Admission to the bundle: how many bytes a trust takes, its share, and which change still fits beside all others.

Half of the bundle is divided evenly among the trusts: that is a trust's share, and no other trust can take it. A
change is taken where everything would still fit if each trust within its share used all of it. What is served is
never evicted, and what only removes is always taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

TRUST_LIMIT = 320 * 1024
"""Bytes that one trust may take: a whole bundle of public roots fits (Mozilla's is about 220,000 bytes)."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What a trust takes of the bundle.

    Attributes:
        entry: bytes of its entry in the index.
        blobs: bytes of each PEM that it needs, name included, by reference; other trusts may need the same ones.
        replaceable: whether the trust exists, so that its content may be replaced; a removed one's only goes.
    """

    entry: int
    blobs: Mapping[str, int] = field(default_factory=dict)
    replaceable: bool = True

    @property
    def total(self) -> int:
        """Bytes that the trust would take if it were alone."""
        return self.entry + sum(self.blobs.values())

    @property
    def served(self) -> bool:
        """Whether the trust has content that is to be on nodes."""
        return bool(self.blobs)


def even_share(weights: Iterable[Weight], room: int) -> int:
    """Return the bytes of each trust's share: half of the room, divided by the trusts that have content."""
    return room // 2 // max(1, sum(weight.served for weight in weights))


def reserved(weights: Iterable[Weight], share: int) -> int:
    """Return the bytes that are taken or kept free: a whole share for each trust within it, else what is there.

    Never less than what the trusts take together; with a share of 0 it is just that. A replacement within the share
    does not change it.
    """
    whole, entries = 0, 0
    blobs: dict[str, int] = {}
    for weight in weights:
        if _within(weight, share):
            whole += share
        else:
            entries += weight.entry
            blobs.update(weight.blobs)
    return whole + entries + sum(blobs.values())


def fair_share(weights: Iterable[Weight], room: int) -> int:
    """Return the largest share, at most the even one, that every trust within it can use at the same time.

    It is less than the even one only after trusts went that shared their certificates with others, or after a limit
    was lowered.
    """
    everyone = list(weights)
    share = even_share(everyone, room)
    totals = sorted((weight.total for weight in everyone if _within(weight, share)), reverse=True)
    while reserved(everyone, share) > room and totals:
        # Below the largest trust within it, that one no longer counts: the next candidate leaves it out.
        share = min(share, totals.pop(0)) - 1
    return max(0, share)


def fits(name: str, after: Weight, weights: Mapping[str, Weight], share: int, room: int) -> bool:
    """Say whether one trust's new content may be taken.

    Args:
        name: the trust.
        after: what it would take.
        weights: what every trust takes now, by name.
        share: the fair share.
        room: bytes that all trusts may take together.
    """
    before = weights.get(name, Weight(0))
    if _within(before, share) and _within(after, share):
        return True
    then = {**weights, name: after}.values()
    if only_removes(before, after):
        return after.entry <= before.entry or reserved(then, 0) <= room
    return reserved(then, min(share, even_share(then, room))) <= room


def only_removes(before: Weight, after: Weight) -> bool:
    """Say whether a change brings no PEM that the trust did not have."""
    return before.served and after.blobs.keys() <= before.blobs.keys()


def _within(weight: Weight, share: int) -> bool:
    return weight.served and weight.replaceable and weight.total <= share
