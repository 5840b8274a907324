"""Chooses free TCP ports on loopback, outside the range from which the kernel gives ports to connections."""

import random
import socket
from pathlib import Path

_CHOICE = random.SystemRandom()
_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp


def free_port() -> int:
    """A port that nothing listens on now; a server may close it and take it again, for no connection is given it."""
    for _ in range(200):
        port = _CHOICE.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    message = "no free port between 20000 and 32000 on 127.0.0.1"
    raise OSError(message)


def listens(process: int, port: int) -> bool:
    """Whether anything listens on the port in the network namespace of a process."""
    entries = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in (Path("/proc") / str(process) / "net" / name).read_text().splitlines()[1:]
    ]
    return any(entry[1].endswith(f":{port:04X}") and entry[3] == _LISTEN for entry in entries)
