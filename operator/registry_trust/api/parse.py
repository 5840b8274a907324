"""From an object as the API or a manifest has it to a checked `Trust`, or to errors that name field, find and cure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from registry_trust.api.fields import PATTERN_MEANINGS, SUBDOMAIN, show
from registry_trust.api.registry_trust import KIND, RegistryTrustSpec
from registry_trust.core.duration import parse_duration
from registry_trust.core.errors import InvalidField, RegistryTrustError
from registry_trust.core.names import API_VERSION
from registry_trust.core.reasons import Reason
from registry_trust.core.text import listing, quote
from registry_trust.core.trust import DEFAULT_CA_RETENTION, ExistingFilesPolicy, Trust, Verification

_NAME_LENGTH = 253

Location = tuple[str | int, ...]

_TOP_LEVEL = ("apiVersion", "kind", "metadata", "spec", "status")
_SECRET_TEXT = "inline"
"""The field whose value is never shown: somebody may have put a private key there."""

_MANY_NAMESPACES = (
    "is not a field: Secrets and ConfigMaps are read from the trust namespace only; put the object there and remove it"
)


def parse_trust(obj: Mapping[str, object]) -> Trust:
    """Return the trust that a `RegistryTrust` object describes, checked by every rule of the CRD.

    The rules are applied here too because the API server may not have: an older CRD, or a manifest that never saw a
    server. In such a manifest the name stands in for the missing UID.

    Raises:
        InvalidField: the first of what `check_trust` finds.
    """
    spec, errors = _read(obj)
    if errors or spec is None:
        raise errors[0]
    metadata = _mapping(obj.get("metadata"))
    name = _text(metadata.get("name"))
    return Trust(
        name=name,
        uid=_text(metadata.get("uid")) or name,
        created=_text(metadata.get("creationTimestamp")),
        generation=generation if isinstance(generation := metadata.get("generation"), int) else 0,
        registries=tuple(spec.registries),
        ca_sources=tuple(source.to_core() for source in spec.ca_certificates or ()),
        client_sources=tuple(pair.to_core() for pair in spec.client_certificates or ()),
        selector=spec.node_selector.to_core() if spec.node_selector is not None else None,
        ca_retention=parse_duration(spec.ca_retention) if spec.ca_retention is not None else DEFAULT_CA_RETENTION,
        existing_files=spec.existing_files_policy or ExistingFilesPolicy.REFUSE,
        suspend=bool(spec.suspend),
        verification=spec.verification or Verification.REPORT,
        rollout=spec.rollout.to_core() if spec.rollout is not None else None,
    )


def check_trust(obj: Mapping[str, object]) -> tuple[RegistryTrustError, ...]:
    """Return everything that is wrong with a `RegistryTrust` object, each with its field; empty if nothing is."""
    return _read(obj)[1]


def _read(obj: Mapping[str, object]) -> tuple[RegistryTrustSpec | None, tuple[RegistryTrustError, ...]]:
    errors: list[RegistryTrustError] = list(_check_envelope(obj))
    raw = obj.get("spec")
    if raw is None:
        return None, (*errors, InvalidField(Reason.INVALID_SPEC, "is missing; add it", field="spec"))
    nulls = [
        InvalidField(Reason.INVALID_SPEC, "is null; give it a value, or remove it", field=path(location))
        for location in _nulls(raw, ("spec",))
    ]
    errors += nulls
    spec = None
    try:
        spec = RegistryTrustSpec.model_validate(dict(raw) if isinstance(raw, Mapping) else raw)
    except ValidationError as error:
        said = {null.problem.field for null in nulls}
        translated = (_translate(detail) for detail in error.errors(include_url=False))
        errors += [error for error in translated if error.problem.field not in said]
    return spec, tuple(errors)


def _check_envelope(obj: Mapping[str, object]) -> Iterator[InvalidField]:
    """Check what stands around the spec. Items of a list may come without apiVersion and kind."""
    for field, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        found = obj.get(field, expected)
        if found != expected:
            yield InvalidField(Reason.INVALID_SPEC, f"{_show(found)} must be {quote(expected)}", field=field)
    for field in obj:
        if field not in _TOP_LEVEL:
            yield InvalidField(Reason.INVALID_SPEC, _unknown(str(field), _TOP_LEVEL), field=path((str(field),)))
    name = _text(_mapping(obj.get("metadata")).get("name"))
    if not name:
        yield InvalidField(Reason.INVALID_SPEC, "is missing; give the trust a name", field="metadata.name")
    elif len(name) > _NAME_LENGTH or not re.fullmatch(SUBDOMAIN, name):
        yield InvalidField(Reason.INVALID_SPEC, f"{show(name)} {PATTERN_MEANINGS[SUBDOMAIN]}", field="metadata.name")


def _nulls(value: object, location: Location) -> Iterator[Location]:
    """Yield every place with a null.

    The server drops nulls, and so an unfinished `nodeSelector:` would select every node.
    """
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from _nulls(child, (*location, str(key)))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _nulls(child, (*location, index))
    elif value is None:
        yield location


def path(location: Iterable[str | int]) -> str:
    """Return a location as Kubernetes writes it: `spec.caCertificates[0].secretKeyRef.name`, `matchLabels[a/b]`."""
    made = ""
    for part in location:
        if isinstance(part, int):
            made += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", part) and not made.endswith(".matchLabels"):
            made += f".{part}" if made else part
        else:
            made += "[" + show(part).strip('"') + "]"
    return made


def _translate(detail: ErrorDetails) -> InvalidField:
    """Return one of pydantic's findings as an error of ours."""
    location: Location = ("spec", *(part for part in detail["loc"] if part != "[key]"))
    context = detail.get("ctx", {})
    if detail["type"] == "refused":
        return InvalidField(Reason(context["reason"]), context["message"], field=path((*location, *context["at"])))
    reason = Reason.INVALID_SELECTOR if "nodeSelector" in location else Reason.INVALID_SPEC
    return InvalidField(reason, _message(detail["type"], location, detail["input"], context), field=path(location))


