"""Canaries: every private key that tests make is looked for in what a run leaves: logs, objects, pages, output."""

import base64
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LENGTH = 16
"""Bytes of each piece that is looked for: 96 bits of a key as base64, 64 as hexadecimal."""

_TOKEN = re.compile(rb"[A-Za-z0-9+/=]{16,}")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")

_keys: set[bytes] = set()
_pieces: set[bytes] = set()


class KeyFoundError(AssertionError):
    """A private key stands where it must never be; the message says where, and nothing of the key."""


def remember(key: Any) -> None:
    """Look for this private key from now on: raw, as hexadecimal, as base64 (once or twice, as a Secret has PEM)."""
    numbers = key.private_numbers()
    number = getattr(numbers, "private_value", None) or numbers.d  # of an elliptic curve, or of RSA
    secret = number.to_bytes((number.bit_length() + 7) // 8, "big")
    if secret in _keys:
        return
    _keys.add(secret)
    encoded = [text for shift in range(3) for text in _base64(secret, shift)]
    twice = [text for once in encoded for shift in range(3) for text in _base64(once, shift)]
    for text in (secret, secret.hex().encode(), secret.hex().upper().encode(), *encoded, *twice):
        # Side by side: where a line's end or an escape cuts one, the next is whole.
        _pieces.update(text[at : at + LENGTH] for at in range(0, len(text) - LENGTH + 1, LENGTH))


def _base64(secret: bytes, shift: int) -> Iterable[bytes]:
    """The base64 text in which these bytes stand after `shift` others, without what other bytes have a part in."""
    text = base64.b64encode(b"\0" * shift + secret)
    yield text[4 * (shift > 0) : len(secret) // 3 * 4]


def is_in(data: bytes | str) -> bool:
    """Say whether any private key is in there."""
    text = data.encode(errors="surrogateescape") if isinstance(data, str) else data
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        if any(text[at : at + LENGTH] in _pieces for at in range(start, end - LENGTH + 1)):
            return True
    # Raw bytes of a key are never all ASCII.
    return any(
        text[at : at + LENGTH] in _pieces
        for found in _NOT_ASCII.finditer(text)
        for at in range(max(0, found.start() - LENGTH + 1), found.start() + 1)
    )


def require_none(places: Mapping[str, bytes | str]) -> None:
    """Raise KeyFoundError for the places that hold a private key."""
    if found := [name for name, data in places.items() if is_in(data)]:
        message = f"a private key of the tests stands in: {', '.join(found)}"
        raise KeyFoundError(message)


def logs_in(folder: Path) -> dict[str, bytes]:
    """Every log in a folder, by its path."""
    return {str(path): path.read_bytes() for path in folder.rglob("*.log") if path.is_file()} if _keys else {}
