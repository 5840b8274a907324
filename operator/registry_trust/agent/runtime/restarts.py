"""Restarts: whether containerd has started since its configuration was changed; decided from what was seen so far.

dockerd also reads its configuration when it is told to reload, which leaves no trace: nothing can be known of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from registry_trust.core.times import rfc3339

UNIT = "containerd.service"

SETTLING = 10.0
"""Seconds after a unit's start in which its own preparations (ExecStartPre) may still write its configuration."""


@dataclass(frozen=True, slots=True)
class InForce:
    """Whether the settings in the files are those that the runtime works with.

    `problem` says why they are not, on evidence; `remark` why they may not be. Both empty: they are, as far as can be
    known.
    """

    problem: str = ""
    remark: str = ""


IN_FORCE = InForce()
"""Nothing speaks against it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at a node shows.

    Attributes:
        settings: what matters of the configuration, by value.
        runtime: name and version, as in the Node's status.
        started: the time of the runtime's last start; None where nothing tells.
        changed: the newest time of a file of the configuration; 0 where there is no file.
        newest: that file's path.
    """

    settings: object
    runtime: str = ""
    started: float | None = None
    changed: float = 0.0
    newest: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the settings that the runtime works with.

    Attributes:
        settings: those; None where they were changed after the runtime's start and before the first look.
        runtime, started: of the look since which that holds.
        differs_since: the time of the first look that showed others; 0 where there was none.
    """

    settings: object | None
    runtime: str
    started: float | None
    differs_since: float = 0.0


def learn(known: Known | None, seen: Seen, now: float) -> Known:
    """Return what is known after a look.

    A start, or another version, makes everything in the files count, except files changed after that start. Without
    the time of a start the first look is believed.
    """
    if known is None or known.runtime != seen.runtime or seen.started not in (None, known.started):
        changed_since = seen.started is not None and seen.changed > seen.started + SETTLING
        known = Known(None if changed_since else seen.settings, seen.runtime, seen.started)
    if known.settings == seen.settings:
        return replace(known, differs_since=0.0)
    return known if known.differs_since else replace(known, differs_since=now)


def in_force(known: Known, seen: Seen) -> InForce:
    """Say whether what the files say now is what the runtime works with."""
    if known.settings == seen.settings:
        return IN_FORCE
    if known.started is None:
        # A start that nobody tells of may have been.
        return InForce(
            remark=f"containerd reads its configuration only when it starts, and the configuration changed at about "
            f"{rfc3339(known.differs_since)}; unless containerd was restarted since: systemctl restart containerd"
        )
    after = seen.changed if seen.changed > known.started else known.differs_since
    what = seen.newest if seen.changed > known.started else "its configuration"
    return InForce(
        problem=f"containerd reads its configuration only when it starts, which was at {rfc3339(known.started)}; "
        f"{what} has changed since, at about {rfc3339(after)}. Restart it once: systemctl restart containerd"
    )
