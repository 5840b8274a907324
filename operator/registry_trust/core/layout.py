"""Layouts: which directory and files make a runtime trust one registry, and by which names each reader looks for it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from registry_trust.core.carried import MARK, Carried, Host, toml_lines

NAME_LIMIT = 255
"""Bytes of one name in a directory (Linux NAME_MAX)."""

STORE = ".registry-trust"
"""The directory inside each root that holds generations and manifests; no runtime looks into it."""

REPLACED = ".registry-trust-replaced."
"""Before an entry's name: what stood in its place before, kept in the same root until the entry goes.

In the same root, because a rename inside one directory can't be half done by a power loss, and because it needs no
permission on the directory that is renamed, whoever owns it.
"""

DOCKER_HUB = "docker.io"
"""Docker Hub, as references name it; its server is registry-1.docker.io."""

DEFAULT = "_default"
"""What containerd reads for every registry that has no directory of its own."""

CA_FILE = "ca.crt"
"""All of a registry's CA certificates."""
HOSTS_FILE = "hosts.toml"
"""What containerd reads first; it names the other files."""
AUTHORITIES, CERTIFICATE, KEY = ".crt", ".cert", ".key"
ENDINGS = (AUTHORITIES, CERTIFICATE, KEY)
"""By these endings every runtime knows a file for what it is, in its own layout and beside an absent `hosts.toml`."""

_FILE = re.compile(rf"[A-Za-z0-9-][A-Za-z0-9._-]*(?:{'|'.join(map(re.escape, ENDINGS))})|{re.escape(HOSTS_FILE)}")

PRIVATE_FILE = 0o600
PUBLIC_FILE = 0o644
PRIVATE_DIRECTORY = 0o700
PUBLIC_DIRECTORY = 0o755


class Layout(StrEnum):
    """How a runtime reads a root of certificate directories."""

    DOCKER = "docker"
    """dockerd, `/etc/docker/certs.d/<host[:port]>/`: ca.crt, client.cert, client.key."""
    CONTAINERS = "containers"
    """CRI-O, Podman, Buildah, Skopeo: the same files, several roots, the first that has the host wins."""
    CONTAINERD = "containerd"
    """containerd, `<host>_<port>_/hosts.toml`."""


class Reader(StrEnum):
    """Who looks for a registry's directory in a root; that says by which names, and not the layout that is written."""

    DOCKERD = "dockerd"
    """dockerd with its classic image store: the reference's own name."""
    CONTAINERS = "containers-image"
    """CRI-O, Podman, Buildah, Skopeo: the reference's own name, in one root after the other."""
    CONTAINERD = "containerd"
    """containerd: three names, in one root after the other."""
    DOCKERD_CONTAINERD = "dockerd-containerd"
    """dockerd with the containerd image store: containerd's names, in its own root (28 on, moby daemon/hosts.go)."""


@dataclass(frozen=True, slots=True)
class ClientPair:
    """A client certificate chain and its key as PEM; never printed."""

    name: str
    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Material:
    """What one registry gets on one node: CA certificates and client pairs, in the order to be tried."""

    ca_certificates: tuple[bytes, ...] = ()
    client_pairs: tuple[ClientPair, ...] = ()


