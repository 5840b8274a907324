"""Every fix that is printed is carried out literally on a started containerd of that version."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from registry_trust.agent.options import Mount
from registry_trust.agent.runtime.configuration_files import ConfigurationFiles, UnreadableConfiguration
from registry_trust.agent.runtime.containerd import configuration, fix
from tests.integration.literal_fixes import carry_out, remove_refused
from tools.cluster.binaries import binary
from tools.cluster.processes import start
from tools.cluster.runs import Run
from tools.cluster.waiting import wait_until
from tools.trials.containerd_oracle import VERSIONS, ask, differences, write

pytestmark = [
    pytest.mark.tools("containerds"),
    pytest.mark.skipif(os.geteuid() != 0, reason="containerd needs root: run as root"),
]

ROOT = "/etc/containerd/certs.d"
OLD, NEW = 'plugins."io.containerd.grpc.v1.cri"', 'plugins."io.containerd.cri.v1.images"'
RUNC = "runtime_type = 'io.containerd.runc.v2'\n"
IMPORTS = "imports = ['conf.d/*.toml']\n"
DROPS = f"[{OLD}.containerd.runtimes.runc]\n{RUNC}[{OLD}.containerd.runtimes.gpu]\n{RUNC}"
PLACE = "root = 'HERE/root'\nstate = 'HERE/state'\n"
SOCKETS = "[grpc]\naddress = 'HERE/c.sock'\n[ttrpc]\naddress = 'HERE/t.sock'\n"

CASES = {
    "stock, format 2": {"config.toml": f"version = 2\n{PLACE}[{OLD}.cni]\nbin_dir = '/opt/cni/bin'\n{SOCKETS}"},
    "an empty config_path": {"config.toml": f"version = 2\n{PLACE}[{OLD}.registry]\nconfig_path = ''\n{SOCKETS}"},
    "no version": {"config.toml": f"{PLACE}{SOCKETS}"},
    "a short section": {"config.toml": f"{PLACE}[plugins.cri.registry]\nconfig_path = ''\n{SOCKETS}"},
    "a drop-in that sets a runtime": {
        "config.toml": f"version = 2\n{PLACE}{IMPORTS}[{OLD}.registry]\nconfig_path = '{ROOT}'\n{SOCKETS}",
        "conf.d/99-gpu.toml": DROPS,
    },
    "a drop-in of format 3": {
        "config.toml": f"version = 2\n{PLACE}{IMPORTS}[{OLD}.registry]\nconfig_path = '{ROOT}'\n{SOCKETS}",
        "conf.d/99-gpu.toml": f"version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.gpu]\n{RUNC}",
    },
    "mirrors, and TLS settings of one registry": {
        "config.toml": f"version = 2\n{PLACE}[{OLD}.registry.mirrors.'h.example']\nendpoint = ['https://m.example']\n"
        f"[{OLD}.registry.configs.'h.example'.tls]\nca_file = '/ca.crt'\n{SOCKETS}"
    },
    "format 3": {"config.toml": f"version = 3\n{PLACE}{SOCKETS}"},
    "format 4": {
        "config.toml": f"version = 4\n{PLACE}[plugins.'io.containerd.server.v1.grpc']\naddress = 'HERE/c.sock'\n"
        "[plugins.'io.containerd.server.v1.ttrpc']\naddress = 'HERE/t.sock'\n"
    },
}
"""Files that leave some versions without a certificate directory, or with a list; HERE is their folder."""


def fix_of(main: Path, version: str) -> str | None:
    """Return the fix that the agent prints for these files; None if containerd reads the root, or does not start."""
    files = ConfigurationFiles([Mount(str(main.parent), str(main.parent))])
    number = VERSIONS[version]
    try:
        found = configuration.read_configuration(str(main), number, files.read, files.glob)
    except UnreadableConfiguration:
        assert ask(version, [main])[0]["error"]
        return None
    if configuration.effective_path(found, number) == ROOT:
        return None
    return fix.fix(found, number, ROOT)


def start_containerd(main: Path, version: str) -> str:
    """Start it on these files; return what it logs until it has booted."""
    run = Run.create()
    process = start(run, "containerd", [binary(f"containerd-{version}"), f"--config={main}"])
    try:
        wait_until(
            lambda: "containerd successfully booted" in process.log.read_text(),
            f"containerd {version} is up",
            within=60,
            meanwhile=process.check,
        )
        return process.log.read_text()
    finally:
        process.stop()
        run.destroy()


@pytest.mark.parametrize("version", VERSIONS)
def test_each_fix_makes_a_started_containerd_read_the_root(tmp_path: Path, version: str) -> None:
    fixes: dict[str, Path] = {}
    for number, files in enumerate(CASES.values()):
        main = write(tmp_path / str(number), files)
        fix = fix_of(main, version)
        if fix is not None:
            assert fix, f"no fix for {files}"
            main.write_text(remove_refused(main.read_text()))
            carry_out(fix, Path)
            assert ask(version, [main])[0] | {"localPull": True} == {
                "error": "",
                "refused": "",
                "disabled": False,
                "configPath": ROOT,
                "mirrors": False,
                "localPull": True,
            }
            fixes[fix.replace(str(main.parent), "")] = main
    assert fixes
    for main in fixes.values():
        log = start_containerd(main, version)
        assert f'\\"configPath\\":\\"{ROOT}\\"' in log or f"ConfigPath:{ROOT}" in log or version >= "2.0"
        assert not [line for line in log.splitlines() if "failed to load plugin" in line and "cri" in line]


REFUSED = f"version = 2\n{PLACE}[{OLD}.registry]\nconfig_path = '/a'\n"


@pytest.mark.parametrize("version", ["1.6", "1.7", "2.1", "2.4"])
@pytest.mark.parametrize("kind", ["mirrors.'h.example'", "configs.'h.example'.tls"])
def test_a_started_containerd_refuses_what_the_agent_calls_unknown(tmp_path: Path, version: str, kind: str) -> None:
    setting = "endpoint = ['https://m.example']" if kind.startswith("mirrors") else "ca_file = '/ca.crt'"
    main = write(tmp_path, {"config.toml": f"{REFUSED}[{OLD}.registry.{kind}]\n{setting}\n{SOCKETS}"})
    files = ConfigurationFiles([Mount(str(tmp_path), str(tmp_path))])
    found = configuration.read_configuration(str(main), VERSIONS[version], files.read, files.glob)

    refused = "cannot be set when `config_path` is provided" in start_containerd(main, version)
    assert bool(found.refusal()) == refused == (kind.startswith("mirrors") or version < "2.0")


def test_the_agent_reads_what_each_version_reads() -> None:
    found, counts = differences(range(400))

    assert found == []
    assert all(counts[f"{version} read"] > 100 and counts[f"{version} refused"] > 50 for version in VERSIONS), counts
    assert all(counts[f"{version} reviewed"] < 30 for version in VERSIONS), counts
