"""`registry-trust import`: reads what was named, checks it as the operator does, and writes the objects."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import yaml

from registry_trust.api.fields import show
from registry_trust.cli.documents import Document, UnusableDocument, objects_in, parse, values_in
from registry_trust.cli.ending import Exit
from registry_trust.cli.importing import certs_d, config_map, hosts_toml, registries_yaml, running_registry, written
from registry_trust.cli.importing.checked import Imported, check
from registry_trust.cli.importing.found import Gravity, Notice, Reading, lost
from registry_trust.cli.importing.node_files import NodeFiles, Unreadable
from registry_trust.cli.importing.objects import Objects, objects_of
from registry_trust.cli.manifests import STANDARD_INPUT, decoded, gathered, text_of
from registry_trust.compiler.compile import Outcome, compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.core.bundle import Bundle
from registry_trust.core.errors import InvalidField
from registry_trust.core.layout import HOSTS_FILE, Layout
from registry_trust.core.reasons import Reason
from registry_trust.core.text import escape
from registry_trust.core.trust import ExistingFilesPolicy, SourceKind

_COLOURS = {Gravity.LOST: "red", Gravity.SETTING: "yellow", Gravity.WARNING: "yellow", Gravity.NOTE: None}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for.

    `paths` are those of the node whose `/` is at `node_root`; `fingerprint` is 64 hex digits, or empty.
    """

    paths: tuple[str, ...]
    node_root: str
    layout: Layout | None
    registry: str
    fingerprint: str
    namespace: str
    policy: ExistingFilesPolicy | None


def run_import(asked: Asked, directory: Path | None, *, with_private_keys: bool) -> int:
    """Import, write and tell; return the exit code."""
    reading = read(asked)
    materials, notices = check(reading.found, datetime.now(UTC))
    objects, refused = judged(objects_of(materials, asked.namespace, asked.policy), asked.namespace)
    everything = [*reading.notices, *notices, *refused, *_kept_as_they_are(materials, asked.policy)]
    _tell(everything)
    if not objects.trusts:
        raise click.ClickException("nothing was found to import; nothing was written")
    if directory is not None:
        for path in written.to_directory(objects, directory):
            click.echo(f"wrote {path}", err=True)
    elif objects.secrets and not with_private_keys:
        raise click.ClickException(
            f"{_count(len(objects.secrets), 'private key')} would be printed, so nothing was. Write files that only "
            "you can read with --output-directory DIR, or print everything with --with-private-keys"
        )
    else:
        written.to_output(objects)
    names = sum(len(body["spec"]["registries"]) for body in objects.trusts)
    counts = ((len(objects.trusts), "RegistryTrust"), (len(objects.config_maps), "ConfigMap"))
    made = [_count(*each) for each in (*counts, (len(objects.secrets), "Secret"))]
    click.echo(f"{_count(names, 'registry', 'registries')}: {', '.join(made)}", err=True)
    return Exit.FAILED if any(notice.weight is Gravity.LOST for notice in everything) else Exit.DONE


def read(asked: Asked) -> Reading:
    """Return what all sources give together."""
    files = NodeFiles(asked.node_root)
    readings = [_path(path, files, asked.layout) for path in asked.paths]
    if asked.registry:
        readings.append(running_registry.read(asked.registry, asked.fingerprint))
    return Reading.joined(readings)


def judged(objects: Objects, namespace: str) -> tuple[Objects, tuple[Notice, ...]]:
    """Return the objects that the operator would accept, and what it would say that nobody has said yet."""
    every = [*objects.config_maps, *objects.secrets, *objects.trusts]
    made = gathered(parse(written.text_of(every), "import"), (), namespace)
    compiled = compile_bundle(made.trusts, made.sources, Bundle(), time.time(), checker=Checker())
    refused = [outcome.name for outcome in compiled.outcomes.values() if not outcome.accepted]
    notices = [notice for outcome in compiled.outcomes.values() for notice in _said_of(outcome)]
    return objects.without(refused), tuple(notices)


def _said_of(outcome: Outcome) -> Iterator[Notice]:
    yield from (Notice(Gravity.LOST, f"RegistryTrust {outcome.name}: {problem}") for problem in outcome.errors)
    for problem in outcome.warnings:
        # The rest was said of each file that was read.
        if problem.field.startswith("spec.registries") or problem.reason is Reason.UNREACHABLE_CLIENT_CERTIFICATE:
            yield Notice(Gravity.WARNING, f"RegistryTrust {outcome.name}: {problem}")


def _path(path: str, files: NodeFiles, layout: Layout | None) -> Reading:
    if path == STANDARD_INPUT:
        return _documents(path, "standard input", files)
    path = posixpath.normpath(path)
    if files.is_directory(path):
        return certs_d.read(path, files, layout)
    directory, name = posixpath.split(path)
    if name != HOSTS_FILE:
        return _documents(path, escape(path), files)
    try:
        registry = certs_d.registry_of(posixpath.basename(directory), Layout.CONTAINERD)
        return hosts_toml.read(files.read(path, hosts_toml.LIMIT), registry, directory, files)
    except InvalidField as error:
        return lost(f"{escape(path)}: the directory that it is in names its registry: {error.problem}")
    except Unreadable as error:
        return lost(str(error))


def _documents(path: str, shown: str, files: NodeFiles) -> Reading:
    try:
        text = text_of(path) if path == STANDARD_INPUT else decoded(files.read(path), shown)
        if text.lstrip().startswith("-----BEGIN "):
            return lost(
                f"{shown} is PEM, and does not say for which registry; import the directory that is named after it"
            )
        values = values_in(text, shown)
        return Reading.joined(
            _document(value, node, place, files) for place, node, value in values if value is not None
        )
    except (Unreadable, UnusableDocument) as error:
        return lost(str(error))


def _document(value: object, node: yaml.Node, place: str, files: NodeFiles) -> Reading:
    if isinstance(value, Mapping) and "kind" not in value and any(key in value for key in registries_yaml.KEYS):
        return registries_yaml.read(value, place, files)
    if not isinstance(value, Mapping) or "kind" not in value:
        return lost(f"{place}: is neither a registries.yaml (mirrors, configs) nor a ConfigMap (kind)")
    return Reading.joined(_object(document) for document in objects_in(value, node, place))


def _object(document: Document) -> Reading:
    if document.body["kind"] == SourceKind.CONFIG_MAP:
        return config_map.read(document)
    return lost(
        f"{document.place}: is a {show(str(document.body['kind']))}; only ConfigMaps are imported from manifests"
    )


def _kept_as_they_are(materials: Sequence[Imported], policy: ExistingFilesPolicy | None) -> Iterator[Notice]:
    kept = [each.registry for each in materials if each.has_settings]
    if kept and policy is not None:
        gist = "its trust has no existingFilesPolicy, because the settings that are not carried would go with the files"
        yield from (Notice(Gravity.WARNING, f"{registry}: {gist}") for registry in kept)


def _tell(notices: Sequence[Notice]) -> None:
    order = tuple(_COLOURS)
    for notice in sorted(notices, key=lambda each: order.index(each.weight)):
        click.secho(f"{notice.weight.value}: {notice.text}", err=True, fg=_COLOURS[notice.weight])


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or f'{one}s'}"
