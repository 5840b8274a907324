"""Builds the product's image from its Dockerfile without an image registry: base by debootstrap, rest by buildah."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.cluster.folders import REPOSITORY, cache_folder

SUITE = "trixie"
BASE_PACKAGES = ("ca-certificates", "python3", "python3-venv")
"""What the base has beyond the smallest Debian, so that building the image takes little from the mirror."""
NEEDED_COMMANDS = {"buildah": "buildah", "debootstrap": "debootstrap"}
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


class ImageBuildError(Exception):
    """The image could not be built; the message has the tool's last words."""


def what_is_missing() -> str:
    """Why no image can be built here and how to cure it, in one line; empty when it can."""
    if os.uname().sysname != "Linux" or os.geteuid() != 0:
        return "building the image without a container engine needs root on Linux"
    packages = sorted({package for command, package in NEEDED_COMMANDS.items() if shutil.which(command) is None})
    return f"building the image needs {', '.join(packages)}: apt-get install {' '.join(packages)}" if packages else ""


def build_product_image(archive: Path, name: str, *, folder: Path = REPOSITORY) -> Path:
    """Builds folder's Dockerfile and writes an OCI archive that `ctr images import` and `skopeo` load under that name.

    Raises ImageBuildError.
    """
    _build(folder, name, "--layers")  # a step that has not changed is not run again
    archive.unlink(missing_ok=True)
    _buildah("push", "--quiet", name, f"oci-archive:{archive}:{name}")
    return archive


def build_for_release(layout: Path, name: str, *, moment: int, architecture: str, folder: Path = REPOSITORY) -> None:
    """Builds folder's Dockerfile from the start and writes an OCI layout, a directory, that is the same each time.

    `moment`, in seconds since 1970, is the time of every file in it and of the image. Nothing comes from the cache: it
    would bring along the time of the build that filled it.

    Raises ImageBuildError.
    """
    _build(folder, name, "--no-cache", f"--timestamp={moment}", f"--arch={architecture}", architecture=architecture)
    _buildah("push", "--quiet", name, f"oci:{layout}:{name}")


