"""`registry-trust render`: the files that a node would get, as a tree, as JSON, or written into a folder."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from registry_trust.agent.single_pass import apply_once
from registry_trust.cli.manifests import Loaded, load, tell
from registry_trust.core.layout import (
    STORE,
    File,
    Layout,
    content_hash,
    directory_mode,
    entry_name,
    generation_name,
    render,
)

ROOTS = {
    Layout.DOCKER: "/etc/docker/certs.d",
    Layout.CONTAINERS: "/etc/containers/certs.d",
    Layout.CONTAINERD: "/etc/containerd/certs.d",
}
"""Where each layout usually lives; the agent finds out what a node's runtime really reads."""


def render_manifests(
    paths: Sequence[Path],
    layouts: Sequence[str],
    labels: Mapping[str, str],
    trust_namespace: str,
    directory: Path | None,
    *,
    as_json: bool,
) -> int:
    """Render and print; return the exit code."""
    loaded = load(paths, trust_namespace, labels)
    chosen = [Layout(layout) for layout in layouts]
    if directory is not None:
        for layout in chosen:
            folder = directory / layout.value
            folder.mkdir(parents=True, exist_ok=True)
            apply_once(str(folder), layout, loaded.desired)
    if as_json:
        click.echo(json.dumps(_as_json(loaded, chosen), indent=2))
    else:
        for layout in chosen:
            _print_tree(loaded, layout, str(directory / layout.value) if directory is not None else ROOTS[layout])
    return 0 if tell(loaded) else 1


def _files(loaded: Loaded, layout: Layout) -> list[tuple[str, str, tuple[File, ...]]]:
    """Return entry, generation and files of every registry."""
    found: list[tuple[str, str, tuple[File, ...]]] = []
    for registry, desired in loaded.desired.registries.items():
        generation = generation_name(content_hash(layout, registry, desired.material), 1)
        found.append((entry_name(layout, registry), generation, render(layout, registry, desired.material, generation)))
    return found


def _print_tree(loaded: Loaded, layout: Layout, root: str) -> None:
    click.secho(f"{root}/    ({layout.value})", bold=True)
    for entry, generation, files in _files(loaded, layout):
        click.echo(f"  {entry} -> {STORE}/{entry}/{generation}")
        for file in files:
            click.echo(f"    {stat.filemode(stat.S_IFREG | file.mode)} {len(file.data):6}  {file.name}  {_note(file)}")
    click.echo()


def _note(file: File) -> str:
    if file.name.endswith(".key"):
        return "private key"
    if file.name.endswith((".crt", ".cert")):
        count = file.data.count(b"BEGIN CERTIFICATE")
        return f"{count} certificate{'s' if count != 1 else ''}"
    return "names these files for containerd"


def _as_json(loaded: Loaded, layouts: Sequence[Layout]) -> dict[str, Any]:
    """Return everything but the bytes of private keys."""
    return {
        "trusts": [
            {
                "name": outcome.name,
                "accepted": outcome.accepted,
                "revision": outcome.revision,
                "errors": [str(finding) for finding in outcome.errors],
                "warnings": [str(finding) for finding in outcome.warnings],
            }
            for outcome in loaded.compiled.outcomes.values()
        ],
        "targets": [
            {
                "layout": layout.value,
                "root": ROOTS[layout],
                "entries": [
                    {
                        "name": entry,
                        "generation": generation,
                        "directoryMode": f"{directory_mode(files):04o}",
                        "files": [_file(file) for file in files],
                    }
                    for entry, generation, files in _files(loaded, layout)
                ],
            }
            for layout in layouts
        ],
    }


def _file(file: File) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": file.name, "mode": f"{file.mode:04o}", "bytes": len(file.data)}
    if not file.name.endswith(".key"):
        shown["text"] = file.data.decode()
    return shown
