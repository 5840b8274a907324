"""A crowd: the real agent many times in one process, each with a token, a root and threads of its own.

Command line: `python -m tools.bench.crowd URL CA_FILE NAMESPACE FOLDER NODE…`; FOLDER holds `NODE.token` and `NODE/`,
which is the node's root. It runs until it is ended. While `FOLDER/NODE.no-dns` exists, for the first NODE, no name has
an address. `CROWD_PLANTED` in the environment names a fault of `tools.trials.planted` that all agents get.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from registry_trust.agent.__main__ import main as agent

_STACK = 512 << 10
"""Bytes of each thread's stack; there are hundreds."""


def main(url: str, ca_file: str, namespace: str, folder: str, *nodes: str) -> None:
    """Run an agent for each node."""
    threading.stack_size(_STACK)
    # An agent is a process and takes its signals; in here none has a signal of its own.
    signal.signal = lambda *_: None
    if planted := os.environ.get("CROWD_PLANTED"):
        getattr(importlib.import_module("tools.trials.planted"), planted)(Path(folder))
    _resolve_unless(Path(folder) / f"{nodes[0]}.no-dns")
    threads = [
        threading.Thread(
            target=agent,
            daemon=True,
            args=[
                [
                    f"--node-name={node}",
                    f"--namespace={namespace}",
                    f"--api-server={url}",
                    f"--ca-file={ca_file}",
                    f"--token-file={folder}/{node}.token",
                    f"--target=docker={folder}/{node}",
                    "--log-level=error",
                ]
            ],
        )
        for node in nodes
    ]
    for each in threads:
        each.start()
    signal.pause()


def _resolve_unless(gone: Path) -> None:
    """While a file exists, ask the resolver for a name that nobody has (RFC 6761), so its failure is its own."""
    resolver = socket.getaddrinfo

    def resolve(host: Any, *given: Any, **named: Any) -> Any:
        return resolver("api.invalid" if gone.exists() else host, *given, **named)

    socket.getaddrinfo = resolve


if __name__ == "__main__":
    main(*sys.argv[1:])