def own_architecture() -> str:
    """This machine's, as OCI and Debian call it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def _build(folder: Path, name: str, *options: str, architecture: str = "") -> None:
    base = base_image(architecture or own_architecture())
    with tempfile.TemporaryDirectory(prefix="registry-trust-pip-") as private:
        volumes = [*_ca_volume(), *_pip_volumes(Path(private))]
        _buildah(
            "build",
            f"--build-arg=BASE_IMAGE={base}",
            *(f"--volume={volume}" for volume in volumes),
            "--pull=never",
            *options,
            f"--tag={name}",
            f"--file={folder / 'Dockerfile'}",
            str(folder),
        )


def run_in_base(folder: Path, script: str, tools: Path) -> str:
    """Runs a shell script in a container of the base image, with folder as /source, its working directory.

    `tools` is a folder of programs, /tools in there. Returns what the script printed.

    Raises ImageBuildError with the end of it where the script fails.
    """
    with (
        tempfile.TemporaryDirectory(prefix="registry-trust-pip-") as private,
        _container(base_image(own_architecture())) as container,
    ):
        volumes = [*_ca_volume(), *_pip_volumes(Path(private)), f"{folder}:/source", f"{tools}:/tools:ro"]
        return _buildah(
            "run",
            *(f"--volume={volume}" for volume in volumes),
            "--workingdir=/source",
            container,
            *("sh", "-c", script),
        )


def base_image(architecture: str) -> str:
    """The name of the base image in the cache, made now if it is not there: near enough to debian:trixie-slim."""
    foreign = architecture != own_architecture()
    key = hashlib.sha256(f"{SUITE} {BASE_PACKAGES}{architecture * foreign}".encode()).hexdigest()[:12]
    name = f"localhost/registry-trust-base:{SUITE}-{key}"
    if _buildah_says("inspect", "--type=image", name):
        return name
    _say(f"base image: debootstrap {SUITE} (once; about a minute)")
    with tempfile.TemporaryDirectory(dir=_storage(), prefix="debootstrap-") as temporary:
        root = Path(temporary) / "root"
        _run(
            "debootstrap",
            "--variant=minbase",
            f"--arch={architecture}",
            f"--include={','.join(BASE_PACKAGES)}",
            SUITE,
            str(root),
            debian_mirror(),
        )
        for left in (
            "var/cache/apt/archives",
            "var/lib/apt/lists",
            "usr/share/doc",
            "usr/share/man",
            "usr/share/locale",
        ):
            shutil.rmtree(root / left, ignore_errors=True)
            (root / left).mkdir(parents=True)
        (root / "var/lib/apt/lists/partial").mkdir()
        (root / "var/cache/apt/archives/partial").mkdir()
        with _container() as container:
            _buildah("add", "--quiet", container, str(root), "/")
            _buildah("config", f"--arch={architecture}", container)
            _buildah("commit", "--quiet", container, name)
    return name


def debian_mirror() -> str:
    """Where this machine's own apt gets Debian's main packages from.

    Raises ImageBuildError on a machine whose apt knows none.
    """
    listed = _run(
        "apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)", "Created-By: Packages"
    )
    for line in listed.splitlines():
        origin, component, codename, *uri = line.split()
        if origin == "Debian" and component == "main" and "-" not in codename and uri:
            return uri[0]
    message = "apt has no source of Debian's main packages (run apt-get update?); the base image comes from there"
    raise ImageBuildError(message)


def _ca_volume() -> list[str]:
    return [f"{_CA_BUNDLE}:{_CA_BUNDLE}:ro"] if _CA_BUNDLE.exists() else []


def _pip_volumes(private: Path) -> list[str]:
    """This machine's pip configuration for the time of the build; nothing of it stays in the image."""
    settings: dict[str, str] = {}
    volumes = []
    listed = _run(sys.executable, "-m", "pip", "config", "list")
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        # Environment comes first in the list and wins in pip.
        settings.setdefault(name.rpartition(".")[2], value.strip("'\""))
    for value in settings.values():
        place = Path(value)
        if (place.is_absolute() and place.is_dir()) or (
            place.is_absolute() and place.is_file() and place != _CA_BUNDLE
        ):  # such as find-links
            volumes.append(f"{place}:{place}:ro")
    if not settings:
        return []
    configuration = private / "pip.conf"
    configuration.touch(mode=0o600)  # an index may be named with a password
    configuration.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
    return [*volumes, f"{configuration}:/etc/pip.conf:ro"]


@contextmanager
def _container(image: str = "scratch") -> Iterator[str]:
    container = _buildah("from", "--pull=never", image).strip()
    try:
        yield container
    finally:
        _buildah("rm", container)


def _storage() -> Path:
    """buildah's images and containers, apart from those of anybody else on this machine."""
    path = cache_folder() / "images"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _buildah(*arguments: str) -> str:
    return _run(*_buildah_command(arguments))


def _buildah_says(*arguments: str) -> bool:
    done = subprocess.run(_buildah_command(arguments), capture_output=True, timeout=60, check=False, env=_environment())
    return done.returncode == 0


def _buildah_command(arguments: Sequence[str]) -> list[str]:
    storage = _storage()
    return ["buildah", f"--root={storage / 'storage'}", f"--runroot={storage / 'run'}", *arguments]


def _environment() -> dict[str, str]:
    # chroot: without a container engine's network and cgroups, a RUN needs no more than a changed root.
    return {**os.environ, "BUILDAH_ISOLATION": "chroot"}


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=_environment())
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        message = f"{' '.join(command[:4])} … failed:\n{last}"
        raise ImageBuildError(message)
    return done.stdout


def _say(text: str) -> None:
    sys.stderr.write(f"[image] {text}\n")
    sys.stderr.flush()
