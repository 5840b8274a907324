"""Manifests: trusts and sources from YAML files, in the shapes that the compiler takes."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from registry_trust.api.parse import check_trust, parse_trust
from registry_trust.compiler.compile import Compiled, TrustInput, compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.sources import SourceKind, SourceObject, Sources
from registry_trust.core.bundle import Bundle
from registry_trust.core.desired import Desired, desired_state
from registry_trust.core.errors import InvalidField
from registry_trust.core.findings import Finding


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the manifests compile to, and what a node with the given labels is to have."""

    compiled: Compiled
    desired: Desired


def load(paths: Sequence[Path], trust_namespace: str, labels: Mapping[str, str]) -> Loaded:
    """Compile the manifests as the operator would, now.

    Raises:
        click.ClickException: a file is not YAML, or holds no RegistryTrust.
    """
    trusts: list[TrustInput] = []
    sources: dict[tuple[SourceKind, str], SourceObject] = {}
    for body in _documents(paths):
        kind = body.get("kind")
        if kind == "RegistryTrust":
            trusts.append(_trust(body))
        elif kind in ("Secret", "ConfigMap"):
            source = _source(body, SourceKind(kind))
            namespace = (body.get("metadata") or {}).get("namespace") or trust_namespace
            if namespace == trust_namespace:
                sources[source.kind, source.name] = source
    if not trusts:
        raise click.ClickException("there is no RegistryTrust in these files")
    compiled = compile_bundle(trusts, Sources(trust_namespace, sources), Bundle(), time.time(), checker=Checker())
    return Loaded(compiled, desired_state(compiled.bundle, labels))


def tell(loaded: Loaded) -> bool:
    """Print what was refused and what deserves a word on standard error; say whether all was accepted."""
    for outcome in loaded.compiled.outcomes.values():
        for finding in outcome.errors:
            click.secho(f"refused: {outcome.name}: {finding}", err=True, fg="red")
        for finding in outcome.warnings:
            click.secho(f"warning: {outcome.name}: {finding}", err=True, fg="yellow")
    for row in loaded.desired.conflicts:
        click.secho(f"refused: {row.trust}: {row.reason}: {row.message}", err=True, fg="red")
    return not loaded.desired.conflicts and all(o.accepted for o in loaded.compiled.outcomes.values())


def _documents(paths: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    for path in paths:
        files = sorted(f for f in path.rglob("*") if f.suffix in (".yaml", ".yml")) if path.is_dir() else [path]
        for file in files:
            try:
                documents = list(yaml.safe_load_all(file.read_text()))
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                raise click.ClickException(f"{file} is not YAML: {type(error).__name__}") from None
            for document in documents:
                if isinstance(document, dict):
                    yield from document.get("items", [document]) if document.get("kind") == "List" else [document]


def _trust(body: Mapping[str, Any]) -> TrustInput:
    metadata = body.get("metadata") or {}
    name = str(metadata.get("name", ""))
    try:
        trust, errors = parse_trust(body), ()
    except InvalidField as error:
        found = check_trust(body) or (error,)
        return TrustInput(name, "", "", 0, None, tuple(Finding(e.reason, e.message, e.field) for e in found))
    return TrustInput(name, "", "", 0, trust, errors)


def _source(body: Mapping[str, Any], kind: SourceKind) -> SourceObject:
    data: dict[str, bytes] = {}
    encoded = body.get("data") if kind is SourceKind.SECRET else body.get("binaryData")
    plain = body.get("stringData") if kind is SourceKind.SECRET else body.get("data")
    for key, value in (encoded or {}).items():
        try:
            data[str(key)] = base64.b64decode(str(value), validate=False)
        except (binascii.Error, ValueError):
            data[str(key)] = b""
    data.update({str(key): str(value).encode() for key, value in (plain or {}).items()})
    name = str((body.get("metadata") or {}).get("name", ""))
    default = "Opaque" if kind is SourceKind.SECRET else ""
    return SourceObject(kind, name, "file", data, str(body.get("type", default)))
