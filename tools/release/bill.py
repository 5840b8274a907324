"""Writes an image's bill of materials (CycloneDX): what it has from PyPI and Debian, read from the image itself."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import Parser
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseAcknowledgement
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tools.cluster.images import SUITE
from tools.release import archive
from tools.release.artefacts import PRODUCT

_PYTHON = ".dist-info/METADATA"
_DEBIAN = "var/lib/dpkg/status.d/"


@dataclass(frozen=True, order=True)
class Package:
    """One package: its package URL is its identity."""

    url: str
    license: str = ""

    @property
    def component(self) -> Component:
        parsed = PackageURL.from_string(self.url)
        license_ = LicenseFactory().make_from_string(
            self.license, license_acknowledgement=LicenseAcknowledgement.DECLARED
        )
        return Component(
            name=parsed.name,
            version=parsed.version,
            type=ComponentType.LIBRARY,
            purl=parsed,
            bom_ref=self.url,
            licenses=[license_] if self.license else [],
        )


def packages_of(members: Iterable[tuple[str, bytes]]) -> list[Package]:
    """The packages that files of an image describe: METADATA of Python's, paragraphs of Debian's status."""
    found = set()
    for name, content in members:
        fields = Parser().parsestr(content.decode("utf-8", "replace"), headersonly=True)
        if name.endswith(_PYTHON):
            if fields["Name"] != PRODUCT:
                url = PackageURL("pypi", name=fields["Name"], version=fields["Version"])
                found.add(Package(str(url), fields.get("License-Expression", "")))
        else:
            built_for = {"arch": fields["Architecture"], "distro": SUITE}
            url = PackageURL("deb", "debian", fields["Package"], fields["Version"], built_for)
            found.add(Package(str(url)))
    return sorted(found)


def bill(packages: Iterable[Package], *, version: str, moment: int, digest: str) -> str:
    """The document, the same for the same values. `digest` is the image's."""
    url = PackageURL("oci", name=PRODUCT, version=digest)
    root = Component(
        name=PRODUCT, version=version, type=ComponentType.CONTAINER, purl=url, bom_ref=str(url), licenses=[]
    )
    document = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, digest), components=[one.component for one in packages])
    document.metadata.timestamp = datetime.fromtimestamp(moment, UTC)
    document.metadata.component = root
    document.register_dependency(root, document.components)
    return str(JsonV1Dot6(document).output_as_string(indent=2)) + "\n"


def write_bill(image: Path, to: Path, *, version: str, moment: int) -> None:
    """Writes the bill of an archive's image."""
    packages = packages_of(archive.read_members(image, (_PYTHON, _DEBIAN)))
    kinds = {package.url.partition("/")[0] for package in packages}
    assert kinds == {"pkg:pypi", "pkg:deb"}, f"{image.name} describes packages of {kinds or 'nobody'}"
    to.write_text(bill(packages, version=version, moment=moment, digest=archive.described(image).digest))
