"""What a probe saw: of the network, of the handshake, and of the registry's answer."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from registry_trust.core.verdict.tls_messages import ALERTS, ServerMessages

_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5][0-9]{2})(?: [^\r\n]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*)")
_REALM = re.compile(rb'realm="([^"]*)"', re.IGNORECASE)
_FRAMING = {b"content-length": re.compile(rb"[0-9]{1,18}"), b"transfer-encoding": re.compile(rb"chunked")}
"""How long an answer is; whatever else stands there, clients read in different ways."""
_NO_CERTIFICATE = (b"No required SSL certificate was sent", b"The SSL certificate error")
"""nginx with `ssl_verify_client on`, which answers 400 instead of an alert (ngx_http_special_response.c)."""


class Ending(StrEnum):
    """How a conversation ended."""

    ANSWERED = "answered"
    """The registry's answer is there."""
    STOPPED = "stopped"
    """The registry asked for a client certificate, and the probe ended it to begin again with one."""
    NOT_TLS = "plain HTTP"
    REFUSED = "refused"
    """An alert, or the end of the connection, from the registry."""
    REJECTED = "rejected"
    """OpenSSL did not accept the registry's certificate."""
    UNREACHABLE = "unreachable"
    """No conversation: name, address, time."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One conversation.

    Attributes:
        ending: how it ended.
        detail: what the system or OpenSSL said of a bad end, in printable words.
        alert: the number of the registry's alert (RFC 8446 6); 0 if there was none.
        messages: of the handshake.
        answer: the first bytes of the registry's answer.
    """

    ending: Ending
    detail: str = ""
    alert: int = 0
    messages: ServerMessages = field(default_factory=ServerMessages)
    answer: bytes = field(default=b"", repr=False)

    @property
    def status(self) -> int:
        """The answer's HTTP status; 0 if it is not an answer that every HTTP client reads."""
        lines = self._head()
        found = _STATUS.fullmatch(lines[0])
        fields = [_FIELD.fullmatch(line) for line in lines[1:]]
        if found is None or None in fields:
            return 0
        framing = [(f[1].lower(), f[2].strip()) for f in fields if f and f[1].lower() in _FRAMING]
        sound = all(_FRAMING[name].fullmatch(value.lower()) for name, value in framing)
        once = all(count == 1 for count in Counter(name for name, _ in framing).values())
        return int(found[1]) if sound and once else 0

    def leads_to(self) -> tuple[str, ...]:
        """Return the URLs of token servers, or of a redirect; an empty text for one that can't be read."""
        found: list[str] = []
        for line in self._head()[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"location" and 300 <= self.status < 400:
                found.append(value.strip().decode("latin-1"))
            if name.lower() == b"www-authenticate" and b"bearer" in value.lower():
                realms = _REALM.findall(value)
                found += [realm.decode("latin-1") for realm in realms] or [""]
        return tuple(found)

    def alert_words(self) -> str:
        """Return the registry's alert as Go reports it; empty if there was none."""
        return f"remote error: tls: {ALERTS.get(self.alert, f'alert({self.alert})')}" if self.alert else ""

    def _head(self) -> list[bytes]:
        return self.answer.partition(b"\r\n\r\n")[0].split(b"\r\n")

    @property
    def wants_certificate(self) -> bool:
        """Whether the answer is that of an nginx which wants a client certificate, or another one."""
        return self.status == 400 and any(words in self.answer for words in _NO_CERTIFICATE)
