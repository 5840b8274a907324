"""A release's values: what changed, the image's name, archives, bills of materials, options of programs."""

from __future__ import annotations

import io
import json
import os
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from tools.release import archive
from tools.release.archive import INDEX, Descriptor
from tools.release.artefacts import Artefact, Image, Release
from tools.release.bill import bill, packages_of
from tools.release.chart import changes, with_image
from tools.release.publish import Certificates

CHANGELOG = """\
# Changelog

## [Unreleased]

### Added

- `A thing` of
  two lines, with [a link](docs/a.md).

### Fixed

- Another one.

## [0.1.0] - 2026-01-02

### Added

- The first.
"""


def test_changes_are_those_of_the_version_and_of_the_next_one_what_is_unreleased():
    assert changes(CHANGELOG, "0.1.0") == [{"kind": "added", "description": "The first."}]
    assert changes(CHANGELOG, "0.2.0") == [
        {"kind": "added", "description": "`A thing` of two lines, with a link."},
        {"kind": "fixed", "description": "Another one."},
    ]


VALUES = """\
image:
  # A comment.
  repository: localhost/registry-trust
  tag: ""
  digest: ""
"""


def test_the_image_is_pinned_and_the_rest_of_the_values_stays():
    pinned = with_image(VALUES, Image("harbor.corp.example:5000/team/registry-trust", "sha256:12"))

    assert pinned == (
        "image:\n  # A comment.\n  repository: harbor.corp.example:5000/team/registry-trust\n"
        '  tag: ""\n  digest: "sha256:12"\n'
    )
    assert with_image(VALUES, Image()) == VALUES


def test_values_that_name_the_image_in_another_way_are_refused():
    with pytest.raises(ValueError, match="0 places that name the image's repository"):
        with_image(VALUES.replace("localhost", "elsewhere"), Image("x/y", "sha256:12"))


# ---- archives --------------------------------------------------------------------------------------------------------


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            information = tarfile.TarInfo(name)
            information.size = len(content)
            tar.addfile(information, io.BytesIO(content))
    return buffer.getvalue()


def layout(folder: Path, files: dict[str, bytes], label: str = "") -> Path:
    """Write an OCI layout of one image with one layer."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes) -> dict[str, object]:
        digest = sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": "x", "digest": f"sha256:{digest}", "size": len(content)}

    manifest = {"config": blob(json.dumps({"label": label}).encode()), "layers": [blob(tar_of(files))]}
    (folder / "index.json").write_text(json.dumps({"manifests": [blob(json.dumps(manifest).encode())]}))
    (folder / "oci-layout").write_text("{}")
    return folder


METADATA = (
    b"Metadata-Version: 2.4\nName: Charset_Normalizer\nVersion: 3.4.0\nLicense-Expression: MIT\n\nName: of the text\n"
)
OURS = b"Metadata-Version: 2.4\nName: registry-trust\nVersion: 0.1.0\n"
PARAGRAPH = b"Package: libc6\nArchitecture: arm64\nVersion: 2.41-12+deb13u5\nDescription: C\n more\n"
FILES = {
    "opt/site-packages/charset_normalizer-3.4.0.dist-info/METADATA": METADATA,
    "opt/site-packages/registry_trust-0.1.0.dist-info/METADATA": OURS,
    "opt/site-packages/registry_trust/METADATA": b"Name: not a package\n",
    "var/lib/dpkg/status.d/libc6": PARAGRAPH,
}


def test_an_archive_is_the_same_whatever_the_times_and_modes_of_the_files(tmp_path):
    one = layout(tmp_path / "one", {"a": b"1"})
    two = layout(tmp_path / "two", {"a": b"1"})
    for path in two.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    for source, to in ((one, "one.tar"), (two, "two.tar")):
        archive.write_archive(source, tmp_path / to, name="localhost/x:1", moment=12)

    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        assert {member.mtime for member in tar} == {12}
        file = tar.extractfile("manifest.json")
        assert file is not None
        (docker,) = json.load(file)
        assert docker["RepoTags"] == ["localhost/x:1"]
        assert {docker["Config"], *docker["Layers"]} < set(tar.getnames())


def test_several_architectures_are_pushed_as_one_index_and_one_as_itself(tmp_path):
    archives = {}
    for architecture in ("arm64", "amd64"):
        made = layout(tmp_path / architecture, {"a": b"1"}, label=architecture)
        archives[architecture] = tmp_path / f"{architecture}.tar"
        archive.write_archive(made, archives[architecture], name="localhost/x:1", moment=0)

    alone = archive.join({"arm64": archives["arm64"]}, tmp_path / "alone")
    both = archive.join(archives, tmp_path / "both")

    assert alone == archive.described(archives["arm64"])
    assert both.media_type == INDEX
    content = (tmp_path / "both" / "blobs" / both.digest.replace(":", "/")).read_bytes()
    assert Descriptor.of(INDEX, content) == both
    assert [(one["platform"]["architecture"], one["digest"]) for one in json.loads(content)["manifests"]] == [
        (name, archive.described(archives[name]).digest) for name in ("amd64", "arm64")
    ]


# ---- bills of materials ----------------------------------------------------------------------------------------------


def test_a_bill_lists_what_an_image_has_from_pypi_and_from_debian(tmp_path):
    made = layout(tmp_path / "layout", FILES)
    archive.write_archive(made, tmp_path / "image.tar", name="localhost/x:1", moment=0)
    members = archive.read_members(tmp_path / "image.tar", (".dist-info/METADATA", "var/lib/dpkg/status.d/"))

    packages = packages_of(members)

    assert [(package.url, package.license) for package in packages] == [
        ("pkg:deb/debian/libc6@2.41-12%2Bdeb13u5?arch=arm64&distro=trixie", ""),
        ("pkg:pypi/charset-normalizer@3.4.0", "MIT"),
    ]
    text = bill(packages, version="0.1.0", moment=0, digest="sha256:12")
    assert text == bill(packages, version="0.1.0", moment=0, digest="sha256:12")
    read = json.loads(text)
    assert (read["bomFormat"], read["specVersion"]) == ("CycloneDX", "1.6")
    assert read["metadata"]["timestamp"] == "1970-01-01T00:00:00+00:00"
    assert read["metadata"]["component"]["purl"] == "pkg:oci/registry-trust@sha256:12"
    assert {one["purl"] for one in read["components"]} == {package.url for package in packages}


# ---- pushing ---------------------------------------------------------------------------------------------------------


def test_programs_get_the_certificates_that_the_first_directory_has_for_the_registry(tmp_path):
    for root, file in (("containers", "client.cert"), ("docker", "ca.crt"), ("docker", "client.key")):
        folder = tmp_path / root / "harbor.corp.example:5000"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    roots = [tmp_path / "absent", tmp_path / "docker", tmp_path / "containers"]
    found = Certificates.of("harbor.corp.example:5000/team", roots)

    assert found.options("--ca", "--cert", "--key") == [
        f"--ca={tmp_path}/docker/harbor.corp.example:5000/ca.crt",
        f"--key={tmp_path}/docker/harbor.corp.example:5000/client.key",
    ]
    assert Certificates.of("harbor.corp.example/team", roots).options("--ca", "--cert", "--key") == []


def test_a_release_has_a_file_for_each_architecture_whose_image_is_there(tmp_path):
    release = Release("0.1.0", 0, tmp_path)
    assert release.architectures == []
    release.path(Artefact.IMAGE, "arm64").touch()

    assert release.architectures == ["arm64"]
    assert [path.name for path in release.files] == ["registry-trust-0.1.0-linux-arm64.oci.tar"]
