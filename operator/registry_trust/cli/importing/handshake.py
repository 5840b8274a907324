"""One TLS handshake with a registry, to see the certificates that it shows; nothing is verified or trusted by it."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

from registry_trust.core.text import escape

SECONDS = 15.0
"""For connection and handshake together."""

_MOST_BYTES = 1024 * 1024


class NoHandshake(Exception):
    """The server could not be reached, or does not speak TLS; the text is printable."""


def shown_by(host: str, port: int) -> tuple[bytes, ...]:
    """Return the certificates that a server shows, as DER in its order, its own first.

    A server that demands a client certificate has shown its own before it refuses.

    Raises:
        NoHandshake: there are none; says why.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # TLS 1.2 and later, as every runtime
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # a weak key is to be seen and then judged by the operator's rules
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    conversation = context.wrap_bio(incoming, outgoing, server_hostname=host)
    until = time.monotonic() + SECONDS
    try:
        with socket.create_connection((host, port), timeout=SECONDS) as connection:
            _shake(conversation, incoming, outgoing, connection, until)
    except (OSError, ValueError) as error:
        chain = _chain(conversation)
        if chain:
            return chain
        why = error.reason if isinstance(error, ssl.SSLError) else getattr(error, "strerror", "")
        raise NoHandshake(escape(why or str(error) or type(error).__name__)) from None
    return _chain(conversation)


def _shake(
    conversation: ssl.SSLObject,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
    connection: socket.socket,
    until: float,
) -> None:
    received = 0
    while True:
        try:
            conversation.do_handshake()
        except ssl.SSLWantReadError:
            pass
        else:
            return
        finally:
            if outgoing.pending:
                connection.sendall(outgoing.read())
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no handshake within {SECONDS:.0f} seconds")
        connection.settimeout(left)
        data = connection.recv(65536)
        received += len(data)
        if not data or received > _MOST_BYTES:
            raise ConnectionError("the server ended the handshake" if not data else "the server sends no end of bytes")
        incoming.write(data)


def _chain(conversation: ssl.SSLObject) -> tuple[bytes, ...]:
    if hasattr(conversation, "get_unverified_chain"):  # Python 3.13 and later
        return tuple(conversation.get_unverified_chain())
    inner: Any = conversation._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - the only way before 3.13
    return tuple(ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in inner.get_unverified_chain() or ())
