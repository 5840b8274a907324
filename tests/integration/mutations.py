"""Mutations: changes that people, tools and attackers make to PEM text and to the DER inside, drawn from a seed."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass

from tools.der import tlv

CONSTRUCTED = 0x20
TAGS = (0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1E, 0x30, 0x31, 0x82, 0xA0)


@dataclass
class Node:
    """One DER element: a tag, and either elements or bytes."""

    tag: int
    children: list[Node] | None
    content: bytes = b""

    def encode(self) -> bytes:
        content = self.content if self.children is None else b"".join(child.encode() for child in self.children)
        return tlv(self.tag, content)

    def all(self) -> list[Node]:
        return [self, *(node for child in self.children or () for node in child.all())]


def parse(data: bytes) -> list[Node] | None:
    """Return the elements that make up the whole of `data`; None where it is no DER."""
    nodes: list[Node] = []
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            return None
        length, header = data[at + 1], 2
        if length & 0x80:
            count = length & 0x7F
            length, header = int.from_bytes(data[at + 2 : at + 2 + count], "big"), 2 + count
        end = at + header + length
        if end > len(data):
            return None
        content = data[at + header : end]
        # The octets of extensions and of keys hold DER themselves.
        inside = parse(content) if data[at] & CONSTRUCTED or (data[at] == 4 and content[:1] == b"\x30") else None
        nodes.append(Node(data[at], inside, content))
        at = end
    return nodes


def of_structure(der: bytes, chance: random.Random) -> bytes:
    """Change one element and write all lengths anew, so that the rest stays readable."""
    tree = parse(der)
    if not tree:
        return of_bytes(der, chance)
    nodes = tree[0].all()
    change = chance.choice([_drop, _double, _exchange, _retag, _refill, _flip, _graft, _extend, _empty])
    change(nodes, chance)
    return tree[0].encode()


def _parent(nodes: list[Node], chance: random.Random) -> list[Node]:
    return chance.choice([node.children for node in nodes if node.children])


def _drop(nodes: list[Node], chance: random.Random) -> None:
    children = _parent(nodes, chance)
    del children[chance.randrange(len(children))]


def _double(nodes: list[Node], chance: random.Random) -> None:
    children = _parent(nodes, chance)
    at = chance.randrange(len(children))
    children.insert(at, children[at])


def _exchange(nodes: list[Node], chance: random.Random) -> None:
    children = _parent(nodes, chance)
    chance.shuffle(children)


def _leaf(nodes: list[Node], chance: random.Random) -> Node:
    return chance.choice([node for node in nodes if node.children is None])


def _retag(nodes: list[Node], chance: random.Random) -> None:
    chance.choice(nodes[1:]).tag = chance.choice(TAGS)


def _refill(nodes: list[Node], chance: random.Random) -> None:
    node = _leaf(nodes, chance)
    node.content = chance.randbytes(chance.choice((0, 1, 2, len(node.content), len(node.content) + 1, 200)))


def _flip(nodes: list[Node], chance: random.Random) -> None:
    node = _leaf(nodes, chance)
    node.content = of_bytes(node.content, chance)


def _graft(nodes: list[Node], chance: random.Random) -> None:
    children = _parent(nodes, chance)
    taken = chance.choice(nodes[1:])
    copied = parse(taken.encode())  # never the node itself: it might come to stand below itself
    children[chance.randrange(len(children))] = copied[0] if copied else taken


def _extend(nodes: list[Node], chance: random.Random) -> None:
    _parent(nodes, chance).append(Node(chance.choice(TAGS), None, chance.randbytes(chance.randrange(4))))


def _empty(nodes: list[Node], chance: random.Random) -> None:
    _parent(nodes, chance).clear()


def of_bytes(data: bytes, chance: random.Random) -> bytes:
    """Change, lose or gain some bytes anywhere."""
    changed = bytearray(data or b"\0")
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        at = chance.randrange(len(changed))
        what = chance.randrange(4)
        if what == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            changed[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif what == 2 and len(changed) > 1:
            del changed[at]
        else:
            changed.insert(at, chance.randrange(256))
    return bytes(changed)


# ---- text ------------------------------------------------------------------------------------------------------------

Text = Callable[[bytes, random.Random], bytes]


def _lines(change: Callable[[list[bytes], random.Random], None]) -> Text:
    def mutate(text: bytes, chance: random.Random) -> bytes:
        lines = text.split(b"\n")
        change(lines, chance)
        return b"\n".join(lines)

    return mutate


def _lose_line(lines: list[bytes], chance: random.Random) -> None:
    del lines[chance.randrange(len(lines))]


def _repeat_line(lines: list[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(lines))
    lines.insert(at, lines[at])


STRAYS = (
    b"",
    b"   ",
    b"# a comment",
    b"subject=CN = Corp Root",
    b"Comment: a header",
    b"Proc-Type: 4,ENCRYPTED",
    b"-----",
    b"-----BEGIN",
    b"-----BEGIN CERTIFICATE-----",
    b"-----END CERTIFICATE-----",
    b"-----BEGIN X509 CRL-----",
    b"-----END-----",
    b"- ----BEGIN CERTIFICATE-----",
    b"\x1b[31mred",
    b"\xef\xbb\xbf",
    b"\0",
    b"=24Xy",
)


def _stray_line(lines: list[bytes], chance: random.Random) -> None:
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(STRAYS))


def _join_lines(lines: list[bytes], chance: random.Random) -> None:
    if len(lines) > 1:
        at = chance.randrange(len(lines) - 1)
        lines[at : at + 2] = [lines[at] + chance.choice((b"", b" ", b"\r")) + lines[at + 1]]


def _pad_line(lines: list[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(lines))
    pad = chance.choice((b" ", b"\t", b"\r", b"\xc2\xa0", b"=", b"-", b"\x0b", b"\xe2\x80\x8b"))
    lines[at] = pad + lines[at] if chance.random() < 0.5 else lines[at] + pad


def _swap_lines(lines: list[bytes], chance: random.Random) -> None:
    first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]


TEXT: tuple[Text, ...] = (
    _lines(_lose_line),
    _lines(_repeat_line),
    _lines(_stray_line),
    _lines(_join_lines),
    _lines(_pad_line),
    _lines(_swap_lines),
    of_bytes,
    lambda text, chance: text[: chance.randrange(len(text) + 1)],
    lambda text, chance: text[chance.randrange(len(text) + 1) :],
    lambda text, _: text.replace(b"\n", b"\r\n"),
    lambda text, _: text.replace(b"\n", b"\r"),
    lambda text, _: text.replace(b"\n", b"\n\n"),
    lambda text, _: text.replace(b"\n", b" \n"),
    lambda text, _: b"  " + text.replace(b"\n", b"\n  "),
    lambda text, _: text.replace(b"-----\n-----", b"----------"),
    lambda text, _: b"\xef\xbb\xbf" + text,
    lambda text, _: text.decode("latin-1").encode("utf-16"),
    lambda text, _: text.replace(b"\n", b"\\n"),
    lambda text, _: text.rstrip(b"\n"),
    lambda text, _: base64.b64encode(text),
    lambda text, _: text.lower(),
    lambda text, chance: text.replace(
        b"CERTIFICATE", chance.choice((b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE", b"CERT")), 1
    ),
    lambda text, chance: text.replace(b"-----", chance.choice((b"----", b"------", b"\xe2\x80\x94\xe2\x80\x94")), 1),
    lambda text, chance: text.replace(b"-----\n", chance.choice((b"-----\n\n", b"-----\nA: b\n\n", b"----- \n")), 1),
    lambda text, chance: b"junk before\n" * chance.randrange(3) + text + b"and after\n",
    lambda text, _: text.replace(b"PRIVATE KEY", b"RSA PRIVATE KEY"),
    lambda text, _: text.replace(b"EC PRIVATE KEY", b"PRIVATE KEY"),
)


def of_text(text: bytes, chance: random.Random) -> bytes:
    """Change PEM text once, and now and then twice."""
    for _ in range(chance.choice((1, 1, 1, 2))):
        text = chance.choice(TEXT)(text, chance)
    return text
