"""Manifests: trusts and sources from files, directories and standard input, in the shapes that the compiler takes."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import click

from registry_trust.api.fields import show
from registry_trust.cli.documents import Document, UnusableDocument, parse
from registry_trust.compiler import objects
from registry_trust.compiler.compile import Compiled, Outcome, compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.kinds import SOURCES, TRUST
from registry_trust.compiler.sources import SourceObject, Sources
from registry_trust.core.bundle import Bundle
from registry_trust.core.desired import Desired, desired_state
from registry_trust.core.text import escape, listing
from registry_trust.core.trust import SourceKind

STANDARD_INPUT = "-"
SUFFIXES = (".yaml", ".yml", ".json")
"""What is read of a directory, as kubectl does."""

SIZE_LIMIT = 8 * 1024 * 1024
"""Bytes of one file; the API server takes objects of 1.5 MB."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the manifests compile to, and what a node with the given labels is to have.

    `unselected` are accepted trusts whose nodeSelector does not match those labels, `notes` what deserves a word about
    the files themselves.
    """

    compiled: Compiled
    desired: Desired
    unselected: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        """Whether nothing at all was refused."""
        return not self.desired.conflicts and all(o.accepted for o in self.compiled.outcomes.values())


@dataclass(frozen=True, slots=True)
class Manifests:
    """What the files hold: objects, trusts and sources; what can't be read or is there twice; and notes on the rest."""

    documents: tuple[Document, ...]
    trusts: tuple[TrustInput, ...]
    sources: Sources
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def read(files: Sequence[str], namespace: str) -> Manifests:
    """Read manifests; what can't be read is a problem of the result, as `FILE:LINE:COLUMN: message`.

    Args:
        files: paths of files and directories, and `-` for standard input.
        namespace: the trust namespace; sources without one are in it.
    """
    return gathered(*documents_in(files), namespace)


def gathered(documents: Sequence[Document], problems: Sequence[str], namespace: str) -> Manifests:
    """Take what matters of documents that were read, with the problems of reading them."""
    reader = _ManifestReader(namespace)
    for document in documents:
        reader.take(document)
    return Manifests(
        tuple(documents),
        tuple(reader.trusts),
        Sources.of(namespace, reader.sources),
        (*problems, *reader.problems),
        tuple(reader.notes),
    )


def load(files: Sequence[str], namespace: str, labels: Mapping[str, str]) -> Loaded:
    """Compile the manifests as the operator would, now.

    Args:
        files: see `read`.
        namespace: see `read`.
        labels: the node's.

    Raises:
        click.ClickException: a file can't be read or is not YAML, an object is not one or is there twice, or there is
            no RegistryTrust.
    """
    manifests = read(files, namespace)
    if manifests.problems:
        raise click.ClickException("\nError: ".join(manifests.problems))
    if not manifests.trusts:
        raise click.ClickException(f"there is no RegistryTrust in these files; they hold: {kinds_in(manifests)}")
    compiled = compile_bundle(manifests.trusts, manifests.sources, Bundle(), time.time(), checker=Checker())
    unselected = tuple(
        outcome.name
        for outcome in compiled.outcomes.values()
        if outcome.content is not None and not outcome.content.selects(labels)
    )
    return Loaded(compiled, desired_state(compiled.bundle, labels), unselected, manifests.notes)


def kinds_in(manifests: Manifests) -> str:
    """Return how many objects of each kind there are, for messages."""
    kinds = Counter(show(document.body["kind"]).strip('"') for document in manifests.documents)
    return listing([f"{count} {kind}" for kind, count in sorted(kinds.items())], 5) or "nothing"


def tell(loaded: Loaded) -> None:
    """Print on standard error what was refused, what deserves a word, and which trusts this node does not get."""
    for note in loaded.notes:
        click.secho(f"note: {note}", err=True)
    for outcome in loaded.compiled.outcomes.values():
        _tell_of(outcome)
    for row in loaded.desired.conflicts:
        click.secho(f"refused: {row.trust}: {row.problem}", err=True, fg="red")
    for name in loaded.unselected:
        click.secho(
            f"not selected: {name}: its nodeSelector does not match the labels of --label; it gives this node nothing",
            err=True,
            fg="yellow",
        )


def _tell_of(outcome: Outcome) -> None:
    name = show(outcome.name).strip('"') if outcome.name else "a RegistryTrust without a name"
    for finding in outcome.errors:
        click.secho(f"refused: {name}: {finding}", err=True, fg="red")
    for finding in outcome.warnings:
        click.secho(f"warning: {name}: {finding}", err=True, fg="yellow")
    if outcome.suspended:
        click.secho(f"suspended: {name}: it changes nothing until spec.suspend is removed", err=True, fg="yellow")


