"""The node report in the making: from what a pass came to, what the node's `NodeTrust` is to say."""

from __future__ import annotations

from collections.abc import Sequence

from registry_trust import __version__
from registry_trust.agent.delivery.inbox import NodeSeen
from registry_trust.agent.rollback import Applied
from registry_trust.core.bundle import SCHEMA
from registry_trust.core.names import MAXIMUM_NOTICES
from registry_trust.core.problem import Problem
from registry_trust.core.report import NodeReport, RegistryRow, TargetRow, order_rows, order_targets
from registry_trust.core.selection import labels_hash


def composed(
    runtime: str,
    node: NodeSeen,
    applied: Applied,
    rows: Sequence[RegistryRow],
    targets: Sequence[TargetRow],
    notices: Sequence[Problem | None],
) -> NodeReport:
    """Return the report.

    Args:
        runtime: as in the Node's status; empty where that is not known.
        node: the Node, by whose labels was selected.
        applied: the bundle that was last applied as a whole.
        rows: the registries; as many are shown as the kind allows.
        targets: the targets, and roots that are missing.
        notices: what else is to be said; None is left out.
    """
    shown, count, failing = order_rows(rows)
    return NodeReport(
        agent_version=__version__,
        runtime=runtime,
        bundle_uid=applied.uid,
        serial=applied.serial,
        labels_hash=labels_hash(node.labels),
        targets=order_targets(targets),
        registries=shown,
        registry_count=count,
        failing=failing,
        notices=tuple([notice for notice in notices if notice is not None][:MAXIMUM_NOTICES]),
        schema=SCHEMA,
    )
