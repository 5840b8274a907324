"""PEM: text is split into blocks in linear time, by rules strict enough that no reader can see other blocks in it.

Go's decoder silently skips what it can't read (a glued marker, a header, an indented block); here each of these is an
error with its line. Text between blocks (`openssl x509 -text`, comments) is left out. Nothing of a line is ever shown.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

from registry_trust.certificates.invisible import first_invisible, only_ascii
from registry_trust.certificates.origin import Door, Origin
from registry_trust.certificates.outside import BEGIN, END, GLUED, check_outside
from registry_trust.certificates.resemblance import resemblance
from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.reasons import Reason
from registry_trust.core.text import quote

CERTIFICATE = "CERTIFICATE"

_COUNTED = re.compile(rb"^-----BEGIN ", re.MULTILINE)
_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]*[ \t]*:")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]")


@dataclass(frozen=True, slots=True)
class Block:
    """One PEM block: its label, the bytes inside (never printed), and where it stands (1-based, the BEGIN line)."""

    label: str
    content: bytes = field(repr=False)
    number: int
    total: int
    line: int
    encrypted: bool = False

    @property
    def where(self) -> str:
        """`certificate 2 of 3, line 24`, as messages say it; `block` where there are other labels."""
        noun = "certificate" if self.label == CERTIFICATE else "block"
        return f"{noun} {self.number} of {self.total}, line {self.line}"

    @property
    def is_private_key(self) -> bool:
        """Whether the label names a private key of any format."""
        return self.label.endswith("PRIVATE KEY")


def split(data: bytes, origin: Origin) -> tuple[Block, ...]:
    """Split PEM text into its blocks, at least one.

    Raises:
        UnusableMaterial: InvalidPEM, with the line and what to do.
    """
    _check_encoding(data, origin)
    lines = data.split(b"\n")
    total = len(_COUNTED.findall(data))
    blocks: list[Block] = []
    position = commented_out = 0
    while position < len(lines):
        line = lines[position].removesuffix(b"\r")
        found = BEGIN.fullmatch(line)
        if found is None:
            commented_out = check_outside(line, position + 1, commented_out, origin)
            position += 1
            continue
        block, position = _read_block(lines, position, found.group(1), (len(blocks) + 1, total), origin)
        blocks.append(block)
    if not blocks and commented_out:
        gist = "holds nothing but blocks that are commented out, which count for nothing; put there what is to be used"
        raise origin.refuse(Reason.INVALID_PEM, gist)
    if not blocks:
        raise origin.refuse(*resemblance(data, origin.door, origin.place))
    return tuple(blocks)


def encode(label: str, der: bytes) -> bytes:
    """Return canonical PEM: 64 columns, LF, nothing before, between or after."""
    text = base64.b64encode(der)
    body = b"\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    name = label.encode("ascii")
    return b"-----BEGIN " + name + b"-----\n" + body + b"\n-----END " + name + b"-----\n"


def _check_encoding(data: bytes, origin: Origin) -> None:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"-\0-\0" in data or b"\0-\0-" in data:
        raise origin.refuse(
            Reason.INVALID_PEM,
            f"is UTF-16 text; save it as ASCII: iconv -f UTF-16 -t US-ASCII {origin.door.stem}.txt > {origin.door}",
        )
    if data.startswith(b"\xef\xbb\xbf"):
        raise origin.refuse(
            Reason.INVALID_PEM,
            f"starts with {first_invisible(data[:3]).partition(' in ')[0]}, a byte order mark, which hides the first "
            f"block from runtimes; remove it: {only_ascii('old.pem', origin.door)}",
        )
    if b"-----BEGIN " in data:
        bare = data.replace(b"\r\n", b"\n").find(b"\r")
        if bare >= 0:
            line = data.replace(b"\r\n", b"\n").count(b"\n", 0, bare) + 1
            raise origin.refuse(
                Reason.INVALID_PEM,
                "a line ends in CR only, which runtimes do not treat as a line break; use LF line breaks: tr '\\r' "
                f"'\\n' < old.pem > {origin.door}",
                f"line {line}",
            )


def _read_block(
    lines: list[bytes], start: int, name: bytes, count: tuple[int, int], origin: Origin
) -> tuple[Block, int]:
    """Read the block whose BEGIN line is `lines[start]`; return it and the index of the line after its END."""
    label = name.decode("ascii")
    number, total = count
    where = Block(label, b"", number, total, start + 1).where
    body: list[bytes] = []
    encrypted = False
    for index in range(start + 1, len(lines)):
        line = lines[index].removesuffix(b"\r").rstrip(b" \t")
        if b"-----" in line:
            end = END.fullmatch(line)
            if end is not None and end.group(1) == name:
                content = _decode(body, start + 2, where, origin)
                return Block(label, content, number, total, start + 1, encrypted), index + 1
            raise _bad_end(line, index + 1, where, origin)
        if _HEADER.match(line):
            encrypted = encrypted or (label.endswith("PRIVATE KEY") and line.endswith(b"ENCRYPTED"))
            if not encrypted:
                which = "which make runtimes drop the block" if origin.door is Door.CA else "which are not read here"
                gist = f"has header lines, {which}; remove them: grep -v : old.pem > {origin.door}"
                raise origin.refuse(Reason.INVALID_PEM, gist, where)
        # An encrypted key of the old kind says so in its headers; its body is no DER, and nobody reads it here.
        body.append(b"" if encrypted else line)
    for index, line in enumerate(body, start + 2):
        if first_invisible(line):
            raise _hidden(line, f"{where}, in line {index}", origin)
    raise origin.refuse(Reason.INVALID_PEM, "has no END line; copy the whole block again", where)


def _hidden(line: bytes, where: str, origin: Origin) -> UnusableMaterial:
    gist = f"has the invisible character {first_invisible(line)}; remove it: {only_ascii('old.pem', origin.door)}"
    return origin.refuse(Reason.INVALID_PEM, gist, where)


def _bad_end(line: bytes, number: int, where: str, origin: Origin) -> UnusableMaterial:
    place = f"{where}, to line {number}"
    if first_invisible(line):
        return _hidden(line, f"{where}, in line {number}", origin)
    if b"-----BEGIN " in line:
        glued = b"-----END " in line
        gist = GLUED if glued else "has no END line before the next BEGIN; copy all of it again"
        return origin.refuse(Reason.INVALID_PEM, gist, place)
    other = END.fullmatch(line)
    if other is not None:
        return origin.refuse(
            Reason.INVALID_PEM, f"ends with the label {quote(other.group(1).decode('ascii'), 64)}; copy it again", place
        )
    if END.fullmatch(line.lstrip()):
        return origin.refuse(
            Reason.INVALID_PEM, "has an indented END line; start every line in the first column", place
        )
    return origin.refuse(
        Reason.INVALID_PEM,
        "has a damaged END line; it must have exactly five dashes on both sides, on a line of its own",
        place,
    )


def _decode(body: list[bytes], first: int, where: str, origin: Origin) -> bytes:
    text = b"".join(body)
    bad = _NOT_BASE64.search(text)
    if bad is not None:
        for index, line in enumerate(body):
            found = _NOT_BASE64.search(line)
            if found is not None:
                if first_invisible(line):
                    raise _hidden(line, f"{where}, in line {first + index}", origin)
                if line[:1] in (b" ", b"\t"):
                    gist = "is indented; start every line in the first column"
                else:
                    gist = f"has a byte that is not base64 (0x{found.group(0)[0]:02X}); copy the block again, as text"
                raise origin.refuse(Reason.INVALID_PEM, gist, f"{where}, in line {first + index}")
    if not text:
        return b""
    stripped = text.rstrip(b"=")
    if len(text) % 4 or len(text) - len(stripped) > 2 or b"=" in stripped or len(stripped) % 4 == 1:
        raise origin.refuse(
            Reason.INVALID_PEM, "has base64 text of a wrong length, so something is missing; copy it again", where
        )
    return base64.b64decode(text)
