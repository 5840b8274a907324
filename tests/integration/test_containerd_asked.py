"""containerd is asked what it makes of its configuration; the agent, which can't ask, must come to the same."""

from __future__ import annotations

import glob
import os
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry_trust.agent.runtime.containerd.configuration import ContainerdConfiguration, read_configuration
from tools.cluster.binaries import binary
from tools.cluster.processes import start
from tools.cluster.runs import Run
from tools.cluster.waiting import wait_until

STARTED = "starting cri plugin"
VERSION = (2, 4, 2)
"""What tools/go/containerd pins."""

IMAGES, OLD = "plugins.'io.containerd.cri.v1.images'", "plugins.'io.containerd.grpc.v1.cri'"
LIST = f"[{IMAGES}.registry]\nconfig_path = '/a:/b'\n"

pytestmark = [
    pytest.mark.tools("containerd"),
    pytest.mark.skipif(os.geteuid() != 0, reason="containerd needs root: run as root"),
]


@dataclass(frozen=True)
class Place:
    """A folder with a main file and whatever it imports."""

    folder: Path

    @property
    def main(self) -> Path:
        return self.folder / "config.toml"

    def write(self, files: dict[str, str]) -> None:
        """Write the files; HERE in their text becomes the folder."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("HERE", str(self.folder)))

    def agents_view(self) -> ContainerdConfiguration:
        """Return what the agent makes of the files."""

        def read(path: str) -> bytes | None:
            return Path(path).read_bytes() if Path(path).exists() else None

        return read_configuration(str(self.main), VERSION, read, lambda pattern: sorted(glob.glob(pattern)))  # noqa: PTH207 (as the agent does it)

    def dump(self) -> dict[str, Any]:
        """Return the image settings that containerd says it works with."""
        command: list[str | Path] = [binary("containerd"), f"--config={self.main}", "config", "dump"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        images: dict[str, Any] = tomllib.loads(done.stdout)["plugins"]["io.containerd.cri.v1.images"]
        return images

    def words_until(self, last: str) -> str:
        """Start containerd; return what it logs, up to a word that it must say."""
        run = Run.create()
        process = start(run, "containerd", [binary("containerd"), f"--config={self.main}"])
        try:
            wait_until(
                lambda: last in process.log.read_text(), f"containerd says {last!r}", within=30, meanwhile=process.check
            )
            return process.log.read_text()
        finally:
            process.stop()
            run.destroy()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a test a folder for files."""
    return Place(tmp_path)


ALONE = """version = 3
root = 'HERE/root'
state = 'HERE/state'
[grpc]
address = 'HERE/containerd.sock'
[ttrpc]
address = 'HERE/ttrpc.sock'
[plugins.'io.containerd.internal.v1.opt']
path = 'HERE/opt'
"""
"""A containerd that touches nothing outside its folder."""

TRIGGERS = {
    "disable_snapshot_annotations": f"[{IMAGES}]\ndisable_snapshot_annotations = false\n",
    "discard_unpacked_layers": f"[{IMAGES}]\ndiscard_unpacked_layers = true\n",
    "registry.configs": f"[{IMAGES}.registry.configs.'a.example'.auth]\nusername = 'u'\n",
    "registry.auths": f"[{IMAGES}.registry.auths.'https://a.example']\nusername = 'u'\n",
    "max_concurrent_downloads": f"[{IMAGES}]\nmax_concurrent_downloads = 4\n",
    "image_pull_with_sync_fs": f"[{IMAGES}]\nimage_pull_with_sync_fs = true\n",
}
NO_TRIGGERS = {
    "nothing": "",
    "the defaults": f"[{IMAGES}]\nmax_concurrent_downloads = 3\ndiscard_unpacked_layers = false\n",
    "annotations off": f"[{IMAGES}]\ndisable_snapshot_annotations = true\n",
    "another plugin's downloads": "[plugins.'io.containerd.transfer.v1.local']\nmax_concurrent_downloads = 9\n",
}


@pytest.mark.parametrize("text", TRIGGERS.values(), ids=TRIGGERS.keys())
def test_an_option_that_makes_containerd_pull_locally_is_known(place: Place, text: str) -> None:
    place.write({"config.toml": ALONE + LIST + text})

    assert "Falling back to local image pull mode" in place.words_until(STARTED)
    assert place.agents_view().local_pull


