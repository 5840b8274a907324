"""dockerd's configuration: for which registries dockerd ignores what is written."""

from __future__ import annotations

import json

import pytest

from registry_trust.agent.runtime.configuration_files import UnreadableConfiguration
from registry_trust.agent.runtime.docker_config import ignored, read_configuration

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
    ],
)
def test_a_file_that_dockerd_would_not_take_is_named(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableConfiguration) as caught:
        read_configuration(PATH, lambda _: data)

    assert PATH in str(caught.value)
    assert words in str(caught.value)
