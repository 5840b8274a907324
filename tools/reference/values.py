"""The table of values in the chart's README, from values.yaml and values.schema.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from deploy.generate import CHART
from tools.reference.parts import code, table, with_parts

PAGE = CHART / "README.md"


def leaves(
    values: dict[str, Any], schema: dict[str, Any], above: str = ""
) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield name, default and schema of every value, down to those that the schema describes no further."""
    for key, value in values.items():
        below = schema.get("properties", {}).get(key, {})
        if isinstance(value, dict) and "properties" in below:
            yield from leaves(value, below, f"{above}{key}.")
        else:
            yield f"{above}{key}", value, below


def render(chart: Path = CHART) -> str:
    """Return the chart's README with its table.

    Raises:
        KeyError: a value has no description in the schema.
    """
    schema = json.loads((chart / "values.schema.json").read_text())
    values = yaml.safe_load((chart / "values.yaml").read_text())
    rows = [
        (code(name), code(json.dumps(default)), _described(own, schema))
        for name, default, own in leaves(values, schema)
    ]
    return with_parts(PAGE.read_text(), "values.yaml and values.schema.json", {"values": table(_HEAD, rows)})


_HEAD = ("value", "default", "meaning")


def _described(own: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return a value's description: its own, or that of the definition that it refers to."""
    if "description" not in own and "$ref" in own:
        own = schema["definitions"][own["$ref"].rpartition("/")[2]]
    return str(own["description"])
