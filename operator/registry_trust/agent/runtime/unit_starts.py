"""Unit starts: when systemd last started a unit, by the link that it keeps for each one that is up."""

from __future__ import annotations

import os
import time

from registry_trust.agent.options import Mount

_CLOCK_ERROR = 60.0
"""Seconds by which two readings of the clocks may differ."""


def started(units: Mount | None, unit: str) -> float | None:
    """Return the time of a unit's last start; None where it is not up, or nothing tells.

    systemd recreates `/run/systemd/units/invocation:UNIT` at each start, leaves it alone when it reloads or executes
    itself again, and removes it with the stop (seen with systemd 252). The unit's cgroup is no witness: with
    KillMode=process the shims of running pods keep it, and its times, over a restart.
    """
    if units is None:
        return None
    try:
        found = os.lstat(f"{units.here}/invocation:{unit}").st_mtime
    except OSError:
        return None
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    # A start before the boot: the clock was set afterwards, so that its times say nothing about those of files.
    return found if found >= booted - _CLOCK_ERROR else None
