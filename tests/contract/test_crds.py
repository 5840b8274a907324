"""The CRDs: in step with their models and with what the code writes, and kept to the rules of a good Kubernetes API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from registry_trust.agent.delivery.reporter import node_trust
from registry_trust.api import crd
from registry_trust.api.fields import PATTERN_MEANINGS
from registry_trust.api.node_trust import NodeTrustStatus
from registry_trust.api.trust_status import CertificateStatus
from registry_trust.certificates.facts import CertificateKind
from registry_trust.core.layout import Layout
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, RegistryRow, RowState, TargetRow, TargetState
from registry_trust.core.report_format import decode_report

TEMPLATES = Path(__file__).resolve().parents[2] / "charts" / "registry-trust" / "templates"

Place = tuple[str, ...]
Node = dict[str, Any]

BOOLEANS = {
    ("RegistryTrust", "spec", "suspend"): "Kubernetes' own word and type for it (CronJob, Job); it has no third value",
    ("RegistryTrust", "spec", "rollout", "verify"): "canaries ask or they do not; spec.verification says what it means",
}
"""The booleans of the API, each with the reason why it is no enum."""

DEFAULTED = {("RegistryTrust", "status"), ("RegistryTrust", "spec", "clientCertificates", "[]", "name")}
"""What the API server fills in: a status that nothing takes for done, and the key of a map list."""

FORBIDDEN = {"$ref", "$defs", "title", "anyOf", "oneOf", "allOf", "const", "propertyNames", "nullable", "definitions"}


def nodes(kind: crd.Definition) -> Iterator[tuple[Place, Node]]:
    """Every node of a kind's schema with its place, e.g. (RegistryTrust, spec, registries, [])."""
    return walk((kind.kind,), crd.build_schema(kind))


def walk(place: Place, node: Node) -> Iterator[tuple[Place, Node]]:
    yield place, node
    for name, child in node.get("properties", {}).items():
        if (len(place), name) not in ((1, "metadata"), (1, "apiVersion"), (1, "kind")):
            yield from walk((*place, name), child)
    if "items" in node:
        yield from walk((*place, "[]"), node["items"])
    if "additionalProperties" in node:
        yield from walk((*place, "{}"), node["additionalProperties"])


EVERY_NODE = [pytest.param(place, node, id=".".join(place)) for kind in crd.KINDS for place, node in nodes(kind)]
both_kinds = pytest.mark.parametrize("kind", crd.KINDS, ids=lambda kind: kind.kind)


@pytest.mark.parametrize("name", crd.render_chart_templates().keys())
def test_the_charts_template_is_what_the_models_give(name: str):
    wanted = crd.render_chart_templates()[name]

    assert (TEMPLATES / name).read_text() == wanted, "run `make generate`"


@both_kinds
def test_the_yaml_reads_back_as_the_crd(kind: crd.Definition):
    assert yaml.safe_load(crd.render_crds()[kind.file_name]) == crd.build_crd(kind)


def test_building_again_gives_the_same_bytes():
    assert crd.render_crds() == crd.render_crds()
    assert crd.render_chart_templates() == crd.render_chart_templates()


@both_kinds
def test_the_charts_template_is_the_crd_kept_on_uninstallation_and_labelled(kind: crd.Definition):
    template = crd.render_chart_templates()[kind.file_name]
    keep = '"annotations" (dict "helm.sh/resource-policy" "keep")'
    include = (
        f'  {{{{- include "registry-trust.metadata" (dict "root" $ "name" "{kind.crd_name}" {keep}) | nindent 2 }}}}\n'
    )
    assert include in template
    assert template.splitlines()[1] == "{{- if .Values.crds.install }}"

    plain = re.sub(r"\{\{- (/\*.*?\*/|if [^}]*|end) ?\}\}\n", "", template).replace(include, "  {}\n")
    plain = re.sub(r'\{\{ "(\{\{|\}\})" \}\}', r"\1", plain)
    document = yaml.safe_load(plain)

    assert document == crd.build_crd(kind) | {"metadata": {}}


def test_delimiters_of_templates_in_a_description_are_printed_as_they_are():
    escaped = crd.escape_template("write {{ name }} or {{{x}}}")

    assert escaped == 'write {{ "{{" }} name {{ "}}" }} or {{ "{{" }}{x{{ "}}" }}}'


@pytest.mark.parametrize(("place", "node"), EVERY_NODE)
def test_every_part_of_the_api_keeps_the_rules(place: Place, node: Node):
    where = ".".join(place)
    assert not FORBIDDEN & node.keys(), f"{where}: not structural"
    if node.get("x-kubernetes-int-or-string"):
        assert "x-kubernetes-validations" in node, f"{where}: a number or text needs a rule"
        return
    assert node["type"] in ("object", "array", "string", "integer", "boolean"), where
    match node["type"]:
        case "string":
            assert "maxLength" in node or "enum" in node, f"{where}: a string needs maxLength"
        case "array":
            assert "maxItems" in node, f"{where}: a list needs maxItems"
            assert node.get("x-kubernetes-list-type") in ("set", "map", "atomic"), f"{where}: a list needs its type"
        case "integer":
            assert "minimum" in node, f"{where}: a number needs minimum"
            assert node.get("format") in ("int32", "int64"), f"{where}: a number needs its size"
        case "boolean":
            assert place in BOOLEANS, f"{where}: write an enum, or the reason into BOOLEANS"
        case "object":
            assert "properties" in node or "maxProperties" in node, f"{where}: a map needs maxProperties"
    assert "default" not in node or place in DEFAULTED, f"{where}: see crd.py on defaults"


