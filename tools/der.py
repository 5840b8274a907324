"""DER and PEM written by hand: certificates that no library would write."""

from __future__ import annotations

import base64

from tools.pki import curve_key, spki


def tlv(tag: int, *contents: bytes) -> bytes:
    """One DER element; its length is minimal."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*contents: bytes) -> bytes:
    return tlv(0x30, *contents)


def oid(dotted: str) -> bytes:
    """An object identifier of any numbers."""
    first, second, *rest = (int(part) for part in dotted.split("."))
    content = b""
    for arc in (first * 40 + second, *rest):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        content += bytes(reversed(septets))
    return tlv(0x06, content)


def extension(number: str, value: bytes, *, critical: bool = False) -> bytes:
    return sequence(oid(number), tlv(1, b"\xff") if critical else b"", tlv(4, value))


ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"))
RSA_SHA256 = sequence(oid("1.2.840.113549.1.1.11"), b"\x05\x00")
IS_CA = extension("2.5.29.19", sequence(tlv(1, b"\xff")), critical=True)


def distinguished(text: bytes, tag: int = 0x0C, attribute: str = "2.5.4.3") -> bytes:
    """A name of one attribute, `CN`, with a text of any ASN.1 string type."""
    return sequence(tlv(0x31, sequence(oid(attribute), tlv(tag, text))))


def handmade(
    *,
    serial: bytes = b"\x05",
    subject: bytes | None = None,
    issuer: bytes | None = None,
    key: bytes | None = None,
    algorithm: bytes = ECDSA_SHA256,
    outer_algorithm: bytes | None = None,
    not_before: bytes = b"250601120000Z",
    not_after: bytes = b"270601120000Z",
    extensions: tuple[bytes, ...] = (IS_CA,),
    after: bytes = b"",
    version: int = 2,
) -> bytes:
    """The DER of a certificate put together field by field, with a signature that nobody checks."""

    def moment(text: bytes) -> bytes:
        return tlv(0x17 if len(text) == 13 else 0x18, text)

    own = subject if subject is not None else distinguished(b"Hand Made")
    body = sequence(
        tlv(0xA0, tlv(2, bytes([version]))) if version else b"",
        tlv(2, serial),
        algorithm,
        issuer if issuer is not None else own,
        sequence(moment(not_before), moment(not_after)),
        own,
        key if key is not None else spki(curve_key(7)),
        tlv(0xA3, sequence(*extensions)) if extensions and version == 2 else b"",
    )
    signature = tlv(3, b"\x00", sequence(tlv(2, b"\x01"), tlv(2, b"\x01")))
    return sequence(body, outer_algorithm or algorithm, signature, after)


def rsa_spki(bits: int, *, parameters: bytes = b"\x05\x00", exponent: int = 65537) -> bytes:
    """The public key of an RSA modulus of any length that nobody can factor, and nobody made."""
    modulus = (1 << (bits - 1)) | 0x1234567 | 1
    numbers = sequence(tlv(2, b"\x00" * (bits % 8 == 0), modulus.to_bytes((bits + 7) // 8, "big")), integer(exponent))
    return sequence(sequence(oid("1.2.840.113549.1.1.1"), parameters), tlv(3, b"\x00", numbers))


def integer(number: int) -> bytes:
    """A positive INTEGER of minimal encoding."""
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def armour(der: bytes, label: str = "CERTIFICATE") -> bytes:
    """PEM of any bytes under any label, 64 columns."""
    text = base64.b64encode(der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()
