"""Health: /healthz, /readyz and /metrics, from what the loop last wrote down, without the API server."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from registry_trust import __version__
from registry_trust.agent.supervision import Supervisor
from registry_trust.core.report import RowState
from registry_trust.process.pages import Page, healthy

STUCK = 120.0
"""Seconds without a turn of the loop after which the process counts as stuck; a pass waits for locks and disks."""

PYTHON = ".".join(map(str, sys.version_info[:3]))

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
    failures: int = 0
    """Turns of the loop that ended with an exception that no code foresaw."""
    reported: float | None = None
    """Monotonic time of the last report that arrived."""
    stuck_after: float = STUCK
    supervisor: Supervisor = field(default_factory=lambda: Supervisor(threading.Event()))

    def trouble(self, now: float) -> str:
        """Say why the process is not alive; empty while the loop turns and every thread is at work."""
        if now - self.turned >= self.stuck_after:
            return "the main loop is stuck"
        dead = self.supervisor.dead()
        return f"a thread has ended: {', '.join(dead)}" if dead else ""

    def metrics(self, now: float) -> str:
        """Return the page for Prometheus (text format 0.0.4)."""
        lines = [
            "# HELP registry_trust_agent_build_info 1, with the version of the agent and of Python.",
            "# TYPE registry_trust_agent_build_info gauge",
            f'registry_trust_agent_build_info{{version="{__version__}",python="{PYTHON}"}} 1',
            "# HELP registry_trust_agent_bundle_serial Serial of the bundle that this node applied last.",
            "# TYPE registry_trust_agent_bundle_serial gauge",
            f"registry_trust_agent_bundle_serial {self.serial}",
            "# HELP registry_trust_agent_entries Registries on this node by state.",
            "# TYPE registry_trust_agent_entries gauge",
            *(f'registry_trust_agent_entries{{state="{s}"}} {self.entries.get(s, 0)}' for s in RowState),
            "# HELP registry_trust_agent_drift_repairs_total Entries repaired after another process changed them.",
            "# TYPE registry_trust_agent_drift_repairs_total counter",
            f"registry_trust_agent_drift_repairs_total {self.repairs}",
            "# HELP registry_trust_agent_ready Whether the first pass is done.",
            "# TYPE registry_trust_agent_ready gauge",
            f"registry_trust_agent_ready {int(self.ready)}",
            "# HELP registry_trust_agent_loop_age_seconds Seconds since the loop's last turn.",
            "# TYPE registry_trust_agent_loop_age_seconds gauge",
            f"registry_trust_agent_loop_age_seconds {max(0.0, now - self.turned):.1f}",
            "# HELP registry_trust_agent_failures_total Unexpected failures of each part of the agent; it goes on.",
            "# TYPE registry_trust_agent_failures_total counter",
            *(
                f'registry_trust_agent_failures_total{{thread="{name}"}} {count}'
                for name, count in {"loop": self.failures, **self.supervisor.failures}.items()
            ),
        ]
        if self.reported is not None:
            lines += [
                "# HELP registry_trust_agent_report_age_seconds Seconds since the last report arrived.",
                "# TYPE registry_trust_agent_report_age_seconds gauge",
                f"registry_trust_agent_report_age_seconds {now - self.reported:.1f}",
            ]
        return "\n".join(lines) + "\n"

    def pages(self, monotonic: Callable[[], float] = time.monotonic) -> dict[str, Callable[[], Page]]:
        """Return the pages to serve, by path."""
        return {
            "/healthz": lambda: healthy(not (trouble := self.trouble(monotonic())), trouble),
            "/readyz": lambda: healthy(self.ready, "no pass over a bundle yet"),
            "/metrics": lambda: Page(self.metrics(monotonic()), content_type=_METRICS),
        }
