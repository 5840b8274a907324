"""Outside of blocks: which lines are comments, and which are markers that somebody damaged without seeing it."""

from __future__ import annotations

import re

from registry_trust.certificates.invisible import as_seen, first_invisible, only_ascii
from registry_trust.certificates.origin import Door, Origin
from registry_trust.core.reasons import Reason
from registry_trust.core.text import quote

BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9][A-Z0-9 ]{0,63})-----[ \t]*")
END = re.compile(rb"-----END ([A-Z0-9][A-Z0-9 ]{0,63})-----[ \t]*")
GLUED = "END of one block and BEGIN of the next are on one line, so runtimes drop both; put a line break there"
KEY_AMONG_CAS = (
    "remove it, and replace that key if others can read this place. A client's key belongs in clientCertificates, a "
    "CA's key nowhere near a node"
)

_DASH = rb"(?:-|\xe2\x80[\x90-\x95])"
_WORDS = rb"(?:BEGIN|END)[\s_]*(?:[A-Z0-9]+\s+){0,6}(?:CERTIFICATE|KEY|CRL|REQUEST)\b"
_MARKER = re.compile(_DASH + rb"\s*" + _WORDS, re.IGNORECASE)
_ALONE = re.compile(
    _DASH + rb"{2,}\s*" + _WORDS + rb"\s*" + _DASH + rb"*|" + _DASH + rb"\s*" + _WORDS + rb"\s*" + _DASH + rb"+",
    re.IGNORECASE,
)
"""A line that holds a marker and nothing else, however its dashes look."""
_COMMENT = re.compile(rb"\s*(?:#|//|;|%|--\s|/\*|<!--)[#/;%!\s*-]*?(?=-----BEGIN |[^#/;%!\s*-]|$)")


def check_outside(line: bytes, number: int, commented_out: int, origin: Origin) -> int:
    """Refuse a line outside of every block that somebody may take for a marker, and that runtimes don't.

    Args:
        line: the line, without its end.
        number: of the line, from 1.
        commented_out: the line of the last BEGIN that is commented out, or 0.
        origin: where it is.

    Returns:
        `number` if a BEGIN is commented out here, else `commented_out`. A comment is never refused, unless it holds
        a private key where certificates belong: those who read the certificates read that, too.

    Raises:
        UnusableMaterial: InvalidPEM or PrivateKeyInCA.
    """
    hidden = first_invisible(line)
    seen = as_seen(line) if hidden else line
    comment = _COMMENT.match(seen)
    if comment is not None:
        begin = BEGIN.match(seen, comment.end())
        if begin is None:
            return commented_out
        if origin.door is Door.CA and begin[1].endswith(b"PRIVATE KEY"):
            gist = "is a private key among the CA certificates, and a comment hides it from nobody"
            raise origin.refuse(Reason.PRIVATE_KEY_IN_CA, f"{gist}; {KEY_AMONG_CAS}", f"line {number}")
        return number
    if not _MARKER.search(seen) or not (
        b"-----BEGIN " in seen or b"-----END " in seen or _ALONE.fullmatch(seen.strip())
    ):
        return commented_out
    if hidden:
        gist = f"has the invisible character {hidden}; remove it: {only_ascii('old.pem', origin.door)}"
        if BEGIN.fullmatch(_ascii(line)) is None and END.fullmatch(_ascii(line)) is None:
            gist = f"has the invisible character {hidden}; type this line again"
        raise origin.refuse(Reason.INVALID_PEM, gist, f"line {number}")
    raise origin.refuse(Reason.INVALID_PEM, _damage(line, commented_out), f"line {number}")


def _ascii(line: bytes) -> bytes:
    """Return what `only_ascii` leaves of a line."""
    return bytes(byte for byte in line if byte == 0x09 or 0x20 <= byte <= 0x7E)


def _damage(line: bytes, commented_out: int) -> str:
    if b"\\n" in line:
        return "holds the two characters \\n instead of line breaks; write real ones: printf '%b' \"$PEM\" > ca.crt"
    if 0 <= line.find(b"-----END ") < line.find(b"-----BEGIN "):
        return GLUED
    if BEGIN.search(line):
        return _damaged_begin(line)
    if END.fullmatch(line.strip()) is None:
        example = quote("-----BEGIN CERTIFICATE-----")
        return (
            "a damaged BEGIN or END line; it must be in upper case with exactly five dashes on both sides, as in "
            f"{example}"
        )
    if commented_out:
        return f"an END line whose BEGIN line is commented out, in line {commented_out}; remove the rest of the block"
    return "an END line without a BEGIN line before it; copy the whole block again"


def _damaged_begin(line: bytes) -> str:
    if BEGIN.fullmatch(line.lstrip()) is not None:
        return "the BEGIN line is indented, so runtimes don't see the block; start every line in the first column"
    if BEGIN.match(line):
        return "there is more on the BEGIN line than the marker; start the base64 text on a line of its own"
    return "there is text before -----BEGIN on its line, so runtimes don't see the block; put a line break there"
