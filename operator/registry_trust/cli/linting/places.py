"""Places: where in a text a field of an object is."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from registry_trust.api.parse import path
from registry_trust.cli.documents import Document, children

Location = tuple[str | int, ...]

_AT = re.compile(r"(.*?)(?::(\d+))?(?::(\d+))?(?: items\[\d+\])*", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class ManifestPlace:
    """A place in a file, as editors count: from line 1 and column 1; 0 where only the file is known."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)


def place_of(document: Document, field: str = "") -> ManifestPlace:
    """Return where a field is, or the deepest part of its path that is there; without a field, where the object is.

    Args:
        document: the object.
        field: a path as messages have it, such as `spec.caCertificates[0].secretKeyRef.name`.
    """
    node, found = document.node, Location()
    while True:
        inside: dict[Location, yaml.Node] = {(*found, part): child for part, child in children(node).items()}
        on_the_way = [location for location in inside if _leads_to(path(location), field)]
        if not on_the_way:
            break
        found = max(on_the_way, key=lambda location: len(path(location)))
        node = inside[found]
    match = _AT.fullmatch(document.place)
    return ManifestPlace(match[1] if match else document.place, *_mark(node))


def place_in(text: str) -> ManifestPlace:
    """Return the place that `FILE[:LINE[:COLUMN]]` spells."""
    match = _AT.fullmatch(text)
    return ManifestPlace(match[1], int(match[2] or 0), int(match[3] or 0)) if match else ManifestPlace(text)


def _leads_to(at: str, field: str) -> bool:
    return field == at or field.startswith((f"{at}.", f"{at}["))


def _mark(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
