"""The mass-removal hold: what a node says of the removed trusts that the guard keeps on it, and how to end that."""

from __future__ import annotations

import re
from collections.abc import Mapping

from registry_trust.core.bundle import Bundle, IndexedTrust
from registry_trust.core.names import CONFIRM_ANNOTATION
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState
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
            registry, RowState.HELD, reason=Reason.REMOVAL_HELD, message=_message(trust, command), trust=trust.name
        )
        for trust in held
        if not bundle.withdrawn and trust.content is not None and trust.content.selects(labels)
        for registry in trust.content.registries
    )


def _message(trust: IndexedTrust, command: str) -> str:
    end = rfc3339(trust.held_until or 0.0)
    return (
        f"trust {trust.name} is gone, and with it more than half of all; in case that was a mistake, its files stay "
        f"until {end}. To keep them, apply it again. To remove them now: {command}"
    )
