"""Explanation: what a reason means, how to fix it, and which objects show it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Place(StrEnum):
    """Where an admin meets a reason; the values are Markdown of the page "Reading status"."""

    CONDITION = "a condition of the RegistryTrust"
    WARNING = "a warning in the message of `Accepted`"
    FAILING_NODE = "`failingNodes` of the RegistryTrust"
    ROW = "a row of `registries` in the NodeTrust"
    TARGET = "a row of `targets` in the NodeTrust"
    NOTICE = "`notices` of the NodeTrust"
    PROBE = "the verdict of a probe"
    EVENT = "an Event of the RegistryTrust"
    NODE_EVENT = "an Event of the Node"
    LOG = "the log"


REFUSED = (Place.CONDITION, Place.EVENT)
"""Errors of a trust: the reason of Accepted, Ready and Stalled, and the first word of the Event `Rejected`."""

ON_NODE = (Place.ROW, Place.FAILING_NODE, Place.LOG)
"""A registry that fails on a node, and what the trust and the agent's log repeat of it."""

ON_TARGET = (Place.TARGET, Place.FAILING_NODE, Place.LOG)
"""A target that fails on a node, and with it every trust that selects the node."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One reason, for a reader.

    Attributes:
        meaning: one or two sentences.
        fix: what to do; where there is nothing to do, that.
        where: every object that shows it.
    """

    meaning: str
    fix: str
    where: tuple[Place, ...]