@pytest.mark.parametrize(("place", "node"), EVERY_NODE)
def test_every_field_is_documented_in_whole_sentences(place: Place, node: Node):
    if place[-1] in ("[]", "{}") and node["type"] != "object":
        return  # a scalar inside of a list is described by the list

    description = node.get("description", "")

    assert description.endswith("."), ".".join(place)
    assert description[0].isupper(), ".".join(place)
    assert description.isascii()
    assert "  " not in description.replace("\n\n", "")


def test_every_boolean_that_has_a_reason_exists():
    assert set(BOOLEANS) == {
        place for kind in crd.KINDS for place, node in nodes(kind) if node.get("type") == "boolean"
    }


@both_kinds
def test_nothing_in_the_status_is_required(kind: crd.Definition):
    schema = crd.build_schema(kind)

    assert "status" not in schema.get("required", [])
    assert "required" not in schema["properties"]["status"]


@both_kinds
def test_no_field_is_a_namespace(kind: crd.Definition):
    assert not [place for place, _ in nodes(kind) if place[-1].lower() == "namespace"]


def test_every_field_of_the_design_is_there():
    places = {place[-1] for place, _ in nodes(crd.REGISTRY_TRUST)}

    assert places >= {
        "existingFilesPolicy",
        "caRetention",
        "retainedUntil",
        "suspend",
        "nextExpiry",
        "revision",
        "failingNodes",
    }
    assert places >= {"nodesSummary", "certificateCount"}


@both_kinds
def test_every_rule_has_a_message_that_says_what_to_do(kind: crd.Definition):
    rules = [rule for _, node in nodes(kind) for rule in node.get("x-kubernetes-validations", [])]

    for rule in rules:
        assert len(rule["message"]) > 20
        assert rule["message"][0].islower(), "it continues `spec.field: Invalid value: `"
        assert "\n" not in rule["message"]
        assert rule.get("reason") != "FieldValueDuplicate", "the server drops the message then"


def test_no_expression_is_shown_to_an_admin_instead_of_words():
    patterns = {node["pattern"] for place, node in nodes(crd.REGISTRY_TRUST) if "pattern" in node and "spec" in place}

    assert not patterns
    assert all(meaning.startswith("is not ") for meaning in PATTERN_MEANINGS.values())


@both_kinds
def test_columns_are_fields_that_exist(kind: crd.Definition):
    places = {".".join(("", *place[1:])) for place, _ in nodes(kind)}

    for column in kind.columns:
        if column.path == ".metadata.creationTimestamp":
            assert column.type == "date"
            continue
        path = re.sub(r"\[\?\(.*?\)\]", ".[]", column.path)
        assert path in places, column.name


@both_kinds
def test_selectable_fields_are_fields_that_exist(kind: crd.Definition):
    places = {".".join(("", *place[1:])) for place, _ in nodes(kind)}

    assert set(kind.selectable) <= places


def test_the_columns_are_those_of_the_documentation():
    def shown(kind: crd.Definition) -> list[str]:
        return [column.name.upper() for column in kind.columns if not column.priority]

    assert shown(crd.REGISTRY_TRUST) == ["REGISTRIES", "READY", "REASON", "NODES", "EXPIRES", "AGE"]
    assert shown(crd.NODE_TRUST) == ["RUNTIME", "TARGETS", "REGISTRIES", "READY", "STATE", "SERIAL", "AGE"]


def test_kinds_are_cluster_scoped_and_only_a_trust_has_a_status_of_its_own():
    trust, node = (crd.build_crd(kind)["spec"] for kind in crd.KINDS)

    assert (trust["scope"], trust["names"]["shortNames"]) == ("Cluster", ["rt"])
    assert (node["scope"], node["names"]["shortNames"]) == ("Cluster", ["nt"])
    assert trust["versions"][0]["subresources"] == {"status": {}}
    assert "subresources" not in node["versions"][0]


def test_a_new_trust_is_not_taken_for_done():
    status = crd.build_schema(crd.REGISTRY_TRUST)["properties"]["status"]

    assert status["default"] == {"observedGeneration": -1}
    assert status["properties"]["observedGeneration"]["minimum"] == -1


FOREIGN = Problem(Reason.FOREIGN_FILE, "somebody else's")
FULL_REPORT = NodeReport(
    agent_version="0.1.0",
    runtime="containerd://2.4.2",
    bundle_uid="5f0c",
    serial=7,
    labels_hash="0123456789abcdef",
    targets=tuple(
        TargetRow(f"/etc/{state.value}", layout.value, state, Problem(Reason.ROOT_NOT_READ, "add config_path"))
        for state in TargetState
        for layout in Layout
    ),
    registries=tuple(
        RegistryRow(f"{state.value.lower()}.example", state, "abc-1", FOREIGN, "harbor") for state in RowState
    ),
    registry_count=4,
    failing=1,
    notices=(Problem(Reason.DRIFT_REPAIRED, "drift repaired 3 times"),),
)
EMPTY_REPORT = NodeReport("", "", "", 0, "", (), (), 0, 0)


@pytest.mark.parametrize("report", [FULL_REPORT, EMPTY_REPORT], ids=["full", "empty"])
def test_what_an_agent_reports_fits_its_crd(report: NodeReport):
    encoded = node_trust("n1", "uid", report)["status"]

    NodeTrustStatus.model_validate(encoded)  # strict: an unknown or misspelt field is refused
    assert decode_report(encoded) == report


def test_every_field_of_a_node_trust_is_one_that_agents_report():
    written = set(node_trust("n1", "uid", FULL_REPORT)["status"])

    assert written == set(crd.build_schema(crd.NODE_TRUST)["properties"]["status"]["properties"])


def test_the_kinds_of_certificates_are_the_ones_that_the_code_knows():
    assert set(get_args(CertificateStatus.model_fields["kind"].annotation)) == {kind.value for kind in CertificateKind}
