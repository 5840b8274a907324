"""A run of `registry-trust lint`: reads, asks for the findings and prints them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from registry_trust.cli.ending import Exit
from registry_trust.cli.linting.findings import Finding, Severity, find
from registry_trust.cli.linting.images import images_in
from registry_trust.cli.linting.revision import earlier_manifests
from registry_trust.cli.manifests import SIZE_LIMIT, documents_in, kinds_in, read
from registry_trust.compiler.kinds import TRUST

COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: None}


def lint_manifests(
    files: Sequence[str],
    namespace: str,
    *,
    images: Sequence[str],
    against: str,
    warning: timedelta,
    strict: bool,
    output: str,
) -> int:
    """Print every finding on standard output, a summary on standard error, and return the exit code."""
    manifests = read(files, namespace)
    pods, unread = documents_in(images)
    earlier = earlier_manifests(against, files, namespace) if against else None
    if earlier is not None and earlier.problems:
        note = f"{earlier.problems[0]}; nothing was compared with --against"
        manifests, earlier = replace(manifests, notes=(*manifests.notes, note)), None
    if not manifests.trusts and not manifests.problems:
        raise click.ClickException(f"there is no RegistryTrust in these files; they hold: {kinds_in(manifests)}")
    # Among manifests of everything there are templates and values too: what can't be read there has no image.
    notes = (*manifests.notes, *(f"{each}; it was not checked" for each in unread if each not in manifests.problems))
    manifests = replace(manifests, notes=notes)
    named = frozenset(files)
    found = [_settled(each, named) for each in find(manifests, list(images_in(pods)), earlier, time.time(), warning)]
    counts = Counter(each.severity for each in found)
    if output == "json":
        summary = {f"{severity}s": counts[severity] for severity in Severity}
        click.echo(json.dumps({"findings": [_row(each) for each in found], "summary": summary}, indent=2))
    else:
        for each in found:
            click.secho(str(each), fg=COLOURS[each.severity])
    told = [f"{counts[each]} {each}{'s' if counts[each] != 1 else ''}" for each in Severity if counts[each]]
    checked = f"{len(manifests.trusts)} RegistryTrust{'s' if len(manifests.trusts) != 1 else ''} checked"
    click.echo(f"{checked}: {', '.join(told) or 'nothing to report'}", err=True)
    bad = counts[Severity.ERROR] + (counts[Severity.WARNING] if strict else 0)
    return Exit.FAILED if bad else Exit.DONE


def _settled(finding: Finding, named: frozenset[str]) -> Finding:
    """Return a note instead of an error for a file that has nothing to do with us, such as a chart's template."""
    if finding.severity is Severity.ERROR and not finding.kind and finding.place.file not in named:
        try:
            with Path(finding.place.file).open("rb") as file:
                if TRUST.name.encode() not in file.read(SIZE_LIMIT):
                    return replace(finding, severity=Severity.NOTE, message=f"not checked: {finding.message}")
        except OSError:
            return finding
    return finding


def _row(finding: Finding) -> dict[str, Any]:
    return {
        "severity": finding.severity.value,
        "file": finding.place.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "kind": finding.kind,
        "name": finding.name,
        "reason": finding.reason,
        "field": finding.field,
        "message": finding.message,
    }
