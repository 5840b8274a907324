"""Invisible characters: found by name and place, since nobody can see what is wrong with the text that holds them."""

from __future__ import annotations

import re
import unicodedata

_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_SPACE = re.compile(f"[{_SPACES}]")
_INVISIBLE = re.compile(
    f"[{_SPACES}\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""Unicode 15.0: White_Space and Default_Ignorable_Code_Point without tab, CR, LF and the plain space; ASCII controls,
interlinear marks and the empty Braille pattern."""


def _text(line: bytes) -> str:
    """Return a line as text: UTF-8, or else Latin-1, in which older editors save."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def first_invisible(line: bytes) -> str:
    """Return e.g. `U+200B (zero width space) in column 7` for the first one of a line; empty if there is none."""
    found = _INVISIBLE.search(_text(line))
    if found is None:
        return ""
    name = unicodedata.name(found[0], "control character").lower()
    return f"U+{ord(found[0]):04X} ({name}) in column {found.start() + 1}"


def as_seen(line: bytes) -> bytes:
    """Return a line as a reader sees it: without its invisible characters, and with plain spaces."""
    return _INVISIBLE.sub("", _SPACE.sub(" ", _text(line))).encode()


def only_ascii(old: str, new: str) -> str:
    """Return the command that leaves nothing but printable ASCII, tabs and line ends."""
    return f"LC_ALL=C tr -cd '\\11\\12\\15\\40-\\176' < {old} > {new}"