@dataclass(frozen=True, slots=True)
class Carrying:
    """What an entry takes along of a `_default`, and what each of `carried.everything()` gets; None for nothing."""

    carried: Carried
    materials: tuple[Material | None, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a generation: name, mode (permission bits) and bytes; never printed."""

    name: str
    mode: int
    data: bytes = field(repr=False)

    def holds_key(self) -> bool:
        """Say whether it is a private key."""
        return self.name.endswith(KEY)

    def holds_certificates(self) -> bool:
        """Say whether it has certificates alone, of CAs or of a client."""
        return self.name.endswith((AUTHORITIES, CERTIFICATE))


def entry_name(layout: Layout, registry: str) -> str:
    """Return the name of the directory that is written for a registry in this layout.

    containerd (hosts.go, 1.6 to 2.4) tries `<host>_<port>_` before `<host>:<port>`. An IPv6 address without a port
    keeps its own name: containerd would take its last group for a port, and then falls back to the plain name.
    """
    host, colon, port = registry.rpartition(":")
    return f"{host}_{port}_" if layout is Layout.CONTAINERD and colon and not port.endswith("]") else registry


def replaced_name(entry: str) -> str:
    """Return the name under which a root keeps what an entry replaced."""
    return f"{REPLACED}{entry}"


def is_file_name(name: str) -> bool:
    """Say whether `render` could give a file this name."""
    return _FILE.fullmatch(name) is not None


def possible_readers(layout: Layout) -> tuple[Reader, ...]:
    """Return who may read a root that is written in this layout, when nothing more is known of the node."""
    return {
        Layout.DOCKER: (Reader.DOCKERD, Reader.DOCKERD_CONTAINERD),
        Layout.CONTAINERS: (Reader.CONTAINERS,),
        Layout.CONTAINERD: (Reader.CONTAINERD,),
    }[layout]


def lookup_names(reader: Reader, registry: str) -> tuple[str, ...]:
    """Return every directory name that a reader tries in one root for a registry, in its order.

    containerd's loader tries two spellings and then `_default`; the others know one name. dockerd's classic store looks
    for none at all if the registry is Docker Hub (moby registry/service_v2.go).
    """
    if reader in (Reader.DOCKERD, Reader.CONTAINERS):
        return () if reader is Reader.DOCKERD and registry == DOCKER_HUB else (registry,)
    names = [registry]
    if ":" in registry[1:]:
        # containerd replaces the last colon, whatever it separates: `[2001:db8::1]` becomes `[2001:db8:_1]_`.
        head, _, tail = registry.rpartition(":")
        names = [f"{head}_{tail}_", registry]
    return (*names, DEFAULT)


def directory_names(registry: str) -> frozenset[str]:
    """Return every name in a root that stands for a registry: in any layout, for any reader, or for the store."""
    entries = {entry_name(layout, registry) for layout in Layout}
    lookups = {name for reader in Reader for name in lookup_names(reader, registry)}
    return frozenset({*entries, *lookups, *map(replaced_name, entries)})


def longest_registry() -> int:
    """Return how many bytes a registry may have so that each of its names fits into a directory.

    A longer one could be written and never be replaced or removed: the file system refuses the longest name.
    """
    registry = "host.example:1"
    return NAME_LIMIT - max(len(name) - len(registry) for name in directory_names(registry))


def render(
    layout: Layout, registry: str, material: Material, generation: str, carrying: Carrying | None = None
) -> tuple[File, ...]:
    """Return the files of one generation, sorted by name.

    With a key or a carried secret in it every file is 0600 (the directory is 0700 then, see `directory_mode`).
    `hosts.toml` names the files of its own generation by a path that does not pass the entry's link, so a reader
    that has read it never mixes two generations. A root for dockerd has it only where something is carried: dockerd's
    containerd store reads it, and the classic one reads what ends in `.crt`, `.cert` or `.key`.
    """
    files = _own_files(material)
    if layout is Layout.CONTAINERD or carrying is not None:
        text, copies = _hosts_toml(layout, registry, material, generation, carrying)
        files = {**files, **copies, HOSTS_FILE: text.encode()}
    given = (material,) if carrying is None else (material, *carrying.materials)
    secret = any(each.client_pairs for each in given if each is not None)
    private = secret or (carrying is not None and carrying.carried.private)
    mode = PRIVATE_FILE if private else PUBLIC_FILE
    return tuple(File(name, mode, data) for name, data in sorted(files.items()))


def _own_files(material: Material) -> dict[str, bytes]:
    files = {CA_FILE: b"".join(material.ca_certificates)} if material.ca_certificates else {}
    for name, pair in zip(pair_names(material.client_pairs), material.client_pairs, strict=True):
        certificate, key = pair_files(name)
        files |= {certificate: pair.certificate, key: pair.key}
    return files


def pair_names(pairs: Sequence[ClientPair]) -> tuple[str, ...]:
    """Return file names without ending; several get prefixes of two digits or more: runtimes load alphabetically."""
    if len(pairs) == 1:
        return (pairs[0].name,)
    width = max(2, len(str(len(pairs) - 1)))
    return tuple(f"{number:0{width}d}-{pair.name}" for number, pair in enumerate(pairs))


def pair_files(name: str) -> tuple[str, str]:
    """Return the names of a client pair's certificate and key."""
    return f"{name}{CERTIFICATE}", f"{name}{KEY}"


def directory_mode(files: Sequence[File]) -> int:
    """Return the mode of a generation's directory: 0700 where a file is private.

    A reader that is not root then goes on to its next root (containers-image) instead of failing on the key.
    """
    private = any(file.mode == PRIVATE_FILE for file in files)
    return PRIVATE_DIRECTORY if private else PUBLIC_DIRECTORY


def content_hash(layout: Layout, registry: str, material: Material, carrying: Carrying | None = None) -> str:
    """Return 16 hex digits over layout, names, modes and bytes of the files that this material makes.

    Independent of the generation's own name, although `hosts.toml` carries it, and of the values of headers that are
    carried: this hash is shown, and a password in a header could be guessed from it.
    """
    if carrying is not None:
        carrying = replace(carrying, carried=carrying.carried.without_secrets())
    digest = hashlib.sha256(layout.value.encode())
    for file in render(layout, registry, material, "", carrying):
        head = f"\0{file.name}\0{file.mode:o}\0{len(file.data)}\0"
        digest.update(head.encode())
        digest.update(file.data)
    return digest.hexdigest()[:16]


def generation_name(digest: str, number: int) -> str:
    """Return the name of a generation's directory: content hash, and a number that a repair raises."""
    return f"{digest}-{number}"


def _hosts_toml(
    layout: Layout, registry: str, material: Material, generation: str, carrying: Carrying | None
) -> tuple[str, dict[str, bytes]]:
    """Return the text of a `hosts.toml`, and the files that it needs beside the registry's own."""
    base = f"../{STORE}/{entry_name(layout, registry)}/{generation}"
    ca = [f"{base}/{CA_FILE}"] if material.ca_certificates else []
    pairs = map(pair_files, pair_names(material.client_pairs))
    own = (ca, [(f"{base}/{certificate}", f"{base}/{key}") for certificate, key in pairs])
    lines = ["# Managed by registry-trust. Changes are replaced; name another registry in your own hosts.toml."]
    copies: dict[str, bytes] = {}
    hosts: list[Host] = []
    root = Host().plus(*own)
    if carrying is not None:
        lines.append(MARK)
        for number, (host, given) in enumerate(zip(carrying.carried.everything(), carrying.materials, strict=True)):
            if given is None:
                hosts.append(host)
            elif given == material:
                hosts.append(host.plus(*own))
            else:
                files = _copies(number, given)
                copies |= files
                ca = [f"{base}/{name}" for name in files if name == _copied_ca(number)]
                client = [(f"{base}/{name}", f"{base}/{name}") for name in files if name != _copied_ca(number)]
                hosts.append(host.plus(ca, client))
        root = hosts.pop()
    bare = carrying is not None and carrying.carried.bare
    return "\n".join([*lines, *toml_lines(root, hosts, bare=bare)]), copies


def _copied_ca(number: int) -> str:
    # Upper case: no client pair has such a name.
    return f"HOST-{number:02d}-ca{KEY}"


def _copies(number: int, material: Material) -> dict[str, bytes]:
    """Return another registry's certificates as files that are read only where `hosts.toml` names them.

    A lone `.key` is what no containerd loads by its name (hosts.go, loadCertFiles): if it can't read `hosts.toml`, the
    registry must not get the certificates of a mirror. A pair is one file with both, which containerd takes.
    """
    files = {_copied_ca(number): b"".join(material.ca_certificates)} if material.ca_certificates else {}
    for name, pair in zip(pair_names(material.client_pairs), material.client_pairs, strict=True):
        files[f"HOST-{number:02d}-client-{name}{KEY}"] = pair.certificate + pair.key
    return files
