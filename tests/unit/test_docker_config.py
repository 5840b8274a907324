"""dockerd's configuration: for which registries dockerd ignores what is written."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from registry_trust.agent.runtime.configuration_files import UnreadableConfiguration
from registry_trust.agent.runtime.docker_config import ignored, read_configuration
from registry_trust.agent.runtime.docker_exceptions import docker_notices, with_docker_exceptions
from registry_trust.agent.runtime.facts import Facts
from registry_trust.agent.runtime.restarts import IN_FORCE, InForce
from registry_trust.agent.runtime.runtimes import RuntimeFacts
from registry_trust.core.report import RegistryRow, RowState, TargetRow, TargetState

PATH = "/etc/docker/daemon.json"


@pytest.mark.parametrize(
    ("insecure", "registry", "is_ignored"),
    [
        (["harbor.example:5000"], "harbor.example:5000", True),
        (["harbor.example"], "harbor.example:5000", False),
        (["harbor.example:5000"], "harbor.example", False),
        (["10.0.0.0/8"], "10.1.2.3:5000", True),
        (["10.0.0.0/8"], "11.1.2.3:5000", False),
        (["fd00::/8"], "[fd00::1]:5000", True),
        (["https://harbor.example:5000"], "harbor.example:5000", True),
        (["HTTP://harbor.example:5000"], "harbor.example:5000", True),
        (["not a network/8"], "10.1.2.3:5000", False),
        ([], "harbor.example:5000", False),
    ],
)
def test_an_insecure_registry_is_ignored_by_dockerd(insecure: list[str], registry: str, *, is_ignored: bool) -> None:
    configuration = read_configuration(PATH, lambda _: json.dumps({"insecure-registries": insecure}).encode())

    assert bool(ignored(configuration, [registry])) is is_ignored


@pytest.mark.parametrize("data", [None, b"", b" \n", b"{}"])
def test_a_missing_or_empty_file_is_the_default(data: bytes | None) -> None:
    assert read_configuration(PATH, lambda _: data).insecure_registries == ()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "is no valid JSON"),
        (b"[]", "is no JSON object"),
        (b'{"insecure-registries": "harbor.example"}', "insecure-registries is no list"),
        (b'{"registry-mirrors": {}}', "registry-mirrors is no list"),
    ],
)
def test_a_file_that_dockerd_would_not_take_is_named(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableConfiguration) as caught:
        read_configuration(PATH, lambda _: data)

    assert PATH in str(caught.value)
    assert words in str(caught.value)


REGISTRY = "harbor.example:5000"
CURRENT = RegistryRow(REGISTRY, RowState.CURRENT)
TARGET = TargetRow("/etc/docker/certs.d", "docker", TargetState.READ)


def found(content: Mapping[str, object], in_force: InForce = IN_FORCE) -> RuntimeFacts:
    return RuntimeFacts(Facts(()), read_configuration(PATH, lambda _: json.dumps(content).encode()), in_force)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"insecure-registries": [REGISTRY]}, "verifies nothing of it"),
        ({"registry-mirrors": [f"https://{REGISTRY}/proxy/"]}, "names it as a mirror of Docker Hub"),
        (
            {"registry-mirrors": [f"https://{REGISTRY}"], "features": {"containerd-snapshotter": True}},
            "use the directory of docker.io",
        ),
        ({"registry-mirrors": [f"https://{REGISTRY}"], "features": {"containerd-snapshotter": False}}, ""),
        ({"registry-mirrors": ["https://other.example"]}, ""),
        ({}, ""),
    ],
)
def test_a_current_row_says_where_dockerd_has_no_use_for_the_files(content: dict[str, object], words: str) -> None:
    (row,) = with_docker_exceptions([CURRENT], [TARGET], found(content))

    assert row.state is RowState.CURRENT
    assert row.reason == ("RuntimeIgnoresTLS" if words else "")
    assert words in row.message


def test_a_registry_on_the_node_itself_is_insecure_to_dockerd_by_default() -> None:
    local = RegistryRow("localhost:5000", RowState.CURRENT)

    assert [row.reason for row in with_docker_exceptions([CURRENT, local], [TARGET], found({}))] == [
        "",
        "RuntimeIgnoresTLS",
    ]


def test_a_node_whose_dockerd_is_not_served_says_nothing_of_it() -> None:
    facts = found({"insecure-registries": [REGISTRY, "10.0.0.0/8"]}, InForce(remark="changed"))
    other = TargetRow("/etc/containerd/certs.d", "containerd", TargetState.READ)

    assert with_docker_exceptions([CURRENT], [other], facts) == (CURRENT,)
    assert docker_notices([other], facts) == ()


def test_an_insecure_network_is_a_notice_because_no_name_is_looked_up() -> None:
    (notice,) = docker_notices([TARGET], found({"insecure-registries": ["10.0.0.0/8", REGISTRY]}))

    assert notice.startswith(f"RuntimeIgnoresTLS: {PATH} lists 10.0.0.0/8 under insecure-registries")


def test_a_change_that_dockerd_may_not_have_taken_is_a_notice() -> None:
    assert docker_notices([TARGET], found({}, InForce(remark="changed"))) == ("changed",)