_SAYINGS = {
    "string_type": "{shown} is {kind}; write a string (in quotes if YAML would read it as something else)",
    "bool_type": "{shown} is {kind}; write true or false",
    "list_type": "{shown} is {kind}; write a list",
    "dict_type": "{shown} is {kind}; write a mapping with fields",
    "model_type": "{shown} is {kind}; write a mapping with fields",
    "model_attributes_type": "{shown} is {kind}; write a mapping with fields",
    "too_long": "has {size} items, but at most {max_length} are allowed; spread them across several trusts (they add "
    "up)",
    "too_short": "is empty; add at least one",
    "string_too_long": "has {size} characters, but at most {max_length} are allowed; {shorter}",
    "string_too_short": "is empty; give it a value, or remove it",
    "string_pattern_mismatch": "{shown} {meaning}",
    "enum": "{shown} is not known; write one of {choices}",
    "missing": "is missing; add it (see `kubectl explain {explained}`)",
}
"""What to say of each kind of pydantic's findings (its own text is made for programmers)."""

_OTHERWISE = "can't be used as written (see `kubectl explain {explained}`)"


def _message(kind: str, location: Location, found: object, context: Mapping[str, Any]) -> str:
    if kind == "extra_forbidden":
        name = str(location[-1])
        return _MANY_NAMESPACES if name == "namespace" else _unknown(name, _fields_at(location[1:-1]))
    return _SAYINGS.get(kind, _OTHERWISE).format(
        shown="the value" if location[-1] == _SECRET_TEXT else _show(found),
        kind=kind_of(found),
        size=len(found) if isinstance(found, str | list | Mapping) else 0,
        max_length=context.get("max_length"),
        shorter="put it into a ConfigMap and name that" if location[-1] == _SECRET_TEXT else "shorten it",
        meaning=PATTERN_MEANINGS.get(context.get("pattern", ""), "does not have the right form"),
        choices=str(context.get("expected", "")).replace("'", ""),
        explained=_explained(location),
    )


def _show(found: object) -> str:
    """Return a scalar as it can stand in a message; the content of anything bigger is not repeated."""
    if isinstance(found, str):
        return show(found)
    if isinstance(found, bool):
        return str(found).lower()
    return str(found) if isinstance(found, int | float) else "the value"


def kind_of(found: object) -> str:
    """Return what a value from JSON or YAML is, for a message: `a list`, `null`."""
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "a boolean"),
        (int, "a number"),
        (float, "a number"),
        (str, "a string"),
        (list, "a list"),
        (Mapping, "a mapping"),
        (type(None), "null"),
    )
    return next((word for kind, word in kinds if isinstance(found, kind)), "something else")


def _unknown(name: str, fields: Iterable[str]) -> str:
    known = {field.lower(): field for field in fields}
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
    cure = f"did you mean {known[near[0]]}?" if near else f"the fields here are {listing(sorted(known.values()), 10)}"
    return f"is not a field of a {KIND}; {cure}"


def _fields_at(location: Iterable[str | int]) -> tuple[str, ...]:
    """Return the names of the fields that may stand at a place in the spec."""
    model: type[BaseModel] = RegistryTrustSpec
    for part in location:
        if isinstance(part, int):
            continue
        annotation = next(field.annotation for field in model.model_fields.values() if field.alias == part)
        model = next(_models_in(annotation))
    return tuple(str(field.alias) for field in model.model_fields.values())


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _explained(location: Location) -> str:
    return ".".join(["rt", *(part for part in location if isinstance(part, str))])


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
