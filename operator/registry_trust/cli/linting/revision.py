"""Manifests as they were: at a revision of git, read without touching the work tree or writing anything to disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePath

import click

from registry_trust.cli.documents import Document, UnusableDocument, parse
from registry_trust.cli.manifests import SIZE_LIMIT, STANDARD_INPUT, Manifests, gathered, is_manifest, read
from registry_trust.core.text import escape, quote

_FILES = ("100644", "100755")
"""Modes of plain files in git's trees; links and submodules are not read."""


def earlier_manifests(against: str, files: Sequence[str], namespace: str) -> Manifests:
    """Return the manifests of `--against`: of a file or directory, or `files` as they were at a revision.

    Raises:
        click.BadParameter: it is neither.
        click.ClickException: git can't be run.
    """
    if Path(against).exists():
        return read([against], namespace)
    if _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{against}^{{tree}}") is None:
        raise click.BadParameter(
            f"{quote(against)} is neither a file or directory nor a revision of git in this directory",
            param_hint="--against",
        )
    if STANDARD_INPUT in files:
        raise click.UsageError("--against a revision needs FILES: standard input has no revisions")
    named = {os.path.relpath(os.path.realpath(each)) for each in files}
    listed = _git("ls-tree", "-r", "-z", "--end-of-options", against, "--", *sorted(named)) or b""
    documents: list[Document] = []
    problems: list[str] = []
    for row in listed.decode(errors="surrogateescape").split("\0"):
        described, _, name = row.partition("\t")
        if name and described.startswith(_FILES) and (name in named or is_manifest(PurePath(name))):
            _read_blob(against, described.split()[2], name, documents, problems)
    return gathered(documents, problems, namespace)


def _read_blob(against: str, blob: str, name: str, documents: list[Document], problems: list[str]) -> None:
    called = f"{escape(against)}:{escape(name)}"
    data = _git("cat-file", "blob", blob)
    if data is None or len(data) > SIZE_LIMIT:
        problems.append(f"{called}: can't be read from git, or is larger than {SIZE_LIMIT} bytes")
        return
    try:
        documents += parse(data.decode("utf-8-sig"), called)
    except UnicodeDecodeError:
        problems.append(f"{called}: is not UTF-8 text")
    except UnusableDocument as error:
        problems.append(str(error))


def _git(*arguments: str) -> bytes | None:
    """Return what git prints; nothing if it ends with an error."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise click.ClickException("--against a revision needs git, which is not installed") from None
    return done.stdout if done.returncode == 0 else None
