"""Objects: one reader for what the API server sends and what a manifest has; wrong shapes are findings."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from registry_trust.compiler.objects import read_source, read_trust
from registry_trust.core.trust import SourceKind

SECRET, CONFIG_MAP = SourceKind.SECRET, SourceKind.CONFIG_MAP
BUNDLE = SourceKind.CLUSTER_TRUST_BUNDLE
NAMED = {"metadata": {"name": "x"}}

WRONG: list[tuple[SourceKind, dict[str, Any], str]] = [
    (SECRET, {}, "metadata.name: is missing"),
    (SECRET, {"metadata": "text"}, "metadata: is a string; write a mapping with a name"),
    (SECRET, {"metadata": {"name": 5}}, "metadata.name: is a number; write a string"),
    (SECRET, {"metadata": {"name": "A B"}}, "metadata.name: is not an object's name"),
    (SECRET, {"metadata": {"name": "x", "namespace": 5}}, "metadata.namespace: is a number"),
    (SECRET, {**NAMED, "data": []}, "data: is a list; write a mapping of keys and their text"),
    (SECRET, {**NAMED, "stringData": "text"}, "stringData: is a string; write a mapping"),
    (SECRET, {**NAMED, "data": {"a": 5}}, "data.a: is a number; write text"),
    (SECRET, {**NAMED, "data": {"a": "%%"}}, "data.a: is not base64; encode the file (base64 -w0 FILE)"),
    (SECRET, {**NAMED, "data": {"a": "QQ"}}, "data.a: is not base64"),
    (SECRET, {**NAMED, "data": {"a": "QUFB===="}}, "data.a: is not base64"),
    (SECRET, {**NAMED, "data": {"a": "Q Q=="}}, "data.a: is not base64"),
    (SECRET, {**NAMED, "data": {"ca.crt": "-----BEGIN X"}}, "data[ca.crt]: is not base64 but PEM text; move it to str"),
    (SECRET, {**NAMED, "stringdata": {}}, "stringdata: is not a field of a Secret; did you mean stringData?"),
    (SECRET, {**NAMED, "type": []}, "type: is a list; write a string, such as Opaque"),
    (CONFIG_MAP, {**NAMED, "data": {"a": ["x"]}}, "data.a: is a list; write text"),
    (CONFIG_MAP, {**NAMED, "data": "text"}, "data: is a string"),
    (
        CONFIG_MAP,
        {**NAMED, "binaryData": {"a": "-----BEGIN X"}},
        "binaryData.a: is not base64 but PEM text; move it to",
    ),
    (CONFIG_MAP, {**NAMED, "spec": {}}, "spec: is not a field of a ConfigMap; the data is in data or binaryData"),
    (SECRET, {**NAMED, "spec": {}}, "spec: is not a field of a Secret; the data is in stringData or data"),
    (BUNDLE, {**NAMED, "data": {}}, "data: is not a field of a ClusterTrustBundle; the data is in spec.trustBundle"),
    (BUNDLE, {**NAMED, "spec": {"trustBundle": ["x"]}}, "spec.trustBundle: is missing, or not text; write"),
    (BUNDLE, {"metadata": {"name": "a:b:C"}, "spec": {"trustBundle": ""}}, "metadata.name: is not an object's name"),
]


@pytest.mark.parametrize(("kind", "body", "said"), WRONG, ids=[said for _, _, said in WRONG])
def test_what_an_api_server_would_not_have_stored_is_a_finding(kind, body, said):
    _, findings = read_source(body, kind)

    assert any(f"{finding.field}: {finding.message}".startswith(said) for finding in findings), findings


def test_the_data_of_both_kinds_is_read_text_and_encoded():
    encoded = base64.encodebytes(b"\xff" * 80).decode()  # with line ends, as `base64` without -w0 writes it
    body = {**NAMED, "type": "Opaque", "data": {"a": encoded, "b": None, "c": "QR=="}, "stringData": {"d": "text"}}
    secret, findings = read_source(body, SECRET)
    assert (secret.data, findings) == ({"a": b"\xff" * 80, "b": b"", "c": b"A", "d": b"text"}, ())

    config_map, findings = read_source({**NAMED, "data": {"a": "text"}, "binaryData": {"b": "QQ=="}}, CONFIG_MAP)
    assert (config_map.data, findings) == ({"a": b"text", "b": b"A"}, ())


def test_a_cluster_trust_bundle_is_read_with_its_signer_and_its_labels():
    metadata = {"name": "corp.example:x:1", "labels": {"stage": "live"}, "uid": "u", "resourceVersion": "7"}
    spec = {"signerName": "corp.example/x", "trustBundle": "PEM"}

    bundle, findings = read_source({"metadata": metadata, "spec": spec}, BUNDLE)

    assert findings == ()
    assert (bundle.name, bundle.version, bundle.data) == ("corp.example:x:1", "u/7", {"": b"PEM"})
    assert (bundle.signer, bundle.labels) == ("corp.example/x", {"stage": "live"})


def test_its_version_is_that_of_the_object():
    body = {"metadata": {"name": "x", "uid": "u", "resourceVersion": "7"}}

    assert read_source(body, SECRET)[0].version == "u/7"


@pytest.mark.parametrize("body", [{}, {"metadata": "text"}, {"metadata": {"name": []}, "spec": "text"}, {"spec": []}])
def test_a_trust_of_any_shape_is_an_input_with_errors(body):
    read = read_trust(body)

    assert read.trust is None
    assert {"spec", "metadata.name"} <= {error.field for error in read.errors}
