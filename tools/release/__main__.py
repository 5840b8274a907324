"""Command line of `make release`: `build` makes everything offline, `publish` pushes and signs what is there."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from tools.cluster import images
from tools.cluster.binaries import BuildFailedError
from tools.cluster.go_toolchain import NoGoToolchainError
from tools.release.build import build, release_of_repository
from tools.release.publish import PublishError, Signer, publish

_REGISTRY = re.compile(r"[\w.\-\[\]:]+(/[a-z0-9._\-]+)*")


def _registry(text: str) -> str:
    """HOST[:PORT]/PATH: a path is part of it, for image and chart are two repositories below."""
    if not _REGISTRY.fullmatch(text) or "/" not in text:
        raise argparse.ArgumentTypeError(f"expected HOST[:PORT]/PATH, without https://; found {text!r}")
    return text


def _say(text: str) -> None:
    sys.stderr.write(f"[release] {text}\n")
    sys.stderr.flush()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="image, wheel, chart, manifest, bills of materials, checksums")
    publishing = commands.add_parser("publish", help="push image and chart; both name the image by its digest then")
    for command in (building, publishing):
        command.add_argument("--to", type=Path, default=Path("dist"), help="the release's folder; dist by default")
    publishing.add_argument("--registry", type=_registry, required=True, help="HOST[:PORT]/PATH")
    signing = publishing.add_mutually_exclusive_group()
    signing.add_argument("--signing-key", type=Path, help="of `cosign generate-key-pair`; password: COSIGN_PASSWORD")
    signing.add_argument("--keyless", action="store_true", help="sign by the identity of the workflow that runs this")
    chosen = parser.parse_args(arguments)
    release = release_of_repository(chosen.to)
    try:
        if chosen.command == "build":
            build(release, _say)
        else:
            signer = Signer(chosen.signing_key) if chosen.signing_key or chosen.keyless else None
            publish(release, chosen.registry, signer, _say)
    except (
        images.ImageBuildError,
        PublishError,
        BuildFailedError,
        NoGoToolchainError,
        subprocess.CalledProcessError,
    ) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.writelines(f"{path}\n" for path in release.files)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
