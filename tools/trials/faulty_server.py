"""A faulty way to the API server: an HTTPS proxy on loopback that refuses, answers, cuts and holds back as it is told.

It ends TLS with a certificate of the cluster's own CA, passes each request on, and notes who asked what and when.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum

from tools.cluster.control_plane import ControlPlane
from tools.trials.dropped_packets import drop_all

_HEAD = 1 << 20
"""Bytes of a request's or an answer's head, and of a line between two chunks."""

_BROKEN = (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


class How(Enum):
    """What a fault does."""

    REFUSES = "no process listens on the port"
    RESETS = "each connection ends before TLS"
    ANSWERS = "requests get an answer of the fault's own, and the API server does not hear of them"
    CUTS = "the second half of each answer is left out"
    ENDS = "each watch brings an event of the fault's own and ends"
    HOLDS = "watches stay open and bring nothing"
    FORGETS = "packets of the connections that are open are dropped, also after the mend; new ones work"
    SWALLOWS = "the connections that are open acknowledge and bring nothing, also after the mend; new ones work"

    @property
    def outlives_its_mend(self) -> bool:
        """Say whether only the client's own patience ends it."""
        return self in (How.FORGETS, How.SWALLOWS)


@dataclass(frozen=True)
class Fault:
    """One fault; with `share` below 1 it meets only every so many requests (0.3: three in ten)."""

    how: How
    answer: bytes = b""
    """The whole answer, or the event of a watch."""
    share: float = 1.0


@dataclass(frozen=True)
class Asked:
    """A request: when (monotonic seconds), on behalf of which Node's token, and whether the fault met it."""

    at: float
    node: str
    what: str
    met: bool


