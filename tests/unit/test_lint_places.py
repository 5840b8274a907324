"""lint: the place of a field is the line and column of its value, and registries are read out of image references."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from registry_trust.api.parse import path
from registry_trust.cli.documents import parse
from registry_trust.cli.linting.images import images_in, registry_of
from registry_trust.cli.linting.places import ManifestPlace, place_in, place_of

KEYS = st.sampled_from(["a", "b", "ca.crt", "app.kubernetes.io/name", "x-y", "7"])
SHAPES = st.recursive(st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


def numbered(shape: Any, location: tuple[str | int, ...], names: dict[tuple[str | int, ...], str]) -> Any:
    """Return the shape with a word of its own at each end."""
    if isinstance(shape, dict):
        return {key: numbered(value, (*location, key), names) for key, value in shape.items()}
    if isinstance(shape, list):
        return [numbered(value, (*location, index), names) for index, value in enumerate(shape)]
    return names.setdefault(location, f"word{len(names)}")


@given(SHAPES, st.booleans(), st.integers(0, 3))
def test_each_value_is_found_by_its_path(shape, flow, before):
    names: dict[tuple[str | int, ...], str] = {}
    body = {"kind": "Any", "spec": numbered({"top": shape}, ("spec",), names)}
    text = "---\nkind: Other\n" * before + "---\n" + yaml.safe_dump(body, default_flow_style=flow)
    document = parse(text, "a:b.yaml")[-1]

    for location, word in names.items():
        place = place_of(document, path(location))
        assert place.file == "a:b.yaml"
        assert text.splitlines()[place.line - 1][place.column - 1 :].startswith(word)


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("", "f:2:1"),
        ("spec.caCertificates[0].secretKeyRef.name", "f:6:5"),
        ("spec.registries[7]", "f:4:15"),
        ("metadata.name", "f:2:1"),
        ("specification", "f:2:1"),
    ],
)
def test_a_field_that_is_missing_is_reported_at_the_deepest_part_that_is_there(field, place):
    text = "---\nkind: RegistryTrust\nspec:\n  registries: [a.example]\n  caCertificates:\n  - {inline: x}\n"
    (document,) = parse(text, "f")

    assert str(place_of(document, field)) == place


def test_an_item_of_a_list_is_found_in_the_list():
    (document,) = parse("kind: List\nitems:\n- kind: Any\n  spec: {a: 5}\n", "f")

    assert place_of(document, "spec.a") == ManifestPlace("f", 4, 13)


@pytest.mark.parametrize("text", ["f", "f:3", "f:3:4", "C:/f", "a b:7"])
def test_a_place_reads_back(text):
    assert str(place_in(text)) == text


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("nginx", "docker.io"),
        ("library/nginx:1", "docker.io"),
        ("index.docker.io/library/nginx", "docker.io"),
        ("localhost/a", "localhost"),
        ("localhost:5000/a", "localhost:5000"),
        ("harbor.corp.example/a/b@sha256:00", "harbor.corp.example"),
        ("harbor:5000/a:1", "harbor:5000"),
        ("HARBOR/a", "HARBOR"),
        ("harbor/a", "docker.io"),
        ("[2001:db8::1]:5000/a", "[2001:db8::1]:5000"),
        ("harbor.corp.example", "docker.io"),
    ],
)
def test_the_registry_of_a_reference(reference, registry):
    assert registry_of(reference) == registry


def test_images_are_found_wherever_a_pod_is_described_and_nowhere_else():
    text = """
kind: CronJob
spec: {jobTemplate: {spec: {template: {spec: {initContainers: [{image: a.example/1}], containers: [{image: b.example/2},
  {image: 5}, {image: ""}, {name: none}, text]}}}}}
---
kind: Other
image: c.example/3
containers: d.example/4
spec: {pods: [{ephemeralContainers: [{image: e.example/5}]}], containers: {image: f.example/6}}
"""
    assert [(each.registry, each.place.line) for each in images_in(parse(text, "f"))] == [
        ("b.example", 3),
        ("a.example", 3),
        ("e.example", 9),
    ]
