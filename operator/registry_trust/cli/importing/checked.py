"""What was found, checked as the operator checks it: one material for each registry, or the operator's own words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from registry_trust.certificates.authorities import read_ca_certificates
from registry_trust.certificates.pairs import read_client_pair
from registry_trust.certificates.private import PrivateKey
from registry_trust.cli.importing.found import Found, Gravity, Notice, Pair
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.text import listing

_BLOCK = re.compile(rb"^-----BEGIN ([A-Z0-9 ]{1,40})-----.*?^-----END \1-----[ \t\r]*\n?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class CheckedClient:
    """A client certificate with its chain (canonical PEM), and its key."""

    certificate: bytes
    key: PrivateKey


@dataclass(frozen=True, slots=True)
class Imported:
    """What one registry is to have: canonical PEM of one CA certificate each, sorted, and pairs in their order."""

    registry: str
    authorities: tuple[bytes, ...]
    pairs: tuple[CheckedClient, ...]
    has_settings: bool = False


def check(found: Iterable[Found], now: datetime) -> tuple[tuple[Imported, ...], tuple[Notice, ...]]:
    """Return the materials, sorted by registry, and what the operator would say of what was found.

    Several finds for one registry add up, as several trusts do.
    """
    of_registry: dict[str, list[Found]] = {}
    for each in found:
        of_registry.setdefault(each.registry, []).append(each)
    notices: list[Notice] = []
    materials = []
    for registry, finds in sorted(of_registry.items()):
        read = [_material(each, now, notices) for each in finds]
        if len({(each.authorities, each.pairs) for each in read}) > 1:
            places = listing([each.place for each in finds], 5)
            notices.append(
                Notice(Gravity.NOTE, f"{registry} has different certificates in {places}; it gets all of them")
            )
        material = Imported(
            registry,
            tuple(sorted({pem for each in read for pem in each.authorities})),
            tuple(dict.fromkeys(pair for each in read for pair in each.pairs)),
            any(each.has_settings for each in read),
        )
        if material.authorities or material.pairs:
            materials.append(material)
    return tuple(materials), tuple(dict.fromkeys(notices))


def _material(found: Found, now: datetime, notices: list[Notice]) -> Imported:
    authorities: list[bytes] = []
    pairs: list[CheckedClient] = []
    for text in found.authorities:
        try:
            roots = read_ca_certificates(text.data, field="", place=text.place, now=now, registries=(found.registry,))
        except UnusableMaterial as error:
            notices.append(Notice(Gravity.LOST, f"{found.registry}: {error.problem}"))
            continue
        authorities += roots.pems
        notices += [Notice(Gravity.WARNING, f"{found.registry}: {problem}") for problem in roots.warnings]
    for pair in found.pairs:
        certificate, key = _parts(pair)
        try:
            checked = read_client_pair(
                certificate,
                key,
                field="",
                certificate_place=pair.certificate.place,
                key_place=pair.key.place,
                now=now,
            )
        except UnusableMaterial as error:
            notices.append(Notice(Gravity.LOST, f"{found.registry}: {error.problem}"))
            continue
        pairs.append(CheckedClient(checked.certificate, checked.key))
        notices += [Notice(Gravity.WARNING, f"{found.registry}: {problem}") for problem in checked.warnings]
    return Imported(found.registry, tuple(authorities), tuple(pairs), found.has_settings)


def _parts(pair: Pair) -> tuple[bytes, bytes]:
    """Return certificate and key; a file that has both (containerd hosts.go, `client` as one path) is taken apart."""
    if pair.certificate != pair.key:
        return pair.certificate.data, pair.key.data
    blocks = [(found[1], found[0]) for found in _BLOCK.finditer(pair.certificate.data)]
    return _of(blocks, key=False) or pair.certificate.data, _of(blocks, key=True)


def _of(blocks: Sequence[tuple[bytes, bytes]], *, key: bool) -> bytes:
    return b"".join(text for label, text in blocks if (label != b"CERTIFICATE") is key)
