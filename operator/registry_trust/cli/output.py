"""Output for programs: one document of JSON or YAML on standard output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click
import yaml


def show(document: Mapping[str, Any], output: str) -> None:
    """Print a document as `json` or `yaml`."""
    text = yaml.safe_dump(document, sort_keys=False) if output == "yaml" else json.dumps(document, indent=2) + "\n"
    click.echo(text, nl=False)
