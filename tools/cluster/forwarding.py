"""Carries TCP connections between network namespaces, byte for byte, by the loaders program's `forward`."""

import socket
from collections.abc import Sequence

from tools.cluster.binaries import binary
from tools.cluster.processes import Process, start
from tools.cluster.runs import Run


def forward_from_loopback(
    run: Run, name: str, to: str, *, enter: Sequence[str] = (), port: int = 0, outlives: bool = False
) -> tuple[Process, int]:
    """Listens on 127.0.0.1 here and connects, in the namespace that `enter` leads to, to HOST:PORT or unix:PATH.

    Returns the process and the port. The socket is opened here, so the port is taken before this returns.
    """
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        number = listener.fileno()
        command = [*enter, str(binary("loaders")), "forward", f"--listen-fd={number}", f"--to={to}"]
        process = start(run, name, command, pass_fds=[number], outlives=outlives)
        return process, int(listener.getsockname()[1])


def forward_from(
    run: Run, name: str, listen: str, to: str, *, enter: Sequence[str] = (), outlives: bool = False
) -> Process:
    """Listens on HOST:PORT in the namespace that `enter` leads to."""
    command = [*enter, str(binary("loaders")), "forward", f"--listen={listen}", f"--to={to}"]
    return start(run, name, command, outlives=outlives)
