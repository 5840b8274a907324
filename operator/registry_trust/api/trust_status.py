"""The status of a `RegistryTrust`: what the operator says of a trust's certificates and of the nodes that have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from registry_trust.api.fields import (
    SHA256,
    APIModel,
    Conditions,
    Count,
    Message,
    ReasonWord,
    Timestamp,
    list_type,
)
from registry_trust.core.certificate_state import CertificateState
from registry_trust.core.layout import NAME_LIMIT
from registry_trust.core.names import MAXIMUM_CERTIFICATES, MAXIMUM_FAILING_NODES
from registry_trust.core.text import listing

INITIAL_STATUS = {"observedGeneration": -1}
"""The CRD's default: an object that nobody has looked at yet is not taken for done (kstatus compares generations)."""


def summarize_registries(registries: Sequence[str]) -> str:
    """Return `status.registriesSummary`: `a, b and 4 more`, short enough for a column."""
    return listing(list(registries), 2)


class NodeCounts(APIModel):
    """How many nodes are selected, and how they stand; the other counts add up to `selected`."""

    selected: Annotated[Count, Field(description="Nodes that the nodeSelector selects.")]
    current: Annotated[
        Count,
        Field(description="Selected nodes that report the current revision on disk; canaries, that of the rollout."),
    ]
    pending: Annotated[Count, Field(description="Selected nodes with a live agent that has yet to report it.")]
    failed: Annotated[Count, Field(description="Selected nodes that report a failure; see failingNodes.")]
    unreachable: Annotated[Count, Field(description="Selected nodes whose Node is not Ready; they follow on return.")]
    without_agent: Annotated[
        Count, Field(description="Selected nodes on which no agent runs; they are not waited for.")
    ]


class FailingNode(APIModel):
    """One node that does not have the current revision, and why."""

    name: Annotated[str, Field(max_length=253, description="The Node's name.")]
    registry: Annotated[
        str | None,
        Field(max_length=NAME_LIMIT, description="The registry that is concerned; absent if it is all of them."),
    ] = None
    reason: ReasonWord
    message: Message | None = None


class RolloutStatus(APIModel):
    """New content that is not on all nodes yet, or that failed on a canary and stays away from all."""

    revision: Annotated[
        str,
        Field(
            max_length=64,
            description="Names the new content. To let it go to all nodes now, annotate the trust with "
            "registrytrust.io/promote=REVISION.",
        ),
    ]
    canaries: Annotated[
        list[Annotated[str, Field(max_length=253)]] | None,
        Field(
            max_length=MAXIMUM_FAILING_NODES,
            json_schema_extra=list_type("atomic"),
            description=f"The nodes that have it, at most {MAXIMUM_FAILING_NODES}; empty once it failed on one.",
        ),
    ] = None
    canary_count: Annotated[
        Count | None, Field(description="The number of nodes that have it, also of those not listed.")
    ] = None


class CertificateStatus(APIModel):
    """One certificate that this trust serves."""

    kind: Annotated[
        Literal["CA", "Client"],
        Field(description="CA (a root that vouches for the registry) or Client (shows the registry who the node is)."),
    ]
    source: Annotated[
        str | None,
        Field(
            max_length=1024,
            description="Where it came from, e.g. Secret registry-trust/harbor-ca key ca.crt; absent if its source "
            "is gone and the last good content is served.",
        ),
    ] = None
    subject: Annotated[str | None, Field(max_length=1024, description="The subject's distinguished name.")] = None
    issuer: Annotated[str | None, Field(max_length=1024, description="The issuer's distinguished name.")] = None
    serial_number: Annotated[str | None, Field(max_length=128, description="The serial number, in lower-case hex.")] = (
        None
    )
    sha256: Annotated[
        str,
        Field(max_length=64, pattern=SHA256, description="SHA-256 of the certificate's DER, in lower-case hex."),
    ]
    not_before: Annotated[Timestamp, Field(description="The moment from which it is valid.")]
    not_after: Annotated[Timestamp, Field(description="The moment at which it expires.")]
    state: Annotated[
        CertificateState | None,
        Field(
            strict=False,
            description="Valid, NotYetValid, Expiring (in its last 30 days, or in the last fifth of a shorter "
            "lifetime), ExpiringSoon (in its last 7 days) or Expired.",
        ),
    ] = None
    retained_until: Annotated[
        Timestamp | None,
        Field(
            description="Set if this CA certificate was replaced: it goes at this moment "
            "(see spec.caRetention). Set caRetention to 0s to let it go now."
        ),
    ] = None


class RegistryTrustStatus(APIModel):
    """What the operator and the nodes made of the spec."""

    observed_generation: Annotated[
        int | None,
        Field(
            ge=-1,
            json_schema_extra={"format": "int64"},
            description="The metadata.generation that this status speaks of; -1 before the operator saw the object.",
        ),
    ] = None
    revision: Annotated[
        str | None,
        Field(
            max_length=64,
            description="Names the content that is served now; it changes when a certificate, a registry or the "
            "nodeSelector does. Absent if nothing is served.",
        ),
    ] = None
    registries_summary: Annotated[
        str | None, Field(max_length=640, description="The registries in short, for `kubectl get`.")
    ] = None
    next_expiry: Annotated[
        Timestamp | None,
        Field(
            description="The next time at which a served certificate expires (RFC 3339, UTC). A CA certificate that is "
            "only retained, or that has a valid successor of the same key or subject, does not count."
        ),
    ] = None
    conditions: Annotated[
        Conditions | None,
        Field(
            description="Accepted: the spec and its sources can be used; if not, the last good content stays served. "
            "Distributed: every selected node with a live agent has `revision` on disk. Expiring: a served certificate "
            "is about to expire. Verified: some nodes asked the registries, and a pull would work "
            "(spec.verification). Ready: Accepted and Distributed, and Verified if the spec requires it. Reconciling "
            "and Stalled are there only while true."
        ),
    ] = None
    nodes: Annotated[NodeCounts | None, Field(description="How many nodes are selected, and in which state.")] = None
    nodes_summary: Annotated[
        str | None, Field(max_length=32, description="Current and selected nodes, e.g. 4998/5000.")
    ] = None
    rollout: Annotated[
        RolloutStatus | None,
        Field(description="New content that its canaries have first, or that failed there (spec.rollout)."),
    ] = None
    failing_nodes: Annotated[
        list[FailingNode] | None,
        Field(
            max_length=MAXIMUM_FAILING_NODES,
            json_schema_extra=list_type("atomic"),
            description=f"The first {MAXIMUM_FAILING_NODES} nodes without the current revision, failures first. "
            "`kubectl get nt NODE -o yaml` has the rest.",
        ),
    ] = None
    certificates: Annotated[
        list[CertificateStatus] | None,
        Field(
            max_length=MAXIMUM_CERTIFICATES,
            json_schema_extra=list_type("atomic"),
            description=f"The served certificates, the first to expire first, at most {MAXIMUM_CERTIFICATES}.",
        ),
    ] = None
    certificate_count: Annotated[
        Count | None, Field(description="The number of served certificates, also of those not listed.")
    ] = None
