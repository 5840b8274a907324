"""Removals that are held: what a node keeps of trusts that are gone, what it says of it, and how to end that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from registry_trust.core.bundle import Bundle, IndexedTrust, LostHistory
from registry_trust.core.names import CONFIRM_ANNOTATION
from registry_trust.core.observed import ObservedRoot
from registry_trust.core.plan import Plan
from registry_trust.core.problem import Problem
from registry_trust.core.prune import spare
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState
from registry_trust.core.text import escape, listing
from registry_trust.core.times import rfc3339

_SERIAL = re.compile(r"[0-9]{1,16}")


def confirm_command(namespace: str, secret: str, serial: int) -> str:
    """Return the command that carries out now what the guard holds."""
    return f"kubectl annotate --overwrite -n {namespace} secret {secret} {CONFIRM_ANNOTATION}={serial}"


def confirmed_serial(annotation: object) -> int:
    """Return the serial that `CONFIRM_ANNOTATION` confirms; 0 where it is not the number of a serial."""
    # No serial has more digits, and Python refuses to read a number of more than 4,300.
    return int(annotation) if isinstance(annotation, str) and _SERIAL.fullmatch(annotation) else 0


def held_removals(bundle: Bundle, labels: Mapping[str, str], namespace: str, secret: str) -> tuple[RegistryRow, ...]:
    """Return a row for each registry of each removed trust that the guard keeps on a node.

    The rows are about those trusts alone: another trust for the same registry is current all the same.

    Args:
        bundle: what the node applies.
        labels: the node's.
        namespace: where the bundle's Secret is, for the command.
        secret: its name.
    """
    held = [trust for trust in bundle.trusts if trust.held_until is not None]
    # By the removals' own serials and not the bundle's: the message stays the same while other trusts change.
    command = confirm_command(namespace, secret, max((trust.since for trust in held), default=0))
    return tuple(
        RegistryRow(
            registry, RowState.HELD, problem=Problem(Reason.REMOVAL_HELD, _message(trust, command)), trust=trust.name
        )
        for trust in held
        if not bundle.withdrawn and trust.content is not None and trust.content.selects(labels)
        for registry in trust.content.registries
    )


def _message(trust: IndexedTrust, command: str) -> str:
    end = rfc3339(trust.held_until or 0.0)
    return (
        f"trust {trust.name} was deleted, together with more than half of all trusts; in case that was a mistake, "
        f"its files stay until {end}. To keep them, apply it again. To remove them now: {command}"
    )


def hold_losses(plan: Plan, observed: ObservedRoot, lost: LostHistory, namespace: str, secret: str) -> Plan:
    """Leave out every step by which a trust loses files, with a row for each entry that stays as it is for that.

    Args:
        plan: a plan for the root.
        observed: what the root holds.
        lost: the history of which the operator knows nothing.
        namespace: where the bundle's Secret is, for the command.
        secret: its name.
    """
    plan, spared = spare(plan, observed)
    held = {observed.own[entry].registry: (observed.own[entry].digest, trusts) for entry, trusts in spared.items()}
    ways_out = (
        f"its files stay at least until {rfc3339(lost.held_until)}. To keep them, apply the trust again. "
        f"To remove them now: {confirm_command(namespace, secret, lost.since)}"
    )
    rows = tuple(
        RegistryRow(
            registry,
            RowState.HELD,
            digest,
            Problem(
                Reason.REMOVAL_HELD,
                "kept as it is: the operator's history was lost (was etcd restored from a backup?), and this node no "
                f"longer gets this registry from {listing([escape(trust, 64) for trust in trusts])}; {ways_out}",
            ),
        )
        for registry, (digest, trusts) in held.items()
    )
    return replace(plan, rows=(*(row for row in plan.rows if row.registry not in held), *rows))