def answer(status: str, body: bytes, *, kind: str = "application/json", headers: str = "") -> bytes:
    """Return a whole HTTP answer after which the connection stays open."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


@dataclass(frozen=True)
class _Request:
    head: bytes
    body: bytes

    @property
    def what(self) -> str:
        return b" ".join(self.head.split(b" ", 2)[:2]).decode(errors="replace")

    @property
    def is_watch(self) -> bool:
        return "watch=true" in self.what or "watch=1" in self.what

    @property
    def node(self) -> str:
        """The Node that the token is bound to; empty for another one."""
        token = _header(self.head, b"authorization").rpartition(b" ")[2].split(b".")
        with suppress(ValueError, IndexError, KeyError, TypeError, AttributeError):
            claims = json.loads(base64.urlsafe_b64decode(token[1] + b"=" * (-len(token[1]) % 4)))
            return str(claims["kubernetes.io"]["node"]["name"])
        return ""


class FaultyServer:
    """Passes requests for 127.0.0.1:`port` on to the API server; `begin` and `mend` may be called from any thread."""

    def __init__(self, plane: ControlPlane) -> None:
        self._target = plane.port
        folder = plane.run.subfolder("faulty-servers")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        name = f"server-{self.port}"
        plane.authority.server(["127.0.0.1", "localhost"]).write(folder, name)
        self._shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._shown.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
        self._seen = ssl.create_default_context(cafile=str(plane.ca_file))
        self._seen.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT  # as the agent: the CA may lack the key usage
        self._fault: Fault | None = None
        self._turn = 0.0
        self.asked: list[Asked] = []
        self.interrupts: Callable[[str, bool], bool] = lambda _what, _answered: False
        """Called with each request before the API server hears of it, and again (True) when it has answered and its
        client has not heard; true ends the connection there."""
        self.resets = 0
        """Connections that were reset before TLS: nobody knows whose."""
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._lost: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._listener: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()
        self._do(self._listen())

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def begin(self, fault: Fault | None, *, cuts: bool = True) -> None:
        """Let a fault happen from now on; with `cuts` every connection that is open ends first, also for no fault."""
        self._do(self._set(fault, cuts=cuts))

    def mend(self) -> None:
        """Pass everything on again, what was held back first."""
        self._do(self._set(None, cuts=False))

    def met(self, since: float) -> int:
        """Return how many requests and connections the faults have met since a monotonic time."""
        return sum(each.met for each in self.asked if each.at >= since) + self.resets

    def close(self) -> None:
        """End everything."""
        self._do(self._set(Fault(How.REFUSES), cuts=True))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]  # a coroutine

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=_HEAD, backlog=1024)

    async def _set(self, fault: Fault | None, *, cuts: bool) -> None:
        self._fault = fault
        how = fault.how if fault else None
        (self._flows.clear if how is How.HOLDS else self._flows.set)()
        if how is How.REFUSES and self._listener is not None:
            self._listener.close()
            self._listener = None
        elif how is not How.REFUSES:
            await self._listen()
        if how is not None and how.outlives_its_mend:
            self._lose(drops=how is How.FORGETS)
        if cuts:
            await self._cut()

    def _lose(self, *, drops: bool) -> None:
        """Take nothing from the open connections any longer, and give them nothing."""
        self._lost.update(self._serving.values())
        for writer in self._lost if drops else ():
            drop_all(writer.get_extra_info("socket"))

    async def _cut(self) -> None:
        """End every connection, and wait for that."""
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # Transports close in the loop's next round.

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection; TLS begins here, because a reset comes before it."""
        if self._fault is not None and self._fault.how is How.RESETS:
            self.resets += 1
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        upstream: asyncio.StreamWriter | None = None
        try:
            await writer.start_tls(self._shown, ssl_handshake_timeout=20)
            far, upstream = await asyncio.open_connection("127.0.0.1", self._target, ssl=self._seen, limit=_HEAD)
            while await self._exchange(reader, writer, far, upstream):
                pass
        except (*_BROKEN, asyncio.CancelledError):
            pass
        finally:
            del self._serving[task]
            self._lost.discard(writer)
            for each in (writer, upstream):
                if each is not None:
                    each.transport.abort()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> bool:
        """Take one request to its answer; say whether the connection goes on."""
        head = await reader.readuntil(b"\r\n\r\n")
        await self._unless_lost(writer)
        request = _Request(head, await reader.readexactly(int(_header(head, b"content-length") or 0)))
        fault = self._meets(request)
        self.asked.append(Asked(time.monotonic(), request.node, request.what, fault is not None))
        if fault is not None and fault.how is How.ANSWERS:
            writer.write(fault.answer)
            await writer.drain()
            return True
        if self.interrupts(request.what, False):
            return False
        upstream.write(request.head + request.body)
        answered = await far.readuntil(b"\r\n\r\n")
        if request.is_watch and b"chunked" in _header(answered, b"transfer-encoding"):
            gone = asyncio.ensure_future(reader.read(1))
            gone.add_done_callback(lambda _: upstream.transport.abort())  # Else its watch would go on.
            try:
                await self._stream(answered, far, writer, fault)
            finally:
                gone.cancel()
            return False
        body = await _body(answered, far)
        if self.interrupts(request.what, True):
            return False
        if fault is not None and fault.how is How.CUTS:
            body = body[: len(body) // 2]
        kept = [line for line in answered.split(b"\r\n")[:-2] if not line.lower().startswith(_FRAMING)]
        writer.write(b"\r\n".join([*kept, b"Content-Length: %d" % len(body), b"", b""]) + body)
        await writer.drain()
        return True

    async def _stream(
        self, head: bytes, far: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault | None
    ) -> None:
        """Pass a watch on, chunk by chunk, until it ends."""
        writer.write(head)
        if fault is not None and fault.how is How.ENDS:
            writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(fault.answer), fault.answer))
            await writer.drain()
            return
        while chunk := await _chunk(far):
            await self._flows.wait()
            await self._unless_lost(writer)
            if fault is not None and fault.how is How.CUTS:
                half = chunk[: len(chunk) // 2]
                writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(half), half))
                break
            writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            await writer.drain()
        await writer.drain()

    async def _unless_lost(self, writer: asyncio.StreamWriter) -> None:
        """Return if a connection is not lost; else never."""
        if writer in self._lost:
            await asyncio.Event().wait()

    def _meets(self, request: _Request) -> Fault | None:
        """Return the fault if it meets this request: every so many, so no run is luckier than another."""
        fault = self._fault
        if fault is None or fault.how.outlives_its_mend:
            return None
        if fault.how in (How.ENDS, How.HOLDS) and not request.is_watch:
            return None
        self._turn += fault.share
        if self._turn < 1:
            return None
        self._turn -= 1
        return fault


_FRAMING = (b"content-length:", b"transfer-encoding:")


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return b""


async def _body(head: bytes, far: asyncio.StreamReader) -> bytes:
    if b"chunked" not in _header(head, b"transfer-encoding"):
        return await far.readexactly(int(_header(head, b"content-length") or 0))
    chunks = []
    while chunk := await _chunk(far):
        chunks.append(chunk)
    return b"".join(chunks)


async def _chunk(far: asyncio.StreamReader) -> bytes:
    """Return the next chunk of an answer (RFC 9112 section 7.1); empty at its end."""
    size = int((await far.readuntil(b"\r\n")).partition(b";")[0], 16)
    data = await far.readexactly(size + 2)
    return data[:-2]


@contextmanager
def faulty(plane: ControlPlane) -> Iterator[FaultyServer]:
    """Start a faulty way to a control plane."""
    server = FaultyServer(plane)
    try:
        yield server
    finally:
        server.close()
