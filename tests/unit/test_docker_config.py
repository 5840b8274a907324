"""dockerd's configuration: for which registries dockerd ignores what is written."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from registry_trust.agent.runtime.candidates import Candidate, read, standby
from registry_trust.agent.runtime.configuration_files import UnreadableConfiguration
from registry_trust.agent.runtime.dockerd.daemon_json import ignored, read_configuration, readers
from registry_trust.agent.runtime.dockerd.runtime import Dockerd
from registry_trust.agent.runtime.facts import Facts, readers_of
from registry_trust.agent.runtime.node import Version
from registry_trust.core.layout import Layout, Reader
from registry_trust.core.observed import Target
from registry_trust.core.report import RegistryRow, RowState
from tests.rows import message_of, reason_of

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
        (b"{", "is not valid JSON"),
        (b"[]", "is not a JSON object"),
        (b'{"insecure-registries": "harbor.example"}', "insecure-registries is not a list"),
        (b'{"registry-mirrors": {}}', "registry-mirrors is not a list"),
    ],
)
def test_a_file_that_dockerd_would_not_take_is_named(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableConfiguration) as caught:
        read_configuration(PATH, lambda _: data)

    assert PATH in str(caught.value)
    assert words in str(caught.value)


REGISTRY = "harbor.example:5000"
CURRENT = RegistryRow(REGISTRY, RowState.CURRENT)
DOCKER = "/etc/docker/certs.d"
NEW, OLDER, OLD = (29, 7, 2), (28, 5, 2), (27, 5, 1)
EITHER = frozenset({Reader.DOCKERD, Reader.DOCKERD_CONTAINERD})
CLASSIC, OF_CONTAINERD = (Reader.DOCKERD,), (Reader.DOCKERD_CONTAINERD,)


def found(content: Mapping[str, object], version: Version | None = None) -> Facts:
    return Facts(dockerd=Dockerd(read_configuration(PATH, lambda _: json.dumps(content).encode()), version))


def dockerd(content: Mapping[str, object], version: Version = NEW) -> list[Candidate]:
    """Return the candidate of a dockerd with this configuration."""
    return [read(Target(DOCKER, Layout.DOCKER, (DOCKER,), readers=found(content, version).dockerd.readers()))]


@pytest.mark.parametrize(
    ("version", "content", "expected"),
    [
        (NEW, {"features": {"containerd-snapshotter": True}}, OF_CONTAINERD),
        (NEW, {"features": {"containerd-snapshotter": False}}, CLASSIC),
        (NEW, {"storage-driver": "overlay2"}, CLASSIC),
        (NEW, {"storage-driver": "overlayfs"}, CLASSIC + OF_CONTAINERD),
        (NEW, {}, CLASSIC + OF_CONTAINERD),
        (OLDER, {}, CLASSIC),
        (OLDER, {"features": {"containerd-snapshotter": True}}, OF_CONTAINERD),
        (OLD, {"features": {"containerd-snapshotter": True}}, CLASSIC),
        (None, {}, CLASSIC + OF_CONTAINERD),
    ],
)
def test_the_image_store_says_by_which_names_dockerd_looks_and_may_be_unknown(
    version: Version | None, content: dict[str, object], expected: tuple[Reader, ...]
) -> None:
    assert found(content, version).dockerd.readers() == expected


def test_without_daemon_json_only_an_old_dockerd_is_known() -> None:
    assert readers(None, OLD) == CLASSIC
    assert readers(None, NEW) == CLASSIC + OF_CONTAINERD


@pytest.mark.parametrize(
    ("content", "version", "words"),
    [
        ({}, OLDER, "reads no certificate directory for docker.io with its classic image store"),
        ({}, NEW, "reads no certificate directory for docker.io if it uses its classic image store"),
        ({"features": {"containerd-snapshotter": True}}, NEW, ""),
    ],
)
def test_docker_hub_is_nothing_that_the_classic_store_looks_for(
    content: dict[str, object], version: Version, words: str
) -> None:
    hub = RegistryRow("docker.io", RowState.CURRENT)

    (row,) = Facts().with_exceptions([hub], readers_of(dockerd(content, version)))

    assert reason_of(row) == ("RuntimeIgnoresTLS" if words else "")
    assert words in message_of(row)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"insecure-registries": [REGISTRY]}, "does not verify it"),
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
    (row,) = found(content).with_exceptions([CURRENT], readers_of(dockerd(content)))

    assert row.state is RowState.CURRENT
    assert reason_of(row) == ("RuntimeIgnoresTLS" if words else "")
    assert words in message_of(row)


def test_a_registry_on_the_node_itself_is_insecure_to_dockerd_by_default() -> None:
    local = RegistryRow("localhost:5000", RowState.CURRENT)

    assert [reason_of(row) for row in found({}).with_exceptions([CURRENT, local], EITHER)] == [
        "",
        "RuntimeIgnoresTLS",
    ]


def test_a_node_whose_dockerd_is_not_served_says_nothing_of_it() -> None:
    facts = found({"insecure-registries": [REGISTRY, "10.0.0.0/8"]})
    others = [
        read(Target("/etc/containerd/certs.d", Layout.CONTAINERD)),
        read(Target(DOCKER, Layout.DOCKER, readers=(Reader.CONTAINERD,))),
    ]

    assert facts.with_exceptions([CURRENT], readers_of(others)) == (CURRENT,)
    assert facts.notices([], readers_of(others)) == ()
    assert readers_of([standby(Target(DOCKER, Layout.DOCKER), "nothing reads it now")]) == frozenset()


def test_an_insecure_network_is_a_notice_because_no_name_is_looked_up() -> None:
    (notice,) = found({"insecure-registries": ["10.0.0.0/8", REGISTRY]}).notices([], EITHER)

    assert str(notice).startswith(f"RuntimeIgnoresTLS: {PATH} lists 10.0.0.0/8 under insecure-registries")
