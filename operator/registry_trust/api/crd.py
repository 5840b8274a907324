"""The CustomResourceDefinitions, built from the models: as YAML for the API server and as templates of the chart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from registry_trust.api import node_trust, registry_trust
from registry_trust.api.fields import PATTERN_MEANINGS, APIModel, rule
from registry_trust.api.trust_status import INITIAL_STATUS
from registry_trust.core.names import GROUP, PRODUCT, VERSION

Schema = dict[str, Any]

_UNSTRUCTURAL = frozenset({"title", "default", "propertyNames", "additionalItems", "$defs"})
"""What pydantic says and a structural schema may not (or, for defaults, should not) say.

Defaults are left out on purpose: a default inside an atomic list makes the object differ for ever from the manifest
that a GitOps tool compares it with. `to_core` of the models supplies them, and the descriptions name them. The one
exception is the key of a map list: without a default, server-side apply of anything, a status too, fails on an object
that was stored without the key ("element 0: associative list with keys has an element that omits key field", asked of
1.30.14 and 1.37.2).
"""


_RULES = "x-kubernetes-validations"

_FIRST = {"description": 0, "type": 1, "format": 2}
"""Keywords that stand first in a node; the others follow by name, whatever order pydantic has them in."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`; priority 1 is shown with `-o wide` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    priority: int = 0

    def to_dict(self) -> Schema:
        """Return the entry of `additionalPrinterColumns`."""
        column: Schema = {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            "description": self.description,
        }
        return column | ({"priority": self.priority} if self.priority else {})


@dataclass(frozen=True, slots=True)
class Definition:
    """One kind of the API: its names, model and columns."""

    kind: str
    plural: str
    singular: str
    short_name: str
    model: type[APIModel]
    columns: tuple[Column, ...]
    has_status_subresource: bool
    initial_status: Mapping[str, Any] | None = None
    selectable: tuple[str, ...] = ()
    """Paths of fields that `--field-selector` takes (GA in Kubernetes 1.32; an older API server ignores them)."""

    @property
    def crd_name(self) -> str:
        """Return the name of the CRD, which is also where the API server serves the kind."""
        return f"{self.plural}.{GROUP}"

    @property
    def file_name(self) -> str:
        """Return the name of the generated file."""
        return f"crd-{self.plural}.yaml"


_AGE = Column("Age", ".metadata.creationTimestamp", "Time since the object was created.", type="date")


def _of_ready(part: str) -> str:
    return f'.status.conditions[?(@.type=="Ready")].{part}'


REGISTRY_TRUST = Definition(
    kind=registry_trust.KIND,
    plural=registry_trust.PLURAL,
    singular=registry_trust.SINGULAR,
    short_name=registry_trust.SHORT_NAME,
    model=registry_trust.RegistryTrust,
    columns=(
        Column("Registries", ".status.registriesSummary", "The registries that the trust is for."),
        Column("Ready", _of_ready("status"), "Whether every selected node has the files."),
        Column("Reason", _of_ready("reason"), "Why it is ready, or why it is not."),
        Column("Nodes", ".status.nodesSummary", "Current and selected nodes."),
        Column("Expires", ".status.nextExpiry", "The next time at which a certificate expires."),
        _AGE,
        Column("Message", _of_ready("message"), "What is missing, and what to do.", priority=1),
    ),
    has_status_subresource=True,
    initial_status=INITIAL_STATUS,
)

NODE_TRUST = Definition(
    kind=node_trust.KIND,
    plural=node_trust.PLURAL,
    singular=node_trust.SINGULAR,
    short_name=node_trust.SHORT_NAME,
    model=node_trust.NodeTrust,
    columns=(
        Column("Runtime", ".status.runtime", "The node's container runtime."),
        Column("Targets", ".status.targetsSummary", "The directories that the agent writes to."),
        Column("Registries", ".status.registryCount", "The number of registries on the node.", type="integer"),
        Column("Ready", _of_ready("status"), "Whether all that the node's trusts ask for is in place."),
        Column("State", ".status.state", "The whole node in one word."),
        Column("Serial", ".status.bundle.serial", "The bundle that the node last applied.", type="integer"),
        _AGE,
        Column("Failing", ".status.failingCount", "The number of failing rows.", type="integer", priority=1),
        Column("Agent", ".status.agentVersion", "The version of the node agent.", priority=1),
        Column("Reason", _of_ready("reason"), "Why the node is ready, or why it is not.", priority=1),
        Column("Message", _of_ready("message"), "What the node lacks, and what to do.", priority=1),
    ),
    selectable=(".status.state", ".status.runtime", ".status.agentVersion"),
    # Like a Lease: the whole object is a report, written by one server-side apply of its only writer.
    has_status_subresource=False,
)

KINDS = (REGISTRY_TRUST, NODE_TRUST)


