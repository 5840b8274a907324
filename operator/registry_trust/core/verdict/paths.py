"""Paths: whether Go's crypto/x509 finds a chain from a registry's certificate to a trusted one.

Source: verify.go of Go 1.20 to 1.26 (buildChains, isValid, CheckSignatureFrom). It compares names byte by byte, tries
every candidate, takes any trusted certificate for a root, and wants dates, basicConstraints, keyCertSign and
serverAuth of each. Where versions of it differ, or OpenSSL does, a path is doubtful and says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from registry_trust.core.text import quote
from registry_trust.core.verdict.certificates import ParsedCertificate
from registry_trust.core.x509.extensions import serves
from registry_trust.core.x509.signatures import OUTDATED, algorithm_of, is_signed_by

_SMALLEST, _LARGEST = 1024, 8192
"""Bits of an RSA key: newer versions of Go refuse smaller ones (1.24), and larger ones in a handshake (1.20.7)."""

_HANDSHAKE_KEYS = frozenset({"RSA", "P-256", "P-384", "P-521", "Ed25519"})

_MOST_STEPS, _MOST_SIGNATURES = 2_000, 20
"""Of one search; Go gives up after 100 signatures (maxChainSignatureChecks). A chain that needs so many was made to."""


class Grade(IntEnum):
    """What is known of one path, from bad to good."""

    DOUBTFUL = 0
    """Versions of Go differ here, or OpenSSL does."""
    UNCHECKED = 1
    """A signature of a kind that is OpenSSL's alone to check."""
    CLEAN = 2


class Obstacle(IntEnum):
    """What keeps a candidate from vouching for a certificate, from the farthest to the nearest to success."""

    SIGNATURE = 1
    NOT_CA = 2
    PATH_LENGTH = 3
    USAGE = 4
    DATES = 5


@dataclass(frozen=True, slots=True)
class Miss:
    """A candidate that has the issuer's name and does not vouch."""

    obstacle: Obstacle
    child: ParsedCertificate
    parent: ParsedCertificate


@dataclass(frozen=True, slots=True)
class Paths:
    """What a search found: grades and doubts of complete paths, the candidates that failed, and where it stopped."""

    grades: frozenset[Grade]
    doubts: tuple[str, ...]
    misses: tuple[Miss, ...]
    top: ParsedCertificate
    """The last certificate of the longest path: nothing that is known has its issuer's name and vouches for it."""
    exhausted: bool = True
    """Whether everything was tried."""


