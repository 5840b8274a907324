"""containerd's configuration: what each version makes of real configuration files."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

import pytest

from registry_trust.agent.runtime.configuration_files import UnreadableConfiguration
from registry_trust.agent.runtime.containerd.configuration import (
    DEFAULT_PATH,
    ContainerdConfiguration,
    effective_path,
    read_configuration,
    splits_list,
)
from registry_trust.agent.runtime.node import parse_version

MAIN = "/etc/containerd/config.toml"
V16, V17, V20, V21, V22, V23, V24 = (1, 6, 39), (1, 7, 34), (2, 0, 11), (2, 1, 9), (2, 2, 7), (2, 3, 4), (2, 4, 2)

OLD_WITH_PATH = """
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.9"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
"""
NEW_WITH_PATH = """
version = 3
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '/etc/containerd/certs.d'
"""
FIRST_FORMAT = """
[plugins.cri.registry]
  config_path = "/etc/containerd/certs.d"
"""
OLD_SECTION_IN_V3 = """
version = 3
[plugins.'io.containerd.grpc.v1.cri'.registry]
  config_path = '/etc/containerd/certs.d'
"""
STOCK_DEBIAN = """
version = 2
[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
"""
LEGACY_MIRRORS = """
version = 2
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
  endpoint = ["https://mirror.example"]
"""
EKS_AL2023 = """
version = 3
root = "/var/lib/containerd"
[plugins."io.containerd.cri.v1.images"]
discard_unpacked_layers = true
[plugins."io.containerd.cri.v1.images".registry]
config_path = "/etc/containerd/certs.d:/etc/docker/certs.d"
"""


def read(files: Mapping[str, str], version: tuple[int, int, int], main: str = MAIN) -> ContainerdConfiguration:
    def content(path: str) -> bytes | None:
        return files[path].encode() if path in files else None

    return read_configuration(main, version, content, lambda pattern: sorted(fnmatch.filter(files, pattern)))


@pytest.mark.parametrize(
    ("text", "version", "path"),
    [
        (OLD_WITH_PATH, V16, "/etc/containerd/certs.d"),
        (OLD_WITH_PATH, V17, "/etc/containerd/certs.d"),
        (OLD_WITH_PATH, V20, "/etc/containerd/certs.d"),
        (OLD_WITH_PATH, V24, "/etc/containerd/certs.d"),
        (NEW_WITH_PATH, V20, "/etc/containerd/certs.d"),
        (NEW_WITH_PATH, V24, "/etc/containerd/certs.d"),
        (FIRST_FORMAT, V16, "/etc/containerd/certs.d"),
        (FIRST_FORMAT, V20, ""),  # a file without a version is taken for format 3
        (FIRST_FORMAT, V24, "/etc/containerd/certs.d"),
        (OLD_SECTION_IN_V3, V20, ""),
        (OLD_SECTION_IN_V3, V22, DEFAULT_PATH),
        (OLD_SECTION_IN_V3, V23, "/etc/containerd/certs.d"),  # format 4 came with 2.3, and with it the migration of 3
        (OLD_SECTION_IN_V3, V24, "/etc/containerd/certs.d"),
        (STOCK_DEBIAN, V16, ""),
        (STOCK_DEBIAN, V17, ""),
        (STOCK_DEBIAN, V20, ""),
        (STOCK_DEBIAN, V21, ""),
        (STOCK_DEBIAN, V22, DEFAULT_PATH),
        (STOCK_DEBIAN, V24, DEFAULT_PATH),
        (LEGACY_MIRRORS, V17, ""),
        (LEGACY_MIRRORS, V24, ""),
        ("", V17, ""),
        ("", V24, DEFAULT_PATH),
    ],
)
def test_the_path_that_a_version_reads(text: str, version: tuple[int, int, int], path: str) -> None:
    assert effective_path(read({MAIN: text}, version), version) == path


def test_without_any_file_the_version_alone_decides() -> None:
    assert effective_path(read({}, V17), V17) == ""
    assert effective_path(read({}, V22), V22) == DEFAULT_PATH
    assert not read({}, V22).present


@pytest.mark.parametrize(
    "trigger",
    [
        "use_local_image_pull = true",
        "disable_snapshot_annotations = false",
        "discard_unpacked_layers = true",
        "max_concurrent_downloads = 10",
        "image_pull_with_sync_fs = true",
        "[plugins.'io.containerd.cri.v1.images'.registry.mirrors.'docker.io']\nendpoint = ['https://m.example']",
        "[plugins.'io.containerd.cri.v1.images'.registry.configs.'r.example'.auth]\nusername = 'u'",
    ],
)
def test_a_local_pull_splits_a_list(trigger: str) -> None:
    configuration = read({MAIN: f"version = 3\n[plugins.'io.containerd.cri.v1.images']\n{trigger}\n"}, V24)

    assert splits_list(configuration, V24)


@pytest.mark.parametrize(
    "setting",
    [
        "use_local_image_pull = false",
        "disable_snapshot_annotations = true",
        "discard_unpacked_layers = false",
        "max_concurrent_downloads = 3",
        "image_pull_progress_timeout = '5m'",
    ],
)
def test_the_transfer_service_takes_a_list_for_one_folder(setting: str) -> None:
    text = f"version = 3\n[plugins.'io.containerd.cri.v1.images']\n{setting}\n"

    assert not splits_list(read({MAIN: text}, V21), V21)
    assert not splits_list(read({MAIN: text}, V24), V24)
    assert splits_list(read({MAIN: text}, V20), V20), "2.0 has no transfer service for the CRI"


def test_an_eks_node_reads_both_folders() -> None:
    configuration = read({MAIN: EKS_AL2023}, V21)

    assert configuration.config_path == "/etc/containerd/certs.d:/etc/docker/certs.d"
    assert splits_list(configuration, V21)


def test_snapshot_options_of_an_old_file_move_only_with_runtimes() -> None:
    old = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\ndiscard_unpacked_layers = true\n'
    runtimes = (
        '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\n'
    )

    assert not read({MAIN: old}, V24).local_pull
    assert read({MAIN: old + runtimes}, V24).local_pull


IMPORTING = 'version = 2\nimports = ["conf.d/*.toml", "/etc/containerd/last.toml"]\n'


def drop_in(path: str, more: str = "") -> str:
    return f'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "{path}"\n{more}'


def test_imports_are_globs_relative_and_recursive_and_the_last_one_wins() -> None:
    files = {
        MAIN: IMPORTING,
        "/etc/containerd/conf.d/b.toml": drop_in("/from-b"),
        "/etc/containerd/conf.d/a.toml": 'version = 2\nimports = ["../deep/x.toml", "/etc/containerd/config.toml"]\n',
        "/etc/containerd/conf.d/note.txt": "no TOML",
        "/etc/containerd/last.toml": "version = 2\n",
        "/etc/containerd/deep/x.toml": drop_in("/from-x"),
    }
    for version in (V17, V24):
        assert read(files, version).config_path == "/from-x", version


def test_containerd_1_replaces_a_section_and_2_merges_it() -> None:
    main = IMPORTING + '[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/from-main"\n'
    files = {
        MAIN: main,
        "/etc/containerd/last.toml": 'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\nenable_selinux = true\n',
    }

    assert read(files, V17).config_path == ""
    assert read(files, V24).config_path == "/from-main"


def test_an_empty_path_in_a_drop_in_wins() -> None:
    files = {
        MAIN: IMPORTING + drop_in("/from-main").removeprefix("version = 2\n"),
        "/etc/containerd/last.toml": drop_in(""),
    }

    assert read(files, V24).config_path == ""


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({MAIN: "version = "}, f"{MAIN} is not valid TOML"),
        ({MAIN: f"{'.'.join('a' * 30000)} = 1"}, f"{MAIN} is not valid TOML"),  # else a minute for the standard library
        ({MAIN: IMPORTING}, "/etc/containerd/last.toml does not exist"),
        ({MAIN: IMPORTING, "/etc/containerd/last.toml": "=\n"}, "/etc/containerd/last.toml is not valid TOML"),
    ],
)
def test_what_containerd_could_not_load_is_named(files: dict[str, str], words: str) -> None:
    with pytest.raises(UnreadableConfiguration) as caught:
        read(files, V24)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("runtime", "version"),
    [
        ("containerd://2.4.2", (2, 4, 2)),
        ("containerd://v2.1.4-k3s2", (2, 1, 4)),
        ("containerd://1.7.27-0ubuntu1", (1, 7, 27)),
        ("containerd://2.2", (2, 2, 0)),
        ("containerd://", None),
        ("", None),
    ],
)
def test_the_version_stands_in_the_nodes_status(runtime: str, version: tuple[int, int, int] | None) -> None:
    assert parse_version(runtime) == version
