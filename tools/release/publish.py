"""Pushes a release's image and chart to a registry, names the image there by its digest, and signs both."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.binaries import binary
from tools.release import archive
from tools.release.artefacts import PRODUCT, Artefact, Image, Release
from tools.release.build import name_image

CERTIFICATES = (Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))
"""Where the tools of Podman and Docker look for a registry's certificates, by host[:port]; the first one counts."""


@dataclass(frozen=True)
class Signer:
    """What cosign signs with: a key of its own format (its password in COSIGN_PASSWORD), or a workflow's identity."""

    key: Path | None

    @property
    def arguments(self) -> list[str]:
        """A key signs without the public log: nothing but the registry is asked."""
        if self.key is None:
            return []
        return [f"--key={self.key}", "--tlog-upload=false", "--use-signing-config=false"]


@dataclass(frozen=True)
class Certificates:
    """A registry's directory of certificates as Docker has it: ca.crt, client.cert and client.key, as far as there."""

    folder: Path | None = None

    @classmethod
    def of(cls, registry: str, roots: Sequence[Path] = CERTIFICATES) -> "Certificates":
        host = registry.partition("/")[0]
        return cls(next((root / host for root in roots if (root / host).is_dir()), None))

    def options(self, ca: str, certificate: str, key: str) -> list[str]:
        """The options of a program, by its names for them."""
        named = {"ca.crt": ca, "client.cert": certificate, "client.key": key}
        folder = self.folder
        return [f"{option}={folder / file}" for file, option in named.items() if folder and (folder / file).is_file()]


class PublishError(Exception):
    """A program that pushes or signs failed; the message has its words."""


def publish(release: Release, registry: str, signer: Signer | None, say: Callable[[str], None]) -> None:
    """Pushes to `registry`, host[:port]/path; chart and manifest in the release's folder name the pushed image.

    Raises PublishError.
    """
    if not release.architectures:
        raise PublishError(f"there is no image of version {release.version} in {release.folder}: build it first")
    if shutil.which("skopeo") is None:
        raise PublishError("pushing needs skopeo: apt-get install skopeo")
    certificates = Certificates.of(registry)
    image = Image(f"{registry}/{PRODUCT}", _push_image(release, f"{registry}/{PRODUCT}", certificates))
    say(f"pushed {image.repository}@{image.digest}")
    name_image(release, image)
    chart = f"{registry}/charts"
    digest = _push_chart(release, chart, certificates)
    say(f"pushed oci://{chart}/{PRODUCT} {release.version} ({digest})")
    if signer:
        for name in (f"{image.repository}@{image.digest}", f"{chart}/{PRODUCT}@{digest}"):
            _sign(name, signer, certificates)
            say(f"signed {name}")


def _push_image(release: Release, repository: str, certificates: Certificates) -> str:
    archives = {one: release.path(Artefact.IMAGE, one) for one in release.architectures}
    with tempfile.TemporaryDirectory() as layout:
        top = archive.join(archives, Path(layout))
        place = [f"--dest-cert-dir={certificates.folder}"] if certificates.folder else []
        _run(
            *("skopeo", "copy", "--quiet", "--all", "--preserve-digests"),
            *(*place, f"oci:{layout}", f"docker://{repository}:{release.version}"),
        )
    return top.digest


def _push_chart(release: Release, place: str, certificates: Certificates) -> str:
    options = certificates.options("--ca-file", "--cert-file", "--key-file")
    said = _run(str(binary("helm")), "push", str(release.path(Artefact.CHART)), f"oci://{place}", *options)
    (digest,) = {line.split()[1] for line in said.splitlines() if line.startswith("Digest:")}
    return digest


def _sign(name: str, signer: Signer, certificates: Certificates) -> None:
    options = certificates.options("--registry-cacert", "--registry-client-cert", "--registry-client-key")
    _run(str(binary("cosign")), "sign", "--yes", *signer.arguments, *options, name)


def _run(*command: str) -> str:
    """Both streams of a program together: helm writes what it pushed to the second."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        raise PublishError(f"{Path(command[0]).name} {command[1]} failed:\n{done.stdout.strip()}")
    return done.stdout
