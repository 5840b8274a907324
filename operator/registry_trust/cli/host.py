"""`registry-trust apply`: the agent's store once, on a host that is in no cluster or not yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from registry_trust.agent.single_pass import PassOutcome, apply_once
from registry_trust.cli.manifests import load, tell
from registry_trust.core.desired import Desired
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import Layout


def apply_manifests(
    paths: Sequence[Path], root: Path, layout: str, labels: Mapping[str, str], trust_namespace: str
) -> int:
    """Write what the manifests ask for; nothing is written where a trust is refused. Return the exit code."""
    loaded = load(paths, trust_namespace, labels)
    if not tell(loaded):
        click.secho("nothing was written", err=True, fg="red")
        return 1
    return _run(root, Layout(layout), loaded.desired, remove=False)


def remove_everything(root: Path, layout: str) -> int:
    """Remove everything that registry-trust wrote below the root, and nothing else. Return the exit code."""
    return _run(root, Layout(layout), Desired({}), remove=True)


def _run(root: Path, layout: Layout, desired: Desired, *, remove: bool) -> int:
    try:
        outcome = apply_once(str(root), layout, desired, remove=remove)
    except StoreFailure as error:
        click.secho(f"failed: {error}", err=True, fg="red")
        return 1
    _print(root, outcome)
    return 1 if outcome.failures else 0


def _print(root: Path, outcome: PassOutcome) -> None:
    for row in outcome.rows:
        click.echo(f"{row.state.value:8} {row.registry}  {row.generation}".rstrip())
    click.echo(f"{root}: {len(outcome.outcomes)} changes")
    for message in outcome.failures:
        click.secho(f"failed: {message}", err=True, fg="red")
    for finding in outcome.findings:
        click.secho(f"left alone: {finding}", err=True, fg="yellow")