def build_crd(kind: Definition) -> Schema:
    """Return one CustomResourceDefinition as the API server takes it (apiextensions.k8s.io/v1)."""
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [column.to_dict() for column in kind.columns],
        "schema": {"openAPIV3Schema": build_schema(kind)},
    }
    if kind.has_status_subresource:
        version["subresources"] = {"status": {}}
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": [kind.short_name],
                "categories": [PRODUCT],
            },
            "versions": [version],
        },
    }


def build_schema(kind: Definition) -> Schema:
    """Return the structural schema of a kind: no references, nothing nullable, only keywords that Kubernetes knows."""
    generated = kind.model.model_json_schema(by_alias=True)
    schema = _structural(generated, generated.get("$defs", {}))
    properties = {
        # The API server describes these three itself.
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        **schema["properties"],
    }
    if kind.initial_status is not None:
        properties["status"] = {**properties["status"], "default": dict(kind.initial_status)}
    return {**schema, "properties": properties}


def _structural(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return one node of pydantic's JSON schema as a node of a structural schema."""
    node = _resolved(node, definitions)
    if "anyOf" in node:
        # Only `X | None` makes one here, and absent is how Kubernetes says None.
        (present,) = (option for option in node["anyOf"] if option != {"type": "null"})
        return _structural({**present, **{key: value for key, value in node.items() if key != "anyOf"}}, definitions)
    made: Schema = {}
    for key, value in _structural_keywords(node):
        if key == "properties":
            made[key] = {name: _structural(child, definitions) for name, child in value.items()}
        elif key in ("items", "additionalProperties"):
            made[key] = _structural(value, definitions)
        elif key == "description":
            made[key] = _paragraphs(value)
        elif key == "pattern" and value in PATTERN_MEANINGS:
            made[_RULES] = [_pattern_rule(value), *node.get(_RULES, ())]
        elif key not in made:
            made[key] = value
    for key in node.get("x-kubernetes-list-map-keys", ()):
        described = _resolved(node["items"], definitions)["properties"][key]
        if "default" in described:
            made["items"]["properties"][key]["default"] = described["default"]
    return dict(sorted(made.items(), key=lambda item: (_FIRST.get(item[0], len(_FIRST)), item[0])))


def _structural_keywords(node: Schema) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if key not in _UNSTRUCTURAL and not (key == "additionalProperties" and isinstance(value, bool)):
            yield key, value


def _resolved(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return a node with what it refers to in its place."""
    if "$ref" not in node:
        return node
    referred = definitions[node["$ref"].rpartition("/")[2]]
    return {**referred, **{key: value for key, value in node.items() if key != "$ref"}}


def _pattern_rule(pattern: str) -> Schema:
    escaped = pattern.replace("\\", "\\\\")
    return rule(f"self.matches('{escaped}')", PATTERN_MEANINGS[pattern])


def _paragraphs(text: str) -> str:
    """Return a docstring with its lines joined, and its paragraphs still apart."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


class _Dumper(yaml.SafeDumper):
    """Writes long text as folded blocks, which a person can read and a diff can show."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base's parameter; no anchors in any case
        """Say that equal parts are written out each time."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    folded = len(text) > 80 and text.replace("\n", "").isprintable()
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=">" if folded else None)


_Dumper.add_representer(str, _represent_text)


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return one YAML document, deterministic, in the order of the keys as built."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=118, allow_unicode=False)


def render_crds() -> dict[str, str]:
    """Return file name -> YAML of every CRD, as `kubectl apply` takes it."""
    return {kind.file_name: to_yaml(build_crd(kind)) for kind in KINDS}


def render_chart_templates() -> dict[str, str]:
    """Return file name -> template of the chart for every CRD.

    A template and not the chart's `crds/` directory, which Helm never upgrades; `keep` makes `helm uninstall` leave the
    CRD, and with it every trust, where it is.
    """
    return {kind.file_name: _chart_template(kind) for kind in KINDS}


def _chart_template(kind: Definition) -> str:
    crd = build_crd(kind)
    metadata = f'(dict "root" $ "name" "{kind.crd_name}" "annotations" (dict "helm.sh/resource-policy" "keep"))'
    body = escape_template(to_yaml(crd)).replace(
        f"metadata:\n  name: {kind.crd_name}\n",
        f'metadata:\n  {{{{- include "registry-trust.metadata" {metadata} | nindent 2 }}}}\n',
        1,
    )
    return (
        "{{- /* Generated by `make generate` from operator/registry_trust/api; edit the models instead. */}}\n"
        "{{- if .Values.crds.install }}\n" + body + "{{- end }}\n"
    )


def escape_template(text: str) -> str:
    """Return text that a Go template prints as it was: the delimiters become actions that print them."""
    return re.sub(r"\{\{|\}\}", lambda delimiter: f'{{{{ "{delimiter[0]}" }}}}', text)
