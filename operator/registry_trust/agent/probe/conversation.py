"""Conversation: one TLS handshake and one GET, with every message of the registry seen, in bounded time and bytes."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from registry_trust.agent.probe.network import TimeLimit, Unreachable
from registry_trust.core.text import escape
from registry_trust.core.verdict.sending import ClientFiles
from registry_trust.core.verdict.sighting import Ending, Sighting
from registry_trust.core.verdict.tls_messages import MalformedMessage, ServerMessages

_MOST_BYTES = 512 * 1024
_HEAD_BYTES = 16 * 1024
_REFUSAL_SECONDS = 0.5
"""For the alert of a registry that refuses a client certificate; one that accepts sends a session ticket sooner."""

_HANDSHAKE, _ALERT = 22, 21
_HEAD_END = b"\r\n\r\n"
_CIPHERS = "ECDHE+AESGCM:@SECLEVEL=1"
"""What every runtime offers (docker/go-connections tlsconfig); level 1 takes RSA keys from 1,024 bits, as Go does."""

_NO_COMPRESSED_CERTIFICATES = 1 << 33
"""SSL_OP_NO_RX_CERTIFICATE_COMPRESSION of OpenSSL 3.2 on, which `ssl` has no name for; Go does not offer it either."""

StopWhen = Callable[[ServerMessages], bool]


def verifying(authorities: Sequence[bytes]) -> ssl.SSLContext:
    """Return a context that trusts these certificates as Go does, roots or not; names are checked elsewhere."""
    context = _context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    if authorities:
        context.load_verify_locations(cadata=b"".join(authorities))
    return context


def presenting(pair: ClientFiles) -> ssl.SSLContext:
    """Return a context that sends a client certificate, and exactly the chain of its file.

    It verifies nothing and has no CA certificates: OpenSSL would complete the client's chain with them, and Go does
    not. `converse` compares the registry's certificate with one that was verified before anything is sent.

    Raises:
        OSError: the pair can't be loaded (ssl.SSLError is one).
    """
    context = _context()
    context.load_cert_chain(pair.certificate, pair.key, password=lambda: "")  # never ask at a terminal
    return context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # No renegotiation, as Go: or a registry could ask for a client certificate later.
    context.options |= ssl.OP_NO_RENEGOTIATION | _NO_COMPRESSED_CERTIFICATES
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(_CIPHERS)
    return context


class _Talk:
    """The state of one conversation."""

    def __init__(self, context: ssl.SSLContext, host: str, connection: socket.socket, deadline: TimeLimit) -> None:
        self.messages = ServerMessages()
        self.alert = 0
        self.answer = self.begins_with = b""
        self.malformed = False
        self._received = 0
        self._connection, self._deadline = connection, deadline
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        # The only sight of a CertificateRequest, and of the chain of a failed handshake (since CPython 3.8, to debug).
        context._msg_callback = self._note  # type: ignore[attr-defined]  # noqa: SLF001 - as said
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def _note(self, _: Any, direction: str, __: Any, content: int, ___: Any, data: bytes) -> None:
        if direction != "read":
            return
        if content == _ALERT and len(data) == 2:
            self.alert = data[1]
        elif content == _HANDSHAKE:
            try:
                self.messages = self.messages.plus(data)
            except MalformedMessage:
                self.malformed = True

    def shake(self, stop_when: StopWhen) -> bool:
        """Do the handshake; False if it was to be stopped."""
        done = False
        while not done:
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            if self.messages.chain and stop_when(self.messages):
                return False
            self._flush()
            if not done:
                self._receive()
        return True

    def ask(self, host: str) -> None:
        """Send the request and receive the answer, as far as it is needed."""
        if self.messages.request is not None:
            self._listen()
        self._tls.write(f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        while not self._is_enough():
            self._flush()
            try:
                data = self._tls.read(4096)
            except ssl.SSLWantReadError:
                self._receive()
                continue
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return
            if not data:
                return
            self.answer += data

    def say_why(self) -> None:
        """Send OpenSSL's alert: a registry's log then shows that instead of an end without a reason."""
        with contextlib.suppress(OSError, Unreachable):
            self._flush()

    def _listen(self) -> None:
        """Wait for a refusal, which a request may cross and make the system throw away (a reset)."""
        poll = select.poll()  # select(2) takes no descriptor above 1023
        poll.register(self._connection, select.POLLIN)
        if poll.poll(min(_REFUSAL_SECONDS, self._deadline.left()) * 1000):
            self._receive()
            with contextlib.suppress(ssl.SSLWantReadError):
                self.answer += self._tls.read(4096)

    def _is_enough(self) -> bool:
        if len(self.answer) > _HEAD_BYTES:
            return True
        # Of an error 400, the text says whether it is about the client certificate.
        return _HEAD_END in self.answer and not self.answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._connection.settimeout(self._deadline.left())
            self._connection.sendall(self._outgoing.read())

    def _receive(self) -> None:
        self._connection.settimeout(self._deadline.left())
        data = self._connection.recv(65536)
        self._received += len(data)
        self.begins_with = self.begins_with or data[:5]
        if self._received > _MOST_BYTES:
            raise Unreachable(f"it sends more than {_MOST_BYTES:,} bytes")
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()


def converse(
    context: ssl.SSLContext,
    host: str,
    connection: socket.socket,
    deadline: TimeLimit,
    stop_when: StopWhen,
    *,
    ask: str,
) -> Sighting:
    """Return what was seen; the connection is closed afterwards.

    Args:
        context: see `verifying` and `presenting`; used for one conversation.
        host: the server's name.
        connection: to it.
        deadline: for everything.
        stop_when: says of the messages so far, before anything more is sent, whether to end the conversation.
        ask: the `Host` of the request.
    """
    talk = _Talk(context, host, connection, deadline)
    with connection:
        try:
            if talk.shake(stop_when):
                talk.ask(ask)
                ending, detail = _ending(talk)
            else:
                ending, detail = Ending.STOPPED, ""
        except (OSError, Unreachable) as error:
            ending, detail = _bad_ending(error, talk)
    return Sighting(ending, detail, talk.alert, talk.messages, talk.answer)


def _ending(talk: _Talk) -> tuple[Ending, str]:
    if talk.malformed or _HEAD_END not in talk.answer:
        return Ending.REFUSED, f"its answer has no end of the header in {len(talk.answer):,} bytes"
    return Ending.ANSWERED, ""


def _bad_ending(error: Exception, talk: _Talk) -> tuple[Ending, str]:
    """Return how a conversation ended that raised an error; the words are OpenSSL's or the system's own."""
    if isinstance(error, Unreachable) or (isinstance(error, TimeoutError) and not error.errno):
        return Ending.UNREACHABLE, str(error) if isinstance(error, Unreachable) else "it took too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        talk.say_why()
        return Ending.REJECTED, escape(error.verify_message or "", 120)
    if isinstance(error, ssl.SSLEOFError):
        return Ending.REFUSED, "it ended the connection"
    if isinstance(error, ssl.SSLError):
        return Ending.NOT_TLS if talk.begins_with == b"HTTP/" else Ending.REFUSED, escape(error.reason or "no TLS", 80)
    return Ending.REFUSED, os.strerror(error.errno or 0) if isinstance(error, OSError) else ""
