"""containerd's main file: which one it is on a node, and what of it is refused before it is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from registry_trust.agent.options import Mount, Options
from registry_trust.agent.runtime.configuration_files import ConfigurationFiles, UnreadableConfiguration
from registry_trust.agent.runtime.containerd.configuration import ContainerdConfiguration, read_configuration
from registry_trust.agent.runtime.node import Sign, signs_of
from registry_trust.agent.runtime.runtimes import Runtimes

READS = "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.registry]\nconfig_path = '/etc/containerd/certs.d'\n"
FLATCAR = signs_of("Flatcar Container Linux by Kinvolk 4081.2.0 (Oklo)", "v1.34.1", {})


def found(
    folder: Path, named: tuple[str, ...] = (), signs: frozenset[Sign] = frozenset()
) -> ContainerdConfiguration | str | None:
    mounts = (Mount("/etc/containerd", str(folder / "etc")), Mount("/usr/share/containerd", str(folder / "usr")))
    options = Options("worker-1", "x", configurations=mounts[: 2 if named else 1], containerd_files=named)
    runtimes = Runtimes(options)
    return runtimes.facts("containerd://1.7.35", {}, frozenset(), signs).containerd.configuration


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """Give a node that has the usual file."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr").mkdir()
    (tmp_path / "etc/config.toml").write_text(READS)
    return tmp_path


def path_of(configuration: object) -> str:
    assert isinstance(configuration, ContainerdConfiguration), configuration
    return configuration.path


def test_the_file_of_kops_comes_before_the_usual_one(node: Path) -> None:
    assert path_of(found(node)) == "/etc/containerd/config.toml"
    (node / "etc/config-kops.toml").write_text("version = 2\n")
    assert path_of(found(node)) == "/etc/containerd/config-kops.toml"


def test_a_file_that_was_named_comes_first_if_it_exists(node: Path) -> None:
    named = ("/usr/share/containerd/config.toml",)
    assert path_of(found(node, named)) == "/etc/containerd/config.toml"
    (node / "usr/config.toml").write_text("version = 2\n")
    assert path_of(found(node, named, FLATCAR)) == named[0]


def test_on_flatcar_the_usual_file_says_nothing(node: Path) -> None:
    problem = found(node, signs=FLATCAR)
    assert isinstance(problem, str)
    assert "CONTAINERD_CONFIG" in problem
    assert "agent.containerdConfig" in problem


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        (signs_of("Ubuntu 24.04.3 LTS", "v1.36.1+k0s", {}), "mount /etc/k0s and /run/k0s"),
        (signs_of("Ubuntu 24.04.3 LTS", "v1.34.1", {"microk8s.io/cluster": "true"}), "agent.targets"),
    ],
    ids=["k0s", "MicroK8s"],
)
def test_the_usual_file_says_nothing_where_the_node_shows_that_containerd_reads_another(
    node: Path, signs: frozenset[Sign], words: str
) -> None:
    problem = found(node, signs=signs)
    assert isinstance(problem, str)
    assert words in problem
    assert path_of(found(node, ("/etc/containerd/config.toml",), signs)) == "/etc/containerd/config.toml"


def read(folder: Path) -> ContainerdConfiguration:
    files = ConfigurationFiles([Mount("/etc/containerd", str(folder / "etc"))])
    return read_configuration("/etc/containerd/config.toml", (2, 4, 2), files.read, files.glob)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("imports = ['a\\u0000b']".replace("'", '"'), "can't be the path"),
        ("imports = ['conf.d/[a]*.toml']", "brackets"),
        ("imports = ['/opt/kata/*.toml']", "/opt/kata is not mounted"),
        (f"x = {'9' * 5000}", "is not valid TOML"),
        (f"x = {'[' * 20000}", "is not valid TOML"),
        ("version = '2'", "version is not a number"),
        ("Version = 2", "write version"),
        ("imports = 'x'", "imports is not a list"),
        ("disabled_plugins = ['io.containerd.grpc.v1.cri']", "another file"),
        ("version = 2\n[plugins.'io.containerd.grpc.v1.cri'.registry]\nconfig_path = 5", "config_path has a value"),
    ],
)
def test_a_hostile_file_is_refused_in_words(node: Path, text: str, words: str) -> None:
    (node / "etc/config.toml").write_text(text)

    with pytest.raises(UnreadableConfiguration) as caught:
        read(node)

    assert words in str(caught.value)


def test_links_lead_where_they_lead_on_the_host(node: Path) -> None:
    main = node / "etc/config.toml"
    (node / "etc/real.d").mkdir()
    (node / "etc/real.d/.hidden.toml").write_text(READS)
    main.write_text("version = 2\nimports = ['conf.d/*.toml']\n")
    (node / "etc/conf.d").symlink_to("/etc/containerd/real.d")
    assert read(node).config_path == "/etc/containerd/certs.d"

    (node / "etc/conf.d").unlink()
    (node / "etc/conf.d").symlink_to("/opt/elsewhere")
    with pytest.raises(UnreadableConfiguration, match="which leads to /opt/elsewhere, is not mounted"):
        read(node)


def test_what_is_not_a_regular_file_is_never_opened_for_long(node: Path) -> None:
    main = node / "etc/config.toml"
    main.unlink()
    os.mkfifo(main)
    with pytest.raises(UnreadableConfiguration, match="is not a regular file"):
        read(node)
