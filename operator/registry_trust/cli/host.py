"""`registry-trust apply`: the agent's store once, on a host that is not (yet) in a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from registry_trust.agent.single_pass import Action, PassOutcome, apply_once
from registry_trust.cli.ending import Exit
from registry_trust.cli.manifests import load, tell
from registry_trust.cli.output import show
from registry_trust.core.desired import Desired
from registry_trust.core.layout import Layout

ROOTS = {
    Layout.DOCKER: "/etc/docker/certs.d",
    Layout.CONTAINERS: "/etc/containers/certs.d",
    Layout.CONTAINERD: "/etc/containerd/certs.d",
}
"""Where each layout usually is; the agent finds out what a node's runtime really reads."""


def layout_of(root: Path) -> Layout | None:
    """Return the layout that a root has by the end of its path, as `containerd/certs.d`; None for any other path."""
    return next((layout for layout, usual in ROOTS.items() if root.parts[-2:] == Path(usual).parts[-2:]), None)


def apply_manifests(
    files: Sequence[str],
    root: Path,
    layout: Layout,
    labels: Mapping[str, str],
    namespace: str,
    *,
    prune: bool,
    dry_run: bool,
    output: str,
) -> int:
    """Write what the manifests ask for; nothing is written if anything is refused. Return the exit code."""
    loaded = load(files, namespace, labels)
    tell(loaded)
    if not loaded.accepted:
        click.secho("nothing was written", err=True, fg="red")
        return Exit.FAILED
    outcome = apply_once(str(root), layout, loaded.desired, prune=prune, dry_run=dry_run)
    return _finish(root, layout, outcome, dry_run=dry_run, output=output)


def remove_everything(root: Path, layout: Layout, *, dry_run: bool, output: str) -> int:
    """Remove everything that registry-trust wrote below the root, and nothing else. Return the exit code."""
    outcome = apply_once(str(root), layout, Desired({}), remove=True, dry_run=dry_run)
    return _finish(root, layout, outcome, dry_run=dry_run, output=output)


def _finish(root: Path, layout: Layout, outcome: PassOutcome, *, dry_run: bool, output: str) -> int:
    """Print what came of a pass: the rows on standard output, and what deserves a word on standard error."""
    if output == "text":
        for row in outcome.rows:
            mark = " (dry run)" if dry_run else ""
            click.echo(f"{row.action.value:9} {row.registry}  {row.generation}".rstrip() + mark)
        counts = Counter(row.action.value for row in outcome.rows)
        total = ", ".join(f"{count} {action}" for action, count in counts.items()) or "nothing to do"
        click.echo(f"{root}: {total}{'; dry run, nothing was changed' if dry_run else ''}", err=True)
    else:
        show(_document(root, layout, outcome, dry_run=dry_run), output)
    for row in outcome.rows:
        if row.message and row.action is not Action.FAILED:
            click.secho(f"{row.action.value}: {row.registry}: {row.message}", err=True, fg="yellow")
    for message in outcome.failures:
        click.secho(f"failed: {message}", err=True, fg="red")
    for finding in outcome.findings:
        click.secho(f"left alone: {finding}", err=True, fg="yellow")
    return Exit.FAILED if outcome.failures else Exit.DONE


def _document(root: Path, layout: Layout, outcome: PassOutcome, *, dry_run: bool) -> dict[str, Any]:
    return {
        "root": str(root),
        "layout": layout.value,
        "dryRun": dry_run,
        "registries": [
            {
                "name": row.registry,
                "action": row.action.value,
                "generation": row.generation,
                "reason": "" if row.problem is None else row.problem.reason,
                "message": row.message,
            }
            for row in outcome.rows
        ],
        "failures": list(outcome.failures),
        "leftAlone": [str(finding) for finding in outcome.findings],
    }
