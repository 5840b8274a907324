"""DER: a reader as strict as Go's cryptobyte, so that what passes here is not dropped by a runtime later.

Sources: X.690 (DER) and the behaviour of golang.org/x/crypto/cryptobyte, with which Go parses certificates.
"""

from __future__ import annotations

from datetime import UTC, datetime

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID = 0x01, 0x02, 0x03, 0x04, 0x06
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31

_MAXIMUM_ARC = (1 << 31) - 1
_MAXIMUM_OID_BYTES = 128
_LENGTH_BYTES = 4


class DERError(ValueError):
    """Bytes that are not the DER that was expected; the text says what was, in a few words and without the bytes."""


class DERReader:
    """Reads DER elements one after the other from `data`."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def next_is(self, tag: int) -> bool:
        """Say whether the next element has this tag."""
        return self._at < len(self._data) and self._data[self._at] == tag

    def element(self, what: str, tag: int | None = None) -> tuple[int, bytes, bytes]:
        """Return tag, content and whole encoding of the next element."""
        data, start = self._data, self._at
        if start + 2 > len(data):
            raise DERError(f"{what} ends too early")
        found, length, header = data[start], data[start + 1], 2
        if tag is not None and found != tag:
            raise DERError(f"{what} has another type than expected")
        if found & 0x1F == 0x1F:
            raise DERError(f"{what} has a tag that X.509 does not use")
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= _LENGTH_BYTES or start + 2 + count > len(data):
                raise DERError(f"{what} has no definite length")
            length = int.from_bytes(data[start + 2 : start + 2 + count], "big")
            if length < 0x80 or length >> ((count - 1) * 8) == 0:
                raise DERError(f"{what} has a length that is not minimal")
            header += count
        end = start + header + length
        if end > len(data):
            raise DERError(f"{what} ends too early")
        self._at = end
        return found, data[start + header : end], data[start:end]

    def read(self, what: str, tag: int) -> bytes:
        """Return the content of the next element, which must have this tag."""
        return self.element(what, tag)[1]

    def inside(self, what: str, tag: int = SEQUENCE) -> DERReader:
        """Return a reader of the content of the next element, which must have this tag."""
        return DERReader(self.read(what, tag))

    def optional(self, what: str, tag: int) -> DERReader | None:
        """Return a reader of the next element's content if it has this tag, else None."""
        return self.inside(what, tag) if self.next_is(tag) else None

    def integer(self, what: str, tag: int = INTEGER) -> int:
        """Return an INTEGER of minimal encoding."""
        content = self.read(what, tag)
        if not content:
            raise DERError(f"{what} is an empty number")
        number = int.from_bytes(content, "big", signed=True)
        if len(content) > 1 and number.bit_length() < (len(content) - 1) * 8:
            raise DERError(f"{what} is a number that is not minimal")
        return number

    def boolean(self, what: str) -> bool:
        """Return a BOOLEAN, which DER writes as 0x00 or 0xFF only."""
        content = self.read(what, BOOLEAN)
        if content not in (b"\x00", b"\xff"):
            raise DERError(f"{what} is no boolean")
        return content == b"\xff"

    def bits(self, what: str) -> tuple[bytes, int]:
        """Return a BIT STRING as bytes and the number of unused bits at the end."""
        content = self.read(what, BIT_STRING)
        unused = content[0] if content else 8
        if unused > 7 or (unused and (len(content) == 1 or content[-1] & ((1 << unused) - 1))):
            raise DERError(f"{what} is no bit string")
        return content[1:], unused

    def oid(self, what: str, *, large_arcs: bool = False) -> str:
        """Return an object identifier as dotted numbers; Go reads arcs of 31 bits only, except in policies."""
        content = self.read(what, OID)
        if not content or content[-1] & 0x80 or len(content) > _MAXIMUM_OID_BYTES:
            raise DERError(f"{what} is no object identifier")
        arcs: list[int] = []
        value, started = 0, False
        for byte in content:
            if not started and byte == 0x80:
                raise DERError(f"{what} is no object identifier")
            value, started = value << 7 | byte & 0x7F, True
            if not large_arcs and value > _MAXIMUM_ARC:
                raise DERError(f"{what} is an object identifier with a number over 31 bits, which Go can't read")
            if not byte & 0x80:
                arcs.append(value)
                value, started = 0, False
        first = min(arcs[0] // 40, 2)
        return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))

    def time(self, what: str) -> datetime:
        """Return a UTCTime or GeneralizedTime in the one form that RFC 5280 4.1.2.5 allows: seconds and Z."""
        tag, content, _ = self.element(what)
        digits = content[:-1]
        if tag not in (UTC_TIME, GENERALIZED_TIME) or content[-1:] != b"Z" or not digits.isdigit():
            raise DERError(f"{what} is no time in UTC")
        text = digits.decode("ascii")
        if tag == UTC_TIME and len(text) == 12:
            text = ("19" if text >= "50" else "20") + text
        elif tag == UTC_TIME or len(text) != 14:
            raise DERError(f"{what} is no time in UTC")
        parts = [int(text[:4]), *(int(text[i : i + 2]) for i in range(4, 14, 2))]
        moment: datetime | None
        try:
            moment = datetime(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], tzinfo=UTC)
        except ValueError:
            moment = None
        if moment is None:
            raise DERError(f"{what} is not a date that exists")
        return moment

    def end(self, what: str) -> None:
        """Refuse anything that follows."""
        if self:
            raise DERError(f"{what} is followed by other bytes ({len(self._data) - self._at:,})")