class _ManifestReader:
    """Takes objects one by one, and notes what is wrong with any of them."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._places: dict[tuple[str, str, str], str] = {}
        self._trusts: list[TrustInput] = []
        self.sources: list[SourceObject] = []
        self.problems: list[str] = []
        self.notes: list[str] = []

    @property
    def trusts(self) -> Sequence[TrustInput]:
        """Every RegistryTrust so far."""
        return self._trusts

    def take(self, document: Document) -> None:
        """Take a RegistryTrust, Secret or ConfigMap; other kinds are none of our business."""
        kind, version = document.body["kind"], document.body.get("apiVersion")
        if kind == TRUST.name and (not isinstance(version, str) or version.startswith(f"{TRUST.group}/")):
            trust = objects.read_trust(document.body)
            if self._is_new(document, kind, "", trust.name):
                self._trusts.append(trust)
        elif any(kind == source.name and source.is_of(version) for source in SOURCES):
            self._take_source(document, SourceKind(kind))

    def _take_source(self, document: Document, kind: SourceKind) -> None:
        source, findings = objects.read_source(document.body, kind)
        name = f"{kind.value} {show(source.name)}" if source.name else kind.value
        self.problems += [f"{document.place}: {name}: {finding.field}: {finding.message}" for finding in findings]
        if findings:
            return
        namespace = document.body["metadata"].get("namespace") or self._namespace
        if not self._is_new(document, kind, namespace, source.name):
            return
        if namespace == self._namespace:
            self.sources.append(source)
        else:
            self.notes.append(
                f"{document.place}: {name} is in namespace {show(namespace)} and is not read; only {self._namespace} "
                "is, unless --namespace names another"
            )

    def _is_new(self, document: Document, kind: str, namespace: str, name: str) -> bool:
        """Say whether no other object has this name; without a name the object has other troubles."""
        first = self._places.setdefault((kind, namespace, name), document.place)
        if not name or first == document.place:
            return True
        self.problems.append(f"{document.place}: {kind} {show(name)} is already defined at {first}; remove one of them")
        return False


def documents_in(files: Sequence[str]) -> tuple[list[Document], list[str]]:
    """Read everything; return the objects of all kinds, and what could not be read."""
    documents: list[Document] = []
    problems: list[str] = []
    seen: set[str] = set()
    for name in files:
        for found in _found(name, problems):
            same = os.path.realpath(found) if found != STANDARD_INPUT else found
            if same in seen:
                continue
            seen.add(same)
            try:
                documents += parse(text_of(found), _called(found))
            except UnusableDocument as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(_unreadable(found, error))
    return documents, problems


def _found(name: str, problems: list[str]) -> Iterator[str]:
    """Yield the files that a name on the command line means; hidden ones of a directory are left out."""
    if name == STANDARD_INPUT or not Path(name).is_dir():
        yield name
        return
    for folder, folders, names in os.walk(name, onerror=lambda error: problems.append(_unreadable(name, error))):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for each in sorted(names):
            path = Path(folder, each)
            if is_manifest(path) and (path.is_file() or not path.exists()):
                yield str(path)


def is_manifest(path: PurePath) -> bool:
    """Say whether a file of a directory is read, by its name."""
    return path.suffix in SUFFIXES and not path.name.startswith(".")


def text_of(name: str) -> str:
    """Return the text of a file or of standard input.

    Raises:
        OSError: it can't be read.
        UnusableDocument: it is too large, or not UTF-8.
    """
    shown = _called(name)
    if name == STANDARD_INPUT:
        if sys.stdin is None:
            raise UnusableDocument("standard input is closed; give files, or pipe manifests into this command")
        data = sys.stdin.buffer.read(SIZE_LIMIT + 1)
    else:
        with Path(name).open("rb") as file:
            if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):
                raise UnusableDocument(f"{shown} is a device, not a file of manifests")
            data = file.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise UnusableDocument(f"{shown} is larger than {SIZE_LIMIT} bytes; it is not a file of manifests")
    return decoded(data, shown)


def decoded(data: bytes, shown: str) -> str:
    """Return the text of a file.

    Raises:
        UnusableDocument: it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        advice = "; it is UTF-16, save it as UTF-8" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise UnusableDocument(f"{shown}:{line}: is not UTF-8 text{advice}") from None


def _called(name: str) -> str:
    return escape(name) if name != STANDARD_INPUT else "standard input"


def _unreadable(name: str, error: OSError) -> str:
    path = error.filename if isinstance(error.filename, str) else name
    return f"{escape(path)} can't be read: {error.strerror or type(error).__name__}"
