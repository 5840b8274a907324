"""What a release consists of: the list of its files, and the names in them; values only."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

PRODUCT = "registry-trust"
CHECKSUMS = "SHA256SUMS"
ARCHITECTURES = ("amd64", "arm64")
"""As OCI and Debian call them: an image is made for each that this machine can run."""


class Artefact(Enum):
    """Each file of a release, by the pattern of its name; {architecture} makes one for each."""

    IMAGE = "registry-trust-{version}-linux-{architecture}.oci.tar"
    BILL = "registry-trust-{version}-linux-{architecture}.cdx.json"
    WHEEL = "registry_trust-{version}-py3-none-any.whl"
    CHART = "registry-trust-{version}.tgz"
    MANIFEST = "registry-trust-{version}.yaml"


@dataclass(frozen=True)
class Image:
    """The name by which nodes get the image."""

    repository: str = f"localhost/{PRODUCT}"
    digest: str = ""
    """`sha256:…`; empty for an image that is loaded into the nodes under its tag."""


@dataclass(frozen=True)
class Release:
    """What is released, and where to: everything that the bytes of the artefacts depend on beside the sources."""

    version: str
    moment: int
    """Seconds since 1970: the time of every file in every artefact."""
    folder: Path

    def path(self, artefact: Artefact, architecture: str = "") -> Path:
        """Where an artefact is written."""
        return self.folder / artefact.value.format(version=self.version, architecture=architecture)

    @property
    def loaded_name(self) -> str:
        """The image's name in the archives."""
        return f"{Image().repository}:{self.version}"

    @property
    def architectures(self) -> list[str]:
        """Those whose image is there."""
        return [one for one in ARCHITECTURES if self.path(Artefact.IMAGE, one).is_file()]

    @property
    def files(self) -> list[Path]:
        """Every artefact that is there, by name."""
        named = {self.path(artefact, one) for artefact in Artefact for one in ARCHITECTURES}
        return sorted(path for path in named if path.is_file())
