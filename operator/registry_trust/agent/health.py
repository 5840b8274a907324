"""Health: /healthz, /readyz and /metrics over HTTP, from what the loop last wrote down, without the API server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from registry_trust.core.report import RowState

STUCK = 120.0
"""Seconds without a turn of the loop after which the process counts as stuck; a pass waits for locks and disks."""

_METRICS = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Health:
    """What the loop says of itself. Each field is replaced as a whole by one thread and read by others."""

    turned: float = field(default_factory=time.monotonic)
    """Monotonic time of the loop's last turn."""
    ready: bool = False
    """The first pass over a bundle, or over what an earlier process wrote, is done."""
    serial: int = 0
    entries: Mapping[str, int] = field(default_factory=dict)
    """Number of rows by state."""
    repairs: int = 0
    reported: float | None = None
    """Monotonic time of the last report that arrived."""
    stuck_after: float = STUCK

    def is_alive(self, now: float) -> bool:
        """Say whether the loop still turns."""
        return now - self.turned < self.stuck_after

    def metrics(self, now: float) -> str:
        """Return the page for Prometheus (text format 0.0.4)."""
        lines = [
            "# HELP registry_trust_agent_bundle_serial Serial of the bundle that this node applied last.",
            "# TYPE registry_trust_agent_bundle_serial gauge",
            f"registry_trust_agent_bundle_serial {self.serial}",
            "# HELP registry_trust_agent_entries Registries on this node by state.",
            "# TYPE registry_trust_agent_entries gauge",
            *(f'registry_trust_agent_entries{{state="{s}"}} {self.entries.get(s, 0)}' for s in RowState),
            "# HELP registry_trust_agent_drift_repairs_total Entries repaired after somebody else changed them.",
            "# TYPE registry_trust_agent_drift_repairs_total counter",
            f"registry_trust_agent_drift_repairs_total {self.repairs}",
            "# HELP registry_trust_agent_ready Whether the first pass is done.",
            "# TYPE registry_trust_agent_ready gauge",
            f"registry_trust_agent_ready {int(self.ready)}",
            "# HELP registry_trust_agent_loop_age_seconds Seconds since the loop's last turn.",
            "# TYPE registry_trust_agent_loop_age_seconds gauge",
            f"registry_trust_agent_loop_age_seconds {max(0.0, now - self.turned):.1f}",
        ]
        if self.reported is not None:
            lines += [
                "# HELP registry_trust_agent_report_age_seconds Seconds since the last report arrived.",
                "# TYPE registry_trust_agent_report_age_seconds gauge",
                f"registry_trust_agent_report_age_seconds {now - self.reported:.1f}",
            ]
        return "\n".join(lines) + "\n"


def serve(address: tuple[str, int], health: Health, monotonic: Callable[[], float] = time.monotonic) -> tuple[str, int]:
    """Serve in a thread of its own until the process ends; return the address that was bound.

    Raises:
        OSError: the address can't be bound.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            now = monotonic()
            if self.path == "/healthz":
                self._answer(health.is_alive(now), "ok\n", "the loop does not turn\n")
            elif self.path == "/readyz":
                self._answer(health.ready, "ok\n", "no pass over a bundle yet\n")
            elif self.path == "/metrics":
                self._send(200, health.metrics(now), _METRICS)
            else:
                self._send(404, "not found\n")

        def _answer(self, good: bool, yes: str, no: str) -> None:  # noqa: FBT001 (private, and read at a glance)
            self._send(200 if good else 503, yes if good else no)

        def _send(self, status: int, text: str, content_type: str = "text/plain; charset=utf-8") -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's own name)
            """Say nothing: probes come every few seconds."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        address_family = _family(address[0])

    server = Server(address, Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server.server_address[0], server.server_address[1]  # type: ignore[return-value]  # str for these families


def _family(host: str) -> socket.AddressFamily:
    """Return the address family to bind; an empty host is every address, of both families where the kernel has both."""
    dual = not host and socket.has_dualstack_ipv6()
    return socket.AF_INET6 if ":" in host or dual else socket.AF_INET
