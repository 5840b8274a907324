"""What trusts are told of a full bundle: why a change was not taken, and that there is little room left."""

from __future__ import annotations

import heapq
from dataclasses import replace

from registry_trust.compiler.admission import Weight
from registry_trust.core.bundle import Bundle, TrustState
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason

NEARLY_FULL = 0.8
"""Part of the bundle's limit from which on the largest trusts are told."""

MOST_CROWDING = 10
"""Trusts that are told: a nearly full bundle must not change every status."""


def crowding(bundle: Bundle, size: int, limit: int) -> dict[str, tuple[Problem]]:
    """Return a warning for each of the largest trusts, by name, if a bundle of `size` bytes is nearly full."""
    if size < NEARLY_FULL * limit:
        return {}
    sizes = {
        trust.name: sum(len(bundle.blobs[reference]) for reference in set(trust.content.references()))
        for trust in bundle.trusts
        if trust.content is not None and trust.state is TrustState.ACTIVE
    }
    return {
        name: (
            Problem(
                Reason.BUNDLE_NEARLY_FULL,
                f"the bundle of all trusts is more than {NEARLY_FULL:.0%} full ({limit:,} bytes), and this trust is "
                f"one of the largest, with {sizes[name]:,} bytes of PEM; what trusts ask for beyond their share may "
                "soon be refused. Provide only the CA certificates that its registries need",
                "spec",
            ),
        )
        for name in heapq.nlargest(MOST_CROWDING, sizes, key=lambda name: (sizes[name], name))
    }


def no_room(weight: Weight, share: int, size: int, limit: int) -> Problem:
    """Return the error of a trust whose content does not fit beside that of the others."""
    return Problem(
        Reason.BUNDLE_TOO_LARGE,
        f"this trust's certificates do not fit: they take {weight.total:,} bytes, a trust's share is {share:,}, and "
        f"the bundle holds {size:,} of {limit:,}; use fewer CA certificates, or the same ones in several trusts (each "
        "is stored once)",
        "spec",
    )


def over_its_limit(weight: Weight, trust_limit: int) -> Problem:
    """Return the error of a trust that takes more than one trust may."""
    return Problem(
        Reason.TOO_LARGE,
        f"this trust takes {weight.total:,} bytes of the bundle, including the CA certificates that spec.caRetention "
        f"keeps, but one trust may take at most {trust_limit:,} (operator.trustLimit); use fewer CA certificates",
        "spec",
    )


def still_served(finding: Problem) -> Problem:
    """Return the error of a trust whose earlier content stays."""
    return replace(finding, message=f"{finding.message}; the content before this change is still served")
