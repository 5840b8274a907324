"""Objects as the API server or a manifest has them, read into what the compiler takes: one reader for both."""

from __future__ import annotations

import base64
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry_trust.api.fields import SUBDOMAIN
from registry_trust.api.parse import check_trust, kind_of, parse_trust, path
from registry_trust.compiler.inputs import TrustInput
from registry_trust.compiler.node_standing import FleetNode
from registry_trust.compiler.sources import SourceObject
from registry_trust.core.errors import InvalidField
from registry_trust.core.names import PROMOTE_ANNOTATION, STARTUP_TAINT
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport
from registry_trust.core.report_format import decode_report
from registry_trust.core.trust import SourceKind

Object = Mapping[str, Any]

_FIELDS = {
    SourceKind.SECRET: ("apiVersion", "kind", "metadata", "type", "data", "stringData", "immutable"),
    SourceKind.CONFIG_MAP: ("apiVersion", "kind", "metadata", "data", "binaryData", "immutable"),
    SourceKind.CLUSTER_TRUST_BUNDLE: ("apiVersion", "kind", "metadata", "spec"),
}
_DATA_IS_IN = {
    SourceKind.SECRET: "stringData or data",
    SourceKind.CONFIG_MAP: "data or binaryData",
    SourceKind.CLUSTER_TRUST_BUNDLE: "spec.trustBundle",
}
_ENCODED = {SourceKind.SECRET: "data", SourceKind.CONFIG_MAP: "binaryData"}
_PLAIN = {SourceKind.SECRET: "stringData", SourceKind.CONFIG_MAP: "data"}

