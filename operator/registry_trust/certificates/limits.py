"""Limits: how large a source may be, checked on the length alone before anything is parsed."""

from __future__ import annotations

from registry_trust.certificates.origin import Origin
from registry_trust.core.reasons import Reason

PRIVATE_KEY_BYTES = 13_000
"""An RSA key of 16,384 bits in PEM, the largest that anybody uses (cert-manager's limit)."""

CLIENT_CHAIN_BYTES = 36_500
"""A client certificate with its intermediates (cert-manager's limit for a leaf)."""

SOURCE_BYTES = 330_000
"""One source of CA certificates: about twice the public roots of a Linux distribution (cert-manager's bundle limit)."""

SOURCE_BLOCKS = 300
"""Blocks of one source: twice the public roots of a Linux distribution; beyond it, checking takes too long."""

CERTIFICATE_BYTES = 27_000
"""One certificate in DER (36,500 bytes of PEM): hundreds of names, which no CA and no client needs."""

HINTS = {
    PRIVATE_KEY_BYTES: "provide only the private key",
    CLIENT_CHAIN_BYTES: "provide only the client certificate and its intermediates",
    SOURCE_BYTES: "provide only the CA certificates that the registry needs, or split them across several sources",
}


def check_size(data: bytes, limit: int, origin: Origin) -> None:
    """Refuse a value over its limit.

    Raises:
        UnusableMaterial: TooLarge, with both sizes.
    """
    if len(data) > limit:
        raise origin.refuse(Reason.TOO_LARGE, f"{len(data):,} bytes, but at most {limit:,} are read; {HINTS[limit]}")


def check_count(data: bytes, origin: Origin) -> None:
    """Refuse a value with too many blocks, by its BEGIN markers alone.

    Raises:
        UnusableMaterial: TooLarge, with both numbers.
    """
    count = data.count(b"-----BEGIN ")
    if count > SOURCE_BLOCKS:
        gist = f"{count:,} PEM blocks, at most {SOURCE_BLOCKS} are read; {HINTS[SOURCE_BYTES]}"
        raise origin.refuse(Reason.TOO_LARGE, gist)


def is_empty(data: bytes) -> bool:
    """Say whether a value holds nothing at all, or what templates leave where there was nothing."""
    return data.strip() in (b"", b"null", b"{}", b'""', b"''", b"~")
