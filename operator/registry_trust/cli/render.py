"""`registry-trust render`: the files that a node would get, as a tree or as a document for programs."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from typing import Any

import click

from registry_trust.cli.ending import Exit
from registry_trust.cli.host import ROOTS
from registry_trust.cli.manifests import Loaded, load, tell
from registry_trust.cli.output import show
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


def render_manifests(
    files: Sequence[str], layouts: Sequence[Layout], labels: Mapping[str, str], namespace: str, output: str
) -> int:
    """Render and print; return the exit code."""
    loaded = load(files, namespace, labels)
    if output == "tree":
        for layout in layouts:
            _print_tree(loaded, layout)
    else:
        show(_document(loaded, layouts), output)
    tell(loaded)
    return Exit.DONE if loaded.accepted else Exit.FAILED


def _files(loaded: Loaded, layout: Layout) -> list[tuple[str, str, tuple[File, ...]]]:
    """Return entry, generation and files of every registry."""
    found: list[tuple[str, str, tuple[File, ...]]] = []
    for registry, desired in loaded.desired.registries.items():
        generation = generation_name(content_hash(layout, registry, desired.material), 1)
        found.append((entry_name(layout, registry), generation, render(layout, registry, desired.material, generation)))
    return found


def _print_tree(loaded: Loaded, layout: Layout) -> None:
    click.secho(f"{ROOTS[layout]}/    ({layout.value})", bold=True)
    for entry, generation, files in _files(loaded, layout):
        click.echo(f"  {entry} -> {STORE}/{entry}/{generation}")
        for file in files:
            click.echo(f"    {stat.filemode(stat.S_IFREG | file.mode)} {len(file.data):6}  {file.name}  {_note(file)}")
    click.echo()


def _note(file: File) -> str:
    if file.holds_key():
        return "private key"
    if file.holds_certificates():
        count = file.data.count(b"BEGIN CERTIFICATE")
        return f"{count} certificate{'s' if count != 1 else ''}"
    return "names these files for containerd"


def _document(loaded: Loaded, layouts: Sequence[Layout]) -> dict[str, Any]:
    """Return everything but the bytes of private keys."""
    return {
        "trusts": [
            {
                "name": outcome.name,
                "accepted": outcome.accepted,
                "selected": outcome.name not in loaded.unselected,
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
    if not file.holds_key():
        shown["text"] = file.data.decode()
    return shown
