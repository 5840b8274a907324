"""The one table of explanations: every reason with its meaning, fix and place, in chapters."""

from __future__ import annotations

from collections.abc import Mapping

from registry_trust.core.explanations.conditions import CONDITIONS, EVENTS
from registry_trust.core.explanations.explanation import Explanation, Place
from registry_trust.core.explanations.material import AUTHORITIES, PAIRS, TEXT
from registry_trust.core.explanations.nodes import BUNDLE, NODES
from registry_trust.core.explanations.trusts import SOURCES, TRUSTS
from registry_trust.core.explanations.verdicts import VERDICTS
from registry_trust.core.reasons import Reason

__all__ = ["CHAPTERS", "EXPLANATIONS", "Explanation", "Place"]

CHAPTERS: Mapping[str, Mapping[Reason, Explanation]] = {
    "Conditions of a trust": CONDITIONS,
    "The trust and its registries": TRUSTS,
    "Sources": SOURCES,
    "PEM and certificates": TEXT,
    "CA certificates": AUTHORITIES,
    "Client certificates and keys": PAIRS,
    "Nodes": NODES,
    "The bundle": BUNDLE,
    "Probes": VERDICTS,
    "Events": EVENTS,
}
"""In the order in which the page "Reading status" has them; no reason is in two."""

EXPLANATIONS: Mapping[Reason, Explanation] = {
    reason: explanation for chapter in CHAPTERS.values() for reason, explanation in chapter.items()
}
