"""Sending: which client certificate Go's crypto/tls sends to a registry that asks for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from registry_trust.core.verdict.certificates import ParsedCertificate
from registry_trust.core.verdict.tls_messages import TLS_1_3, CertificateRequest

_PSS = frozenset({0x0804, 0x0805, 0x0806})
_ECDSA = {"P-256": 0x0403, "P-384": 0x0503, "P-521": 0x0603}
_ED25519 = 0x0807


@dataclass(frozen=True, slots=True)
class ClientFiles:
    """A client pair as a loader reads it: paths of its two files on this host, and its chain (None: unreadable)."""

    certificate: str
    key: str
    chain: tuple[ParsedCertificate | None, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sending:
    """The pair that Go sends, or None for none; `doubt` says why that is not sure."""

    pair: ClientFiles | None
    doubt: str = ""


def choose(request: CertificateRequest, version: int, pairs: Sequence[ClientFiles]) -> Sending:
    """Return the first pair that fits, as Go does (handshake_client.go, getClientCertificate).

    A pair fits if the registry takes a signature of its key, and names the issuer of a certificate of its chain; a
    registry that names no issuer takes any.
    """
    for pair in pairs:
        certificates = [each for each in pair.chain if each is not None]
        if not certificates or len(certificates) != len(pair.chain):
            return Sending(None, f"{pair.certificate} has a certificate that can't be read here")
        if not _schemes(certificates[0], version) & request.schemes:
            if certificates[0].structure.key.name not in ("RSA", *_ECDSA, "Ed25519"):
                return Sending(None, f"{pair.certificate} has a key of the kind {certificates[0].structure.key.name}")
            continue
        issuers = {each.structure.issuer_der for each in certificates}
        if not request.authorities or issuers & set(request.authorities):
            return Sending(pair)
    return Sending(None)


def _schemes(leaf: ParsedCertificate, version: int) -> frozenset[int]:
    name = leaf.structure.key.name
    if name == "RSA":
        return _PSS if version >= TLS_1_3 else _PSS | {0x0401, 0x0501, 0x0601}
    if name in _ECDSA:
        return frozenset({_ECDSA[name]} if version >= TLS_1_3 else _ECDSA.values())
    return frozenset({_ED25519} if name == "Ed25519" else ())
