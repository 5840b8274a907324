"""Rollback: whether a bundle that has just arrived may replace the one that was applied last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from registry_trust.core.bundle import Bundle
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason

PATIENCE = 600.0
"""Seconds for which a lower serial of the same Secret is taken for a lagging API server, not for a restored etcd."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The bundle that was applied last: its Secret's UID, its serial, and who wrote it (empty if it did not say)."""

    uid: str
    serial: int
    writer: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a bundle.

    `refused_since` is to be handed to the next decision; `notice` is for the node report, None where all is usual.
    """

    accepted: bool
    refused_since: float | None = None
    notice: Problem | None = None


def newest(states: Iterable[Applied], uid: str) -> Applied | None:
    """Return what counts as applied last on a node with several roots: the highest serial of this UID, or any other.

    A root that was mounted later knows an older bundle or none.
    """
    known = sorted(states, key=lambda applied: applied.serial)
    return next((applied for applied in reversed(known) if applied.uid == uid), known[-1] if known else None)


def is_of_another_history(previous: Applied | None, uid: str, bundle: Bundle) -> bool:
    """Say whether a bundle follows another one of the serial that was applied last: another process wrote that one.

    Each write is made over the one before, so there is one writer of each serial, unless the state was set back.
    """
    if previous is None or not previous.writer or previous.uid != uid:
        return False
    writer = bundle.writer(previous.serial)
    return writer is not None and writer.name != previous.writer


def lost_history(previous: Applied, serial: int) -> Problem:
    """Return the notice of a node that keeps what it has because `serial` does not follow what it applied last."""
    return Problem(
        Reason.HISTORY_LOST,
        f"serial {serial} does not follow the applied {previous.serial}: another operator process wrote that one; was "
        f"etcd restored from a backup? No trust loses files on this node for {PATIENCE / 60:g} minutes",
    )


def decide(previous: Applied | None, uid: str, serial: int, refused_since: float | None, now: float) -> Decision:
    """Accept or refuse a bundle.

    Args:
        previous: what was applied last; None on a new node.
        uid: the UID of the bundle's Secret. Another one than before is taken at once: somebody made a new Secret.
        serial: the bundle's serial.
        refused_since: monotonic time of the first refusal in a row; None where the last bundle was accepted.
        now: monotonic time.
    """
    if previous is None or not previous.uid or previous.uid != uid or serial >= previous.serial:
        return Decision(accepted=True)
    since = now if refused_since is None else refused_since
    if now - since >= PATIENCE:
        return Decision(
            accepted=True,
            notice=Problem(
                Reason.ROLLED_BACK,
                f"serial {serial} was accepted although {previous.serial} had been applied; was etcd restored from a "
                "backup?",
            ),
        )
    return Decision(
        accepted=False,
        refused_since=since,
        notice=Problem(
            Reason.ROLLBACK_REFUSED,
            f"serial {serial} is older than the applied {previous.serial}; files stay as they are. It will be "
            f"accepted if nothing newer arrives within {PATIENCE / 60:g} minutes",
        ),
    )
