"""Registries that show any chain and ask for any client certificate: one image each, on ports of loopback."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from types import TracebackType
from typing import Self

from tools.cluster.binaries import binary
from tools.cluster.processes import die_with_parent

TLS_1_2, TLS_1_3 = 0x0303, 0x0304


class Ask(IntEnum):
    """Whether a registry asks for a client certificate, and what it takes (tls.ClientAuthType)."""

    NO = 0
    IGNORE = 1
    ANY = 2
    IF_GIVEN = 3
    VERIFY = 4


@dataclass(frozen=True)
class Showing:
    """What one registry shows and asks for; all certificates are DER, the key is PKCS #8 in DER."""

    chain: tuple[bytes, ...]
    key: bytes
    ask: Ask = Ask.NO
    authorities: tuple[bytes, ...] = ()
    """Whom it names, and whose client certificates it verifies."""
    minimum: int = TLS_1_2
    maximum: int = TLS_1_3
    status: int = 401
    """Of GET /v2/."""


class Registries:
    """The program that is all of them; a context manager."""

    def __init__(self) -> None:
        self._program = binary("showing")

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            [*die_with_parent(), self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.communicate(timeout=10)  # its input ends, and so does it

    @contextmanager
    def showing(self, one: Showing) -> Iterator[int]:
        """Yield the port of a registry, which is closed afterwards."""
        port = self._say(
            chain=[_text(each) for each in one.chain],
            key=_text(one.key),
            ask=one.ask,
            authorities=[_text(each) for each in one.authorities],
            minimum=one.minimum,
            maximum=one.maximum,
            status=one.status,
        )
        yield port
        self._say(close=port)

    def _say(self, **line: object) -> int:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(line) + "\n")
        return int(self._child.stdout.readline())


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
