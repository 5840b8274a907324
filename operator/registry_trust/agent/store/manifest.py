"""Manifests: `owner.json` of an entry and `state.json` of a root, as values and as bytes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry_trust.core.layout import PRIVATE_FILE, STORE, File, is_file_name

FORMAT = 1
"""Version of both files. A reader that meets a higher one keeps its hands off."""

OWNER_FILE = "owner.json"
STATE_FILE = "state.json"
SIZE_LIMIT = 1_000_000
"""Bytes of one manifest that are read; one entry's manifest has some hundred."""

_GENERATION = re.compile(r"([0-9a-f]{16})-([1-9][0-9]{0,8})")
_TEMPORARY = re.compile(r"\.(new|owner|state|link)-[0-9a-f]{16}")


class UnusableManifest(Exception):
    """A file that is no manifest, or one of a format that this version doesn't know; the text says which."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What was written under one name: SHA-256 in hex, permission bits, bytes."""

    sha256: str
    mode: int
    size: int


Generation = Mapping[str, FileRecord]
"""A generation's files by name."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """The manifest of one entry.

    Attributes:
        installation: the installation that wrote it; another one's is not ours to touch.
        generations: every generation that was made and not yet removed, by name.
        current: the generation that the entry is to point to; empty once it was removed.
    """

    installation: str
    registry: str
    entry: str
    layout: str
    trusts: tuple[str, ...]
    generations: Mapping[str, Generation] = field(default_factory=dict)
    current: str = ""

    def generation_of(self, link_text: str | None) -> str:
        """Return the generation that a link of ours points to; empty where it says anything else."""
        head, _, name = (link_text or "").rpartition("/")
        return name if head == f"{STORE}/{self.entry}" and name in self.generations else ""

    def is_private(self) -> bool:
        """Say whether any generation holds a key."""
        return any(record.mode == PRIVATE_FILE for files in self.generations.values() for record in files.values())


@dataclass(frozen=True, slots=True)
class StoreState:
    """What a root remembers: who writes it, and the bundle that was last applied as a whole ("" and 0: none).

    `source` is that bundle's `namespace/name`: whom the store serves. Empty for one that no agent has served yet.
    `writer` is the operator process that wrote it; empty if the bundle did not say.
    """

    installation: str
    bundle_uid: str = ""
    serial: int = 0
    format: int = FORMAT
    source: str = ""
    writer: str = ""


def link_to(entry: str, generation: str) -> str:
    """Return the text of an entry's link."""
    return f"{STORE}/{entry}/{generation}"


def is_link_of(entry: str, text: str | None) -> bool:
    """Say whether a link's text is one that an entry of ours could have, known generation or not."""
    head, _, name = (text or "").rpartition("/")
    return head == f"{STORE}/{entry}" and is_generation_name(name)


def records(files: Sequence[File]) -> Generation:
    """Return what a manifest records of these files."""
    return {file.name: FileRecord(hashlib.sha256(file.data).hexdigest(), file.mode, len(file.data)) for file in files}


def digest_of(generation: str) -> str:
    """Return the content hash in a generation's name."""
    return generation.rpartition("-")[0]


def next_number(digest: str, taken: Sequence[str]) -> int:
    """Return the number of the next generation of this content, given the names that are taken."""
    numbers = [int(match[2]) for name in taken if (match := _GENERATION.fullmatch(name)) and match[1] == digest]
    return max(numbers, default=0) + 1


def is_generation_name(name: str) -> bool:
    """Say whether a generation may have this name."""
    return _GENERATION.fullmatch(name) is not None


def temporary_kind(name: str) -> str:
    """Return `new`, `owner`, `state` or `link` for a temporary name of ours; empty for any other name."""
    match = _TEMPORARY.fullmatch(name)
    return match[1] if match else ""


def encode_ownership(ownership: Ownership) -> bytes:
    """Return the bytes of `owner.json`."""
    return _encode(
        {
            "format": FORMAT,
            "installation": ownership.installation,
            "registry": ownership.registry,
            "entry": ownership.entry,
            "layout": ownership.layout,
            "trusts": list(ownership.trusts),
            "generations": {
                name: {
                    "files": {
                        file: {"sha256": item.sha256, "mode": f"{item.mode:04o}", "size": item.size}
                        for file, item in sorted(files.items())
                    }
                }
                for name, files in sorted(ownership.generations.items())
            },
            "current": ownership.current,
        }
    )


def decode_ownership(data: bytes) -> Ownership:
    """Return the manifest in the bytes of an `owner.json`.

    Raises:
        UnusableManifest: it is none, or of a later format.
    """
    document = _decode(data)
    try:
        generations = {
            _checked(str(name), good=is_generation_name(name)): {
                _checked(str(file), good=is_file_name(file)): FileRecord(
                    str(item["sha256"]), int(item["mode"], 8), int(item["size"])
                )
                for file, item in value["files"].items()
            }
            for name, value in document["generations"].items()
        }
        return Ownership(
            installation=str(document["installation"]),
            registry=str(document["registry"]),
            entry=str(document["entry"]),
            layout=str(document["layout"]),
            trusts=tuple(str(trust) for trust in document["trusts"]),
            generations=generations,
            current=str(document["current"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UnusableManifest("it is not a manifest of registry-trust") from error


def encode_state(state: StoreState) -> bytes:
    """Return the bytes of `state.json`."""
    bundle = {"uid": state.bundle_uid, "serial": state.serial, "source": state.source, "writer": state.writer}
    return _encode({"format": state.format, "installation": state.installation, "bundle": bundle})


def decode_state(data: bytes) -> StoreState:
    """Return the state in the bytes of a `state.json`.

    Raises:
        UnusableManifest: it is none, or of a later format.
    """
    document = _decode(data)
    try:
        bundle = document["bundle"]
        source, writer = (str(bundle.get(key, "")) for key in ("source", "writer"))  # 0.1 did not write them.
        uid, serial = str(bundle["uid"]), int(bundle["serial"])
        return StoreState(str(document["installation"]), uid, serial, source=source, writer=writer)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UnusableManifest("it is not a state of registry-trust") from error


def _encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1).encode() + b"\n"


def _decode(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnusableManifest("it is not JSON") from error
    if not isinstance(document, dict) or not isinstance(document.get("format"), int):
        raise UnusableManifest("it has no format")
    if document["format"] > FORMAT:
        raise UnusableManifest(f"it has format {document['format']}, which a later version wrote; update this one")
    return document


def _checked(name: str, *, good: bool) -> str:
    if not good:
        raise ValueError(name)
    return name
