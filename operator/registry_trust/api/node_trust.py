"""The kind `NodeTrust`: the report of one node, written by that node's agent alone."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from registry_trust.api.fields import APIModel, Conditions, Count, Message, ReasonWord, Serial, list_type
from registry_trust.core.layout import NAME_LIMIT, Layout
from registry_trust.core.names import MAXIMUM_NOTICES, MAXIMUM_ROWS, MAXIMUM_TARGETS
from registry_trust.core.report import RowState, TargetState
from registry_trust.core.verdict.verdict import State as VerdictState

KIND = "NodeTrust"
PLURAL = "nodetrusts"
SINGULAR = "nodetrust"
SHORT_NAME = "nt"

HostPath = Annotated[str, Field(min_length=1, max_length=1024)]


class BundleSeen(APIModel):
    """The bundle that the node last applied as a whole."""

    uid: Annotated[
        str, Field(max_length=64, description="The UID of the bundle's Secret; empty before the first bundle.")
    ]
    serial: Annotated[Serial, Field(description="The bundle's serial, which counts its writes; 0 before the first.")]
    schema_: Annotated[
        Count | None,
        Field(
            alias="schema",
            description="The version of the bundle's format that the agent understands; from 2 on, the node can be "
            "a canary (spec.rollout).",
        ),
    ] = None


class TargetStatus(APIModel):
    """One certs.d directory on this node that the agent writes to, and what its runtime makes of it."""

    path: Annotated[HostPath, Field(description="The directory on the host, e.g. /etc/docker/certs.d.")]
    layout: Annotated[
        Layout | None,
        Field(strict=False, description="How its files are laid out: docker, containers or containerd."),
    ] = None
    state: Annotated[
        TargetState,
        Field(
            strict=False,
            description="Read: the runtime reads it. Standby: written, but read only once the runtime changes. "
            "NotRead: the runtime's configuration leaves it out. Unknown: that configuration can't be read. "
            "Failed: the agent can't use the directory.",
        ),
    ]
    reason: ReasonWord | None = None
    message: Message | None = None


class VerificationStatus(APIModel):
    """Whether a pull from a registry would work on this node."""

    state: Annotated[
        VerdictState,
        Field(
            strict=False,
            description="Verified: the registry answers as for a pull. Failed: a pull would fail. Unknown: the agent "
            "can't decide that; see the message.",
        ),
    ]
    reason: ReasonWord | None = None
    message: Message | None = None


class RegistryStatus(APIModel):
    """How one registry stands on this node."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_LIMIT, description="The registry, as host[:port].")]
    trust: Annotated[
        str | None,
        Field(max_length=253, description="Set if the row is about what this one RegistryTrust asks for."),
    ] = None
    generation: Annotated[
        str | None,
        Field(max_length=128, description="Names the content of the files on disk; absent if there are none."),
    ] = None
    state: Annotated[
        RowState,
        Field(
            strict=False,
            description="Current: on disk as asked. Pending: on its way. Failed: see the message. Held: kept as it is, "
            "because the operator does not know what it should be, or because a removal is held.",
        ),
    ]
    reason: ReasonWord | None = None
    message: Message | None = None
    verification: Annotated[
        VerificationStatus | None,
        Field(
            description="What the registry answered to this node; absent where another node asks, or nobody has yet."
        ),
    ] = None


class NodeNotice(APIModel):
    """What is worth knowing about the whole node."""

    reason: ReasonWord
    message: Message | None = None


class NodeTrustStatus(APIModel):
    """What the node's agent last wrote and checked on disk."""

    agent_version: Annotated[str | None, Field(max_length=64, description="The version of the node agent.")] = None
    runtime: Annotated[
        str | None,
        Field(max_length=256, description="The node's container runtime and version, e.g. containerd://2.4.2."),
    ] = None
    bundle: Annotated[BundleSeen | None, Field(description="The bundle that the node last applied as a whole.")] = None
    labels_hash: Annotated[
        str | None, Field(max_length=64, description="A hash of the Node's labels by which the agent selected trusts.")
    ] = None
    state: Annotated[
        Literal["Current", "Pending", "Failing", "RemovalHeld"] | None,
        Field(
            description="The whole node in one word. Failing: a registry failed, or a target is not read; the messages "
            "explain what to do. RemovalHeld: most trusts were removed, or the cluster's state was set back, "
            "and files stay for some minutes; the rows of that reason explain how to confirm or undo it."
        ),
    ] = None
    conditions: Annotated[
        Conditions | None,
        Field(
            description="Ready: all that the node's trusts ask for is on disk, and its runtime reads it. Reconciling "
            "(it is on its way) and Stalled (manual action is needed) are there only while true."
        ),
    ] = None
    targets_summary: Annotated[
        str | None,
        Field(max_length=512, description="The targets in short, with their state if it is not Read."),
    ] = None
    targets: Annotated[
        list[TargetStatus] | None,
        Field(
            max_length=MAXIMUM_TARGETS,
            json_schema_extra=list_type("atomic"),
            description="The certs.d directories that the agent writes to on this node.",
        ),
    ] = None
    registries: Annotated[
        list[RegistryStatus] | None,
        Field(
            max_length=MAXIMUM_ROWS,
            json_schema_extra=list_type("atomic"),
            description="The registries on this node, failures first, then held removals, "
            f"at most {MAXIMUM_ROWS} rows.",
        ),
    ] = None
    registry_count: Annotated[
        Count | None, Field(description="The number of registries on this node, also of those not listed.")
    ] = None
    failing_count: Annotated[
        Count | None, Field(description="The number of failing rows, also of those not listed.")
    ] = None
    notices: Annotated[
        list[NodeNotice] | None,
        Field(
            max_length=MAXIMUM_NOTICES,
            json_schema_extra=list_type("atomic"),
            description="What is worth knowing about the whole node, e.g. that drift was repaired.",
        ),
    ] = None


class NodeTrust(APIModel):
    """A NodeTrust reports what one node has: which registries, in which directories, and what failed.

    It is named after its Node, owned by it and goes with it. Only the node's own agent writes it; don't edit it.
    """

    status: Annotated[
        NodeTrustStatus | None, Field(description="What the node's agent last wrote and checked on disk.")
    ] = None
