"""Where the objects go: standard output, or a directory in which private keys are 0600 from the first byte."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from registry_trust.cli.importing.objects import Body, Objects
from registry_trust.core.layout import PRIVATE_FILE, PUBLIC_FILE

HEADER = "# Written by `registry-trust import`; the next import replaces this file.\n"
"""A file that begins otherwise is another process's, and is never replaced."""


def text_of(bodies: Iterable[Body]) -> str:
    """Return objects as YAML, with PEM as text."""
    documents = (
        yaml.dump(body, Dumper=_ManifestDumper, sort_keys=False, width=1000, allow_unicode=False) for body in bodies
    )
    return "---\n".join(documents)


def to_output(objects: Objects) -> None:
    """Print every object: sources first, so no trust is ever without its source."""
    text = text_of([*objects.config_maps, *objects.secrets, *objects.trusts])
    click.echo(f"{HEADER.split(';', maxsplit=1)[0]}.\n{text}", nl=False)


def to_directory(objects: Objects, directory: Path) -> list[Path]:
    """Write one file for each kind of object, and return their paths; a kind without objects has none.

    Raises:
        click.ClickException: a file in the place of one of them was not written by an import.
        OSError: it can't be written.
    """
    wanted: tuple[tuple[str, Sequence[Body], int], ...] = (
        ("1-configmaps.yaml", objects.config_maps, PUBLIC_FILE),
        ("2-secrets.yaml", objects.secrets, PRIVATE_FILE),
        ("3-registrytrusts.yaml", objects.trusts, PUBLIC_FILE),
    )
    directory.mkdir(parents=True, exist_ok=True)
    for name, _, _ in wanted:
        _require_ours(directory / name)
    for name, bodies, mode in wanted:
        if bodies:
            _write(directory / name, HEADER + text_of(bodies), mode)
        else:
            (directory / name).unlink(missing_ok=True)
    return [directory / name for name, bodies, _ in wanted if bodies]


def _require_ours(path: Path) -> None:
    if not os.path.lexists(path):
        return
    begins = path.read_bytes()[: len(HEADER)] if path.is_file() and not path.is_symlink() else b""
    if begins != HEADER.encode():
        raise click.ClickException(
            f"{path} is there already, and `registry-trust import` did not write it; move it away, or name another "
            "directory"
        )


def _write(path: Path, text: str, mode: int) -> None:
    """Write a whole file, durably and in one step; it never has a wider mode than the given one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class _ManifestDumper(yaml.SafeDumper):
    """PyYAML's safe dumper, with text of several lines as it is."""


def _text(dumper: yaml.SafeDumper, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_ManifestDumper.add_representer(str, _text)
