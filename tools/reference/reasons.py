"""The index of reasons in docs/reading-status.md: each with where it is seen, its explanation and its messages."""

from __future__ import annotations

import re

from registry_trust.core.explanations import CHAPTERS
from registry_trust.core.explanations.explanation import Place
from tools.reference.parts import table

_SHORT = {
    Place.CONDITION: "condition",
    Place.WARNING: "warning in `Accepted`",
    Place.FAILING_NODE: "`failingNodes`",
    Place.ROW: "`registries` of a node",
    Place.TARGET: "`targets` of a node",
    Place.NOTICE: "`notices` of a node",
    Place.PROBE: "probe",
    Place.EVENT: "Event",
    Place.NODE_EVENT: "Event of a Node",
    Place.LOG: "log",
}


def render() -> str:
    """Return the table, by name."""
    rows = [
        (
            f"[{reason}](#{reason.lower()})",
            ", ".join(_SHORT[place] for place in Place if place in explanation.where),
            _first_sentence(explanation.meaning),
            f"[messages](messages.md#{reason.lower()})",
        )
        for chapter in CHAPTERS.values()
        for reason, explanation in chapter.items()
    ]
    return table(("reason", "seen in", "means", "all its"), sorted(rows, key=lambda row: row[0].lower()))


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[a-z`)\]])\.(?=\s|$)", text, maxsplit=1)[0].rstrip(".") + "."
