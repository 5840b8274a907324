"""The fix in words: which file a distribution lets an admin change, and what its start does not write over."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest

from registry_trust.agent.runtime.containerd.configuration import read_configuration
from registry_trust.agent.runtime.containerd.fix import fix

ROOT = "/etc/containerd/certs.d"
OLD, NEW = 'plugins."io.containerd.grpc.v1.cri"', 'plugins."io.containerd.cri.v1.images"'
K3S = "/var/lib/rancher/k3s/agent/etc/containerd"
LINES = f'[{OLD}.registry]\n  config_path = "{ROOT}"\n'


def fix_of(version: tuple[int, int, int], main: str, files: dict[str, str]) -> str:
    def read(path: str) -> bytes | None:
        return files[path].encode() if path in files else None

    found = read_configuration(
        main, version, read, lambda pattern: sorted(path for path in files if fnmatch(path, pattern))
    )
    return fix(found, version, ROOT)


SNAP = "/var/snap/microk8s/7394/args"
K3S_WORDS = f"""{LINES}at the end of {K3S}/config.toml.tmpl, then once: systemctl restart k3s (k3s-agent on agents). \
k3s makes {K3S}/config.toml of that file at each start; without such a file, k3s needs an upgrade"""
KOPS_WORDS = f"""spec:
  containerd:
    configAdditions:
      {OLD}.registry.config_path: {ROOT}
to the cluster's specification (kops edit cluster), then: kops update cluster --yes && kops"""


@pytest.mark.parametrize(
    ("main", "words"),
    [
        ("/etc/containerd/config.toml", f"{LINES}at the end of /etc/containerd/config.toml, then once: systemctl"),
        (f"{K3S}/config.toml", K3S_WORDS),
        (f"{SNAP}/containerd.toml", f"{LINES}at the end of {SNAP}/containerd-template.toml, then once: snap restart"),
        (
            "/etc/k0s/containerd.toml",
            f"version = 2\n{LINES}in a new file /etc/k0s/containerd.d/99-registry-trust.toml; k0s",
        ),
        ("/etc/containerd/config-kops.toml", KOPS_WORDS),
        (
            "/usr/share/containerd/config.toml",
            f"{LINES}at the end of /etc/containerd/config.toml, a copy of /usr/share",
        ),
    ],
)
def test_the_change_goes_where_the_distributions_start_does_not_write_over_it(main: str, words: str) -> None:
    assert fix_of((1, 7, 35), main, {main: "version = 2\n"}).startswith(words)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"version = 2\n[{OLD}.registry]\n", "in the table"),
        (f"version = 2\n[{OLD}.registry]\nconfig_path = ''\n", "instead of the config_path in the table"),
        (f"version = 2\n[{OLD}.registry]\n'config_path' = ''\n", "instead of the config_path in the table"),
        ("version = 2\n", "at the end of"),
    ],
)
def test_a_line_that_is_there_already_is_replaced_because_toml_takes_a_key_once(text: str, place: str) -> None:
    lines = fix_of((1, 7, 35), "/etc/containerd/config.toml", {"/etc/containerd/config.toml": text}).splitlines()

    assert lines[-1].startswith(f"{place} ")


IMPORTING = f'version = 3\nimports = ["{K3S}/config-v3.toml.d/*.toml"]\n'


@pytest.mark.parametrize(
    ("version", "files", "place"),
    [
        ((2, 1, 9), {}, f"in a new file {K3S}/config-v3.toml.d/99-registry-trust.toml"),
        ((1, 7, 35), {}, f"at the end of {K3S}/config.toml.tmpl"),
        ((2, 1, 9), {"10.toml": f"[{NEW}.registry]\nconfig_path = ''"}, "in a new file"),
        # It is read after ours would be.
        ((2, 1, 9), {"gpu.toml": f"[{NEW}.registry]\nconfig_path = ''"}, "instead of the config_path in the table"),
    ],
)
def test_a_new_file_is_proposed_only_if_containerd_merges_it_and_reads_it_last(
    version: tuple[int, int, int], files: dict[str, str], place: str
) -> None:
    main = IMPORTING if version >= (2, 0, 0) else IMPORTING.replace("version = 3", "version = 2")
    drop_ins = {f"{K3S}/config-v3.toml.d/{name}": f"version = 3\n{text}\n" for name, text in files.items()}

    lines = fix_of(version, f"{K3S}/config.toml", {f"{K3S}/config.toml": main, **drop_ins}).splitlines()

    assert lines[-1].startswith(place)


def test_a_path_that_nobody_should_type_is_never_printed() -> None:
    main = f'version = 3\nimports = ["{K3S}/\\u001b[31m;reboot/*.toml"]\n'

    words = fix_of((2, 1, 9), f"{K3S}/config.toml", {f"{K3S}/config.toml": main})

    assert words.splitlines()[-1].startswith(f"at the end of {K3S}/config-v3.toml.tmpl")
    assert "reboot" not in words
