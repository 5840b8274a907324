"""The shape of canonical PEM, by the standard library alone: which blocks there are, and that each is one DER value.

What leaves the operator is canonical PEM (RFC 7468 3, strict), so a blob of any other shape was put into the bundle
by another process. Whether a certificate can be used is the operator's to judge; this keeps a key out of `ca.crt`, and
what is neither off every node.
"""

from __future__ import annotations

import binascii
import re

_BLOCK = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\n((?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{1,64}={0,2}\n)-----END \1-----\n"
)
_KEYS = frozenset({b"PRIVATE KEY", b"EC PRIVATE KEY", b"RSA PRIVATE KEY"})
_SEQUENCE = 0x30


def is_certificates(blob: bytes) -> bool:
    """Say whether a blob is one PEM certificate or several, and nothing else."""
    labels = _labels(blob)
    return bool(labels) and set(labels) == {b"CERTIFICATE"}


def is_private_key(blob: bytes) -> bool:
    """Say whether a blob is exactly one PEM private key without a passphrase, and nothing else."""
    labels = _labels(blob)
    return len(labels) == 1 and labels[0] in _KEYS


def _labels(blob: bytes) -> list[bytes]:
    """Return the labels of a blob's blocks in order; nothing where anything else is in it."""
    labels: list[bytes] = []
    place = 0
    while place < len(blob):
        found = _BLOCK.match(blob, place)
        if found is None or not _is_one_value(found[2]):
            return []
        labels.append(found[1])
        place = found.end()
    return labels


def _is_one_value(encoded: bytes) -> bool:
    """Say whether base64 holds one DER SEQUENCE that ends where the data ends (X.690 8.1.3, 10.1)."""
    try:
        der = binascii.a2b_base64(encoded.replace(b"\n", b""), strict_mode=True)
    except binascii.Error:
        return False
    if len(der) < 2 or der[0] != _SEQUENCE:
        return False
    if der[1] < 0x80:
        return len(der) == 2 + der[1]
    size = der[1] & 0x7F
    return 1 <= size <= 4 and len(der) == 2 + size + int.from_bytes(der[2 : 2 + size])
