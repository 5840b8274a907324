"""TLS messages that a registry sends, read as far as a verdict needs (RFC 8446 4, RFC 5246 7.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

SERVER_HELLO, CERTIFICATE, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST = 2, 11, 12, 13

TLS_1_2, TLS_1_3 = 0x0303, 0x0304
_KEY_SHARE, _SUPPORTED_VERSIONS, _SIGNATURE_ALGORITHMS, _AUTHORITIES = 51, 43, 13, 47
_NAMED_CURVE, _RSA_SIGN, _ECDSA_SIGN = 3, 1, 64
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a HelloRetryRequest (RFC 8446 4.1.3)."""

RSA_SCHEMES = frozenset({0x0201, 0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806})
"""Signature schemes of RSA keys (RFC 8446 4.2.3)."""

GO_GROUPS = frozenset({23, 24, 25, 29, 4587, 4588, 4589})
"""P-256, P-384, P-521, X25519, and the hybrids that a registry chooses only for a client that offers them."""

ALERTS = {
    10: "unexpected message",
    40: "handshake failure",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "revoked certificate",
    45: "expired certificate",
    46: "unknown certificate",
    47: "illegal parameter",
    48: "unknown certificate authority",
    49: "access denied",
    51: "error decrypting message",
    70: "protocol version not supported",
    71: "insufficient security level",
    80: "internal error",
    112: "unrecognized name",
    116: "certificate required",
}
"""Alerts of a server in the words of Go's crypto/tls (alert.go), with which runtimes report them."""

REFUSALS = frozenset({40, 42, 43, 44, 45, 46, 48, 49, 51, 116})
"""Alerts with which registries refuse a client certificate, or that there is none (RFC 8446 6.2)."""


class MalformedMessage(ValueError):
    """A message that is not what RFC 8446 or RFC 5246 says."""


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """What a registry asks of a client: names of CAs as DER, empty for any; and signature schemes."""

    authorities: tuple[bytes, ...]
    schemes: frozenset[int]


@dataclass(frozen=True, slots=True)
class ServerMessages:
    """What was read so far."""

    version: int = 0
    group: int = 0
    chain: tuple[bytes, ...] = ()
    request: CertificateRequest | None = None

    def plus(self, message: bytes) -> ServerMessages:
        """Return this with one more handshake message (its header of four bytes in front).

        Raises:
            MalformedMessage: it ends too early.
        """
        reader, kind = _Cursor(message[4:]), message[0]
        if kind == SERVER_HELLO:
            return self._hello(reader)
        if kind == CERTIFICATE:
            return replace(self, chain=self._chain(reader))
        if kind == SERVER_KEY_EXCHANGE and reader.number(1) == _NAMED_CURVE:
            return replace(self, group=reader.number(2))
        if kind == CERTIFICATE_REQUEST:
            return replace(self, request=self._request(reader))
        return self

    def _hello(self, reader: _Cursor) -> ServerMessages:
        version = reader.number(2)
        if reader.take(32) == _RETRY:
            return self
        reader.vector(1)
        reader.take(3)
        extensions = _extensions(reader.vector(2)) if reader.left() else {}
        if _SUPPORTED_VERSIONS in extensions:
            version = _Cursor(extensions[_SUPPORTED_VERSIONS]).number(2)
        group = _Cursor(extensions[_KEY_SHARE]).number(2) if _KEY_SHARE in extensions else self.group
        return replace(self, version=version, group=group)

    def _chain(self, reader: _Cursor) -> tuple[bytes, ...]:
        if self.version >= TLS_1_3:
            reader.vector(1)
        certificates, chain = _Cursor(reader.vector(3)), []
        while certificates.left():
            chain.append(certificates.vector(3))
            if self.version >= TLS_1_3:
                certificates.vector(2)
        return tuple(chain)

    def _request(self, reader: _Cursor) -> CertificateRequest:
        types = reader.vector(1)
        if self.version < TLS_1_3:
            # As Go does: a scheme counts only if the kind of its key is listed, too (certificateRequestInfoFromMsg).
            schemes = _numbers(reader.vector(2))
            rsa, others = schemes & RSA_SCHEMES, schemes - RSA_SCHEMES
            none: frozenset[int] = frozenset()
            asked = (rsa if _RSA_SIGN in types else none) | (others if _ECDSA_SIGN in types else none)
            return CertificateRequest(_names(reader.vector(2)), asked)
        extensions = _extensions(reader.vector(2))
        authorities = _Cursor(extensions.get(_AUTHORITIES, b"\0\0")).vector(2)
        asked = _numbers(_Cursor(extensions.get(_SIGNATURE_ALGORITHMS, b"\0\0")).vector(2))
        return CertificateRequest(_names(authorities), asked)


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left():
            raise MalformedMessage("a TLS message ends too early")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))


def _extensions(data: bytes) -> dict[int, bytes]:
    reader, found = _Cursor(data), {}
    while reader.left():
        kind = reader.number(2)
        found[kind] = reader.vector(2)
    return found


def _names(data: bytes) -> tuple[bytes, ...]:
    reader, found = _Cursor(data), []
    while reader.left():
        found.append(reader.vector(2))
    return tuple(found)


def _numbers(data: bytes) -> frozenset[int]:
    return frozenset(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2))
