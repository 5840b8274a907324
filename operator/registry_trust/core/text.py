"""How text that another process wrote is shown in a message: printable ASCII, and never too long."""

from __future__ import annotations

FIELD_LIMIT = 256
"""Characters of foreign text shown in one place of a message."""

MESSAGE_LIMIT = 1024
"""Characters of one whole message (a condition's limit is 32,768; a row of a table must stay readable)."""


def escape(text: str, limit: int = FIELD_LIMIT) -> str:
    r"""Return `text` as printable ASCII of at most `limit` characters.

    Anything outside 0x20-0x7e becomes `\xNN` or `\uNNNN`, so that neither a terminal's control sequence nor a
    right-to-left override in a certificate's subject can change what an admin reads.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text  # Nearly all of what reports of thousands of nodes say.
    shown = "".join(
        character if " " <= character <= "~" else character.encode("unicode_escape").decode("ascii")
        for character in text[: limit + 1]
    )
    if len(text) > limit or len(shown) > limit:
        return shown[: limit - 3] + "..."
    return shown


def quote(text: str, limit: int = FIELD_LIMIT) -> str:
    """Return `text` escaped and in double quotes, as messages show a value that was found."""
    return f'"{escape(text, limit)}"'


def clip(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """Cut a message that is ASCII already to `limit` characters."""
    return message if len(message) <= limit else message[: limit - 3] + "..."


def listing(items: tuple[str, ...] | list[str], most: int = 3) -> str:
    """Return `a, b, c and 4 more` for a list of any length."""
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
