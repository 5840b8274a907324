"""Reads and writes OCI layouts: as the archive that every runtime loads, and as what is pushed for one name."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
_LAYOUT = json.dumps({"imageLayoutVersion": "1.0.0"}).encode()


@dataclass(frozen=True)
class Descriptor:
    """Names a manifest by its digest, `sha256:…`, and its size in bytes."""

    media_type: str
    digest: str
    size: int

    @classmethod
    def of(cls, media_type: str, content: bytes) -> "Descriptor":
        return cls(media_type, f"sha256:{sha256(content).hexdigest()}", len(content))

    def to_json(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


def write_archive(layout: Path, archive: Path, *, name: str, moment: int) -> None:
    """Packs a layout of one image: sorted, with one time for all files, owned by root.

    manifest.json is for dockerd with its classic store, which knows no OCI layout. containerd, CRI-O and Podman read
    index.json where there are both (containerd: core/images/archive/importer.go).
    """
    described = json.loads((layout / "index.json").read_text())["manifests"][0]
    manifest = json.loads(_blob(layout, described["digest"]))
    docker = {
        "Config": _place(manifest["config"]["digest"]),
        "RepoTags": [name],
        "Layers": [_place(layer["digest"]) for layer in manifest["layers"]],
    }
    files = {path.relative_to(layout).as_posix(): path for path in sorted(layout.rglob("*")) if path.is_file()}
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
        content = {"manifest.json": json.dumps([docker]).encode()}
        for member in sorted({*files, *content}):
            data = content.get(member) or files[member].read_bytes()
            information = tarfile.TarInfo(member)
            information.size, information.mtime = len(data), moment
            tar.addfile(information, io.BytesIO(data))


def read_members(archive: Path, wanted: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yields name and content of the files in an archive's layers whose path has one of the wanted parts."""
    with tarfile.open(archive) as tar:
        manifest = json.loads(_read(tar, _place(described(archive).digest)))
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(_read(tar, _place(layer["digest"])))) as files:
                for member in files:
                    if member.isfile() and any(part in member.name for part in wanted):
                        yield member.name, _read(files, member.name)


def described(archive: Path) -> Descriptor:
    """The archive's one image."""
    with tarfile.open(archive) as tar:
        (one,) = json.loads(_read(tar, "index.json"))["manifests"]
    return Descriptor(one["mediaType"], one["digest"], one["size"])


def join(archives: Mapping[str, Path], layout: Path) -> Descriptor:
    """Writes one layout of images by architecture, and returns what to push: the image, or an index of several."""
    for archive in archives.values():
        with tarfile.open(archive) as tar:
            tar.extractall(layout, filter="data")
    images = {architecture: described(archive) for architecture, archive in archives.items()}
    top, index = top_of(images)
    if index:
        (layout / _place(top.digest)).write_bytes(index)
    (layout / "oci-layout").write_bytes(_LAYOUT)
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top.to_json()]}))
    return top


def top_of(images: Mapping[str, Descriptor]) -> tuple[Descriptor, bytes]:
    """What names images by architecture: the only one itself, or an index, whose content is returned, too."""
    if len(images) == 1:
        return next(iter(images.values())), b""
    listed = [
        {**one.to_json(), "platform": {"architecture": architecture, "os": "linux"}}
        for architecture, one in sorted(images.items())
    ]
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode()
    return Descriptor.of(INDEX, content), content


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/', 1)}"


def _blob(layout: Path, digest: str) -> bytes:
    return (layout / _place(digest)).read_bytes()


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None, f"{name} is not a file"
    return file.read()