class _Search:
    def __init__(
        self, shown: Sequence[ParsedCertificate], roots: Mapping[bytes, Sequence[ParsedCertificate]], now: datetime
    ) -> None:
        self._shown, self._roots, self._now = shown, roots, now
        self._steps = 0
        self._signatures: dict[tuple[bytes, bytes], bool | None] = {}
        self.grades: set[Grade] = set()
        self.doubts: dict[str, None] = {}
        self.misses: list[Miss] = []
        self.longest: tuple[ParsedCertificate, ...] = ()
        self.exhausted = True

    def climb(self, path: tuple[ParsedCertificate, ...], doubts: tuple[str, ...], *, checked: bool) -> None:
        """Follow every way up from the last certificate of a path."""
        if len(path) > len(self.longest):
            self.longest = path
        for parent, is_root in self._candidates(path):
            self._steps += 1
            if self._steps > _MOST_STEPS or len(self._signatures) > _MOST_SIGNATURES:
                self.exhausted = False
                return
            signed = self._signed(path[-1], parent)
            obstacle = self._obstacle(parent, len(path) - 1, is_root=is_root, signed=signed)
            if obstacle is not None:
                self.misses.append(Miss(obstacle, path[-1], parent))
                continue
            more = (*doubts, *_doubts_of(parent), *_outdated(path[-1]))
            sure = checked and signed is True
            if is_root:
                self._finish(more, checked=sure)
            else:
                self.climb((*path, parent), more, checked=sure)

    def _finish(self, doubts: tuple[str, ...], *, checked: bool) -> None:
        self.grades.add(Grade.DOUBTFUL if doubts else Grade.CLEAN if checked else Grade.UNCHECKED)
        self.doubts |= dict.fromkeys(doubts)

    def leaf(self, leaf: ParsedCertificate) -> None:
        """Begin at the registry's own certificate, which may be trusted itself."""
        doubts = (*_doubts_of(leaf), *_doubts_of_key(leaf))
        if any(root.der == leaf.der for root in self._roots.get(leaf.structure.subject_der, ())):
            self._finish(doubts, checked=True)
        self.climb((leaf,), doubts, checked=True)

    def _candidates(self, path: tuple[ParsedCertificate, ...]) -> Iterator[tuple[ParsedCertificate, bool]]:
        issuer = path[-1].structure.issuer_der
        known = {certificate.der for certificate in path}
        for root in self._roots.get(issuer, ()):
            if root.der not in known:
                yield root, True
        for shown in self._shown:
            if shown.structure.subject_der == issuer and shown.der not in known:
                yield shown, False

    def _signed(self, child: ParsedCertificate, parent: ParsedCertificate) -> bool | None:
        pair = child.der, parent.structure.public_key_der
        if pair not in self._signatures:
            self._signatures[pair] = is_signed_by(*pair)
        return self._signatures[pair]

    def _obstacle(
        self, parent: ParsedCertificate, below: int, *, is_root: bool, signed: bool | None
    ) -> Obstacle | None:
        found = parent.structure
        allowed = found.extensions.path_length
        if signed is False or not found.key.supported:
            return Obstacle.SIGNATURE
        if not found.can_sign or not (is_root or found.extensions.is_ca):
            return Obstacle.NOT_CA
        if allowed is not None and below > allowed:
            return Obstacle.PATH_LENGTH
        if not serves(found.extensions):
            return Obstacle.USAGE
        return None if parent.is_valid_at(self._now) else Obstacle.DATES


def find_paths(
    shown: Sequence[ParsedCertificate], roots: Mapping[bytes, Sequence[ParsedCertificate]], now: datetime
) -> Paths:
    """Return what is known of all paths.

    Args:
        shown: at least one certificate, the registry's own first.
        roots: the trusted certificates by the encoding of their subjects.
        now: the moment to judge by.
    """
    search = _Search(shown[1:], roots, now)
    search.leaf(shown[0])
    doubts, misses = tuple(search.doubts), tuple(search.misses)
    return Paths(frozenset(search.grades), doubts, misses, search.longest[-1], search.exhausted)


def _doubts_of(certificate: ParsedCertificate) -> Iterator[str]:
    found = certificate.structure
    who = quote(found.subject, 120)
    if found.extensions.unhandled:
        yield f"{who} has the critical extension {found.extensions.unhandled[0]}"
    if found.extensions.has_name_constraints:
        yield f"{who} has name constraints"
    if found.extensions.has_policy_rules:
        yield f"{who} has rules for certificate policies"
    if found.key.name == "RSA" and not (found.key.sound and found.key.bits >= _SMALLEST):
        yield f"{who} has an RSA key of {found.key.bits} bits"


def _doubts_of_key(leaf: ParsedCertificate) -> Iterator[str]:
    key = leaf.structure.key
    if key.name not in _HANDSHAKE_KEYS:
        yield f"{quote(leaf.structure.subject, 120)} has a key of the kind {key.name}"
    elif key.bits > _LARGEST:
        yield f"{quote(leaf.structure.subject, 120)} has an RSA key of {key.bits} bits"


def _outdated(child: ParsedCertificate) -> Iterator[str]:
    name = OUTDATED.get(algorithm_of(child.der))
    if name:
        yield f"{quote(child.structure.subject, 120)} has a signature with {name}"