_BASE64 = re.compile("(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
"""Stricter than Python's own check, which takes more padding than there should be."""


def read_trust(body: Object) -> TrustInput:
    """Parse a `RegistryTrust`; one that can't be parsed is an input with everything that is wrong with it."""
    metadata = _mapping(body.get("metadata"))
    errors: tuple[Problem, ...] = ()
    trust = None
    try:
        trust = parse_trust(body)
    except InvalidField as error:
        everything = check_trust(body) or (error,)
        errors = tuple(each.problem for each in everything)
    generation = metadata.get("generation")
    return TrustInput(
        name=_text(metadata.get("name")),
        uid=_text(metadata.get("uid")),
        created=_text(metadata.get("creationTimestamp")),
        generation=generation if isinstance(generation, int) else 0,
        trust=trust,
        errors=errors,
        status=dict(_mapping(body.get("status"))),
        promoted=_text(_mapping(metadata.get("annotations")).get(PROMOTE_ANNOTATION)),
    )


def read_source(body: Object, kind: SourceKind) -> tuple[SourceObject, tuple[Problem, ...]]:
    """Take the data of a Secret, ConfigMap or ClusterTrustBundle, and say what an API server would not have stored.

    Returns:
        The object without the values that can't be read, and a finding for each of those, with its field's path. An
        object from an API server has none.
    """
    metadata = _mapping(body.get("metadata"))
    findings = [*_unknown_fields(body, kind), *_check_metadata(body.get("metadata"), kind)]
    version = f"{_text(metadata.get('uid'))}/{_text(metadata.get('resourceVersion'))}"
    if kind is SourceKind.CLUSTER_TRUST_BUNDLE:
        spec = _mapping(body.get("spec"))
        if not isinstance(spec.get("trustBundle"), str):
            findings.append(_invalid("is missing, or not text; write the certificates as PEM", "spec.trustBundle"))
        found = {"": _text(spec.get("trustBundle")).encode(errors="replace")}
        labels = {str(key): str(value) for key, value in _mapping(metadata.get("labels")).items()}
        signer = _text(spec.get("signerName"))
        return SourceObject(kind, _text(metadata.get("name")), version, found, "", signer, labels), tuple(findings)
    data: dict[str, bytes] = {}
    for field, read in ((_ENCODED[kind], _decoded), (_PLAIN[kind], str.encode)):
        values = body.get(field)
        if values is not None and not isinstance(values, Mapping):
            findings.append(_invalid(f"is {kind_of(values)}; write a mapping of keys and their text", field))
        for key, value in _mapping(values).items():
            if value is None:
                data[str(key)] = b""  # As the API server stores it.
                continue
            at = path((field, str(key)))
            if not isinstance(value, str):
                findings.append(_invalid(f"is {kind_of(value)}; write text (in quotes if YAML reads a number)", at))
                continue
            try:
                data[str(key)] = read(value)
            except ValueError:
                findings.append(_invalid(_not_base64(value, kind), at))
    secret_type = body.get("type")
    if secret_type is not None and not isinstance(secret_type, str):
        findings.append(_invalid(f"is {kind_of(secret_type)}; write a string, such as Opaque", "type"))
    source = SourceObject(kind, _text(metadata.get("name")), version, data, _text(secret_type))
    return source, tuple(findings)


@dataclass(frozen=True, slots=True)
class OwnedReport:
    """A node's report, and the UID of the Node that owns it: one of a Node that is gone says nothing of the new one."""

    node_uid: str
    report: NodeReport


def read_report(body: Object) -> OwnedReport | None:
    """Take a node's report; one that can't be understood is none."""
    owners = body["metadata"].get("ownerReferences") or ()
    uid = next((str(owner.get("uid", "")) for owner in owners if owner.get("kind") == "Node"), "")
    try:
        return OwnedReport(uid, decode_report(body.get("status") or {}))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def read_node(body: Object) -> FleetNode:
    """Take what matters of a Node."""
    metadata = body["metadata"]
    conditions = (body.get("status") or {}).get("conditions") or ()
    # A Node without a Ready condition was created a moment ago: its kubelet has not said yet.
    ready = next((c.get("status") for c in conditions if c.get("type") == "Ready"), "True")
    taints = (body.get("spec") or {}).get("taints") or ()
    return FleetNode(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        labels=dict(metadata.get("labels") or {}),
        ready=ready == "True",
        startup_taints=tuple(place for place, taint in enumerate(taints) if taint.get("key") == STARTUP_TAINT),
    )


def _decoded(text: str) -> bytes:
    """Decode as Go's encoding/json does for bytes: line ends are skipped, and nothing else is forgiven.

    Raises:
        ValueError: it is not base64.
    """
    text = re.sub("[\r\n]", "", text)
    if not _BASE64.fullmatch(text):
        raise ValueError("not base64")
    return base64.b64decode(text)


def _not_base64(value: str, kind: SourceKind) -> str:
    if "-----BEGIN" in value:
        return f"is not base64 but PEM text; move it to {_PLAIN[kind]}, which takes text as it is"
    return f"is not base64; encode the file (base64 -w0 FILE), or put its text under {_PLAIN[kind]}"


def _check_metadata(metadata: object, kind: SourceKind) -> Iterator[Problem]:
    if metadata is not None and not isinstance(metadata, Mapping):
        yield _invalid(f"is {kind_of(metadata)}; write a mapping with a name", "metadata")
        return
    name = _mapping(metadata).get("name")
    if name is None or name == "":
        yield _invalid("is missing; give the object a name", "metadata.name")
    elif not isinstance(name, str):
        yield _invalid(f"is {kind_of(name)}; write a string (in quotes if YAML reads a number)", "metadata.name")
    elif not re.fullmatch(SUBDOMAIN, name.rpartition(":")[2] if kind is SourceKind.CLUSTER_TRUST_BUNDLE else name):
        yield _invalid("is not an object's name: lower case letters, digits, '-' and '.'", "metadata.name")
    namespace = _mapping(metadata).get("namespace")
    if namespace is not None and not isinstance(namespace, str):
        yield _invalid(f"is {kind_of(namespace)}; write a string", "metadata.namespace")


def _unknown_fields(body: Object, kind: SourceKind) -> Iterator[Problem]:
    known = {field.lower(): field for field in _FIELDS[kind]}
    for field in body:
        if field not in _FIELDS[kind]:
            near = difflib.get_close_matches(str(field).lower(), known, n=1, cutoff=0.7)
            meant = f"did you mean {known[near[0]]}?" if near else f"the data is in {_DATA_IS_IN[kind]}"
            yield _invalid(f"is not a field of a {kind}; {meant}", path((str(field),)))


def _invalid(message: str, field: str) -> Problem:
    return Problem(Reason.INVALID_SPEC, message, field)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