def test_mirrors_make_containerd_pull_locally_too_and_take_the_default_path_away(place: Place) -> None:
    place.write({"config.toml": f"{ALONE}[{IMAGES}.registry.mirrors.'a.example']\nendpoint = ['https://b.example']\n"})

    assert "Found 'Registry.Mirrors'" in place.words_until(STARTED)
    view = place.agents_view()
    assert (view.local_pull, view.mirrors, view.config_path) == (True, True, "")


def test_a_local_pull_can_be_asked_for_by_name(place: Place) -> None:
    place.write({"config.toml": f"{ALONE}{LIST}[{IMAGES}]\nuse_local_image_pull = true\n"})

    assert place.dump()["use_local_image_pull"] is True
    assert place.agents_view().local_pull


@pytest.mark.parametrize("text", NO_TRIGGERS.values(), ids=NO_TRIGGERS.keys())
def test_other_options_leave_it_to_the_transfer_service(place: Place, text: str) -> None:
    place.write({"config.toml": ALONE + LIST + text})

    assert "local image pull" not in place.words_until(STARTED)
    assert not place.agents_view().local_pull


def test_mirrors_beside_a_path_are_more_than_containerds_cri_plugin_takes(place: Place) -> None:
    place.write({"config.toml": f"{ALONE}{LIST}[{IMAGES}.registry.mirrors.'a.example']\nendpoint = []\n"})
    place.words_until("`mirrors` cannot be set when `config_path` is provided")
    view = place.agents_view()
    assert (view.mirrors, view.config_path) == (True, "/a:/b")


FILES = {
    "one file": {"config.toml": f"version = 3\n[{IMAGES}.registry]\nconfig_path = '/one'\n"},
    "the old section, version 2": {"config.toml": f"version = 2\n[{OLD}.registry]\nconfig_path = '/one'\n"},
    "the old section, version 3": {"config.toml": f"version = 3\n[{OLD}.registry]\nconfig_path = '/one'\n"},
    "an import wins": {
        "config.toml": f"version = 3\nimports = ['HERE/conf.d/*.toml']\n[{IMAGES}.registry]\nconfig_path = '/one'\n",
        "conf.d/certs.toml": f"version = 3\n[{IMAGES}.registry]\nconfig_path = '/two'\n",
    },
    "the last import wins": {
        "config.toml": "version = 3\nimports = ['HERE/conf.d/*.toml']\n",
        "conf.d/10.toml": f"version = 3\n[{IMAGES}.registry]\nconfig_path = '/one'\n",
        "conf.d/20.toml": f"version = 3\n[{IMAGES}.registry]\nconfig_path = '/two'\n",
        "conf.d/30.not": f"version = 3\n[{IMAGES}.registry]\nconfig_path = '/three'\n",
    },
    "an import says nothing of it": {
        "config.toml": f"version = 3\nimports = ['conf.d/10.toml']\n[{IMAGES}.registry]\nconfig_path = '/one'\n",
        "conf.d/10.toml": f"version = 3\n[{IMAGES}]\nmax_concurrent_downloads = 4\n",
    },
    "an import of an import": {
        "config.toml": "version = 3\nimports = ['conf.d/10.toml']\n",
        "conf.d/10.toml": f"version = 3\nimports = ['20.toml']\n[{IMAGES}.registry]\nconfig_path = '/one'\n",
        "conf.d/20.toml": f"version = 3\n[{IMAGES}.registry]\nconfig_path = '/two'\n",
    },
    "an import of an older version": {
        "config.toml": f"version = 3\nimports = ['10.toml']\n[{IMAGES}.registry]\nconfig_path = '/one'\n",
        "10.toml": f"version = 2\n[{OLD}.registry]\nconfig_path = '/two'\n",
    },
    "a folder of drop-ins that nothing imports": {
        "config.toml": f"version = 3\n[{IMAGES}.registry]\nconfig_path = '/one'\n",
        "conf.d/10.toml": f"version = 3\n[{IMAGES}.registry]\nconfig_path = '/two'\n",
    },
    "mirrors from an import": {
        "config.toml": "version = 3\nimports = ['10.toml']\n",
        "10.toml": f"version = 2\n[{OLD}.registry.mirrors.'a.example']\nendpoint = ['https://b.example']\n",
    },
}


@pytest.mark.parametrize("files", FILES.values(), ids=FILES.keys())
def test_the_files_come_to_the_same_path(place: Place, files: dict[str, str]) -> None:
    place.write(files)
    registry = place.dump()["registry"]
    view = place.agents_view()

    assert view.config_path == registry["config_path"]
    assert view.mirrors == bool(registry.get("mirrors"))
