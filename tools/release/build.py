"""Makes every artefact of a release from this repository, the same bytes each time."""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from deploy.generate import render_manifest
from tools.cluster import images
from tools.cluster.folders import REPOSITORY
from tools.release import archive, bill, chart
from tools.release.artefacts import ARCHITECTURES, CHECKSUMS, Artefact, Image, Release

_EMULATORS = {"amd64": "qemu-x86_64", "arm64": "qemu-aarch64"}
_BINFMT = Path("/proc/sys/fs/binfmt_misc")


def release_of_repository(folder: Path) -> Release:
    """This repository's version, at the time of its last commit or of SOURCE_DATE_EPOCH.

    Raises subprocess.CalledProcessError outside a git repository, if the variable is not set.
    """
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    moment = (
        os.environ.get("SOURCE_DATE_EPOCH")
        or subprocess.run(
            ["git", "log", "-1", "--format=%ct"], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    )
    return Release(version, int(moment), folder.absolute())


def build(release: Release, say: Callable[[str], None]) -> None:
    """Writes every artefact and the checksums into the release's folder; other files in there stay.

    Raises images.ImageBuildError, subprocess.CalledProcessError.
    """
    if missing := images.what_is_missing():
        raise images.ImageBuildError(missing)
    release.folder.mkdir(parents=True, exist_ok=True)
    for left in release.files:  # of an architecture that is not made this time, and so not listed
        left.unlink()
    for architecture in ARCHITECTURES:
        if missing := _cannot_run(architecture):
            say(f"no image for {architecture}: {missing}")
            continue
        say(f"image for {architecture}")
        _image(release, architecture)
        image, described = release.path(Artefact.IMAGE, architecture), release.path(Artefact.BILL, architecture)
        bill.write_bill(image, described, version=release.version, moment=release.moment)
    wheel(release)
    name_image(release, Image())


def name_image(release: Release, image: Image) -> None:
    """Writes what names the image, the chart and the manifest, and the checksums of everything."""
    with chart.staged(image, release.version, release.moment) as copy:
        chart.package(copy, release.path(Artefact.CHART), release.moment)
        release.path(Artefact.MANIFEST).write_text(render_manifest(copy, published=bool(image.digest)))
    sums = "".join(f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in release.files)
    (release.folder / CHECKSUMS).write_text(sums)


def _image(release: Release, architecture: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        layout, name = Path(temporary) / "layout", release.loaded_name
        images.build_for_release(layout, name, moment=release.moment, architecture=architecture)
        archive.write_archive(layout, release.path(Artefact.IMAGE, architecture), name=name, moment=release.moment)


def _cannot_run(architecture: str) -> str:
    """Why programs of an architecture can't run here, so no image of it is built; empty if they can."""
    if architecture == images.own_architecture():
        return ""
    emulator = _BINFMT / _EMULATORS[architecture]
    if emulator.is_file() and emulator.read_text().startswith("enabled"):
        return ""
    return f"this machine can't run it (no emulator {emulator}; on Debian: apt-get install qemu-user-static)"


def wheel(release: Release) -> None:
    """Writes the wheel with what this environment has: no index is asked."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"),
            *(f"--wheel-dir={release.folder}", str(REPOSITORY)),
        ],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(release.moment)},
        check=True,
        timeout=120,
    )
    assert release.path(Artefact.WHEEL).is_file(), "the wheel has another name than expected"
