"""Distinguished names: read as strictly as Go does, and written as RFC 4514 text that is safe to show."""

from __future__ import annotations

from registry_trust.core.text import escape
from registry_trust.core.x509.der import OID, SEQUENCE, SET, DERError, DERReader

_COMMON_NAME = "2.5.4.3"
SHORT_NAMES = {
    _COMMON_NAME: "CN",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.6": "C",
    "2.5.4.9": "STREET",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
}
"""The attribute names of RFC 4514 section 3; every other attribute is shown by its number."""

_PRINTABLE_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 '()+,-./:=?*&")


def read_name(encoded: bytes, what: str) -> str:
    """Return a DER name as RFC 4514 text (last part first), in printable ASCII of at most 256 characters.

    Raises:
        DERError: a structure, a string type or a character that Go's parser refuses.
    """
    parts = [
        "+".join(f"{SHORT_NAMES.get(number, number)}={_escape_value(text)}" for number, text in values)
        for values in _attributes(encoded, what)
    ]
    return escape(",".join(reversed(parts)))


def common_name(encoded: bytes) -> str:
    """Return the last Common Name of a DER name that was read, as Go takes it; empty where there is none."""
    named = [text for values in _attributes(encoded, "the name") for number, text in values if number == _COMMON_NAME]
    return named[-1] if named else ""


def _attributes(encoded: bytes, what: str) -> list[list[tuple[str, str]]]:
    reader = DERReader(encoded)
    sequence = reader.inside(what)
    parts: list[list[tuple[str, str]]] = []
    while sequence:
        attributes = sequence.inside(what, SET)
        values: list[tuple[str, str]] = []
        while attributes:
            attribute = attributes.inside(what, SEQUENCE)
            if not attribute.next_is(OID):
                raise DERError(f"{what} has an attribute without a type")
            number = attribute.oid(what)
            tag, content, _ = attribute.element(what)
            values.append((number, _string(tag, content, what)))
        parts.append(values)
    return parts


def _string(tag: int, content: bytes, what: str) -> str:
    """Return an attribute's text by its ASN.1 string type (the rules of Go's parseASN1String)."""
    text: str | None
    try:
        match tag:
            case 0x12 if all(byte in b"0123456789 " for byte in content):
                text = content.decode("ascii")
            case 0x13 if _PRINTABLE_BYTES.issuperset(content):
                text = content.decode("ascii")
            case 0x14:
                text = content.decode("latin-1")
            case 0x16:
                text = content.decode("ascii")
            case 0x0C:
                text = content.decode("utf-8")
            case 0x1E:
                text = _bmp(content)
            case _:
                text = None
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise DERError(f"{what} has a text with characters that its string type does not allow, or of an unknown type")
    return text


def _bmp(content: bytes) -> str | None:
    content = content.removesuffix(b"\0\0") if len(content) % 2 == 0 else content
    text = content.decode("utf-16-be")  # refuses an odd length and lone surrogates
    reserved = any(c > "\uffff" or c in "\ufffe\uffff" or "\ufdd0" <= c <= "\ufdef" for c in text)
    return None if reserved else text


def _escape_value(text: str) -> str:
    """Escape what has a meaning in RFC 4514 (section 2.4)."""
    shown = "".join(f"\\{c}" if c in '"+,;<>\\' else c for c in text[:1024])
    if shown.startswith(("#", " ")):
        shown = "\\" + shown
    if len(shown) > 1 and shown.endswith(" "):
        shown = shown[:-1] + "\\ "
    return shown
