"""Settings of the operator, as the composition root hands them over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from registry_trust.compiler.admission import TRUST_LIMIT
from registry_trust.core.certificate_state import EXPIRY_WARNING
from registry_trust.core.names import AGENT, BUNDLE, OPERATOR


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """What the operator is told.

    Attributes:
        namespace: its own namespace, with bundle, Lease and DaemonSet.
        trust_namespace: the only namespace whose Secrets and ConfigMaps it reads.
        identity: the name under which it holds the Lease.
        kubeconfig: a kubeconfig file; empty inside a cluster.
        listen: host and port of metrics and health; port 0 takes a free one.
        resync: seconds between complete LISTs (jittered by a fifth).
        poll: seconds between looks at the bundle's metadata and the DaemonSet.
        expiry_warning: how long before its end a certificate is expiring, at most.
        startup_taint: remove the startup taint from nodes.
        trust_limit: bytes that one trust may take of the bundle.
        verification: let some nodes ask each trust's registries whether a pull would work.
    """

    namespace: str
    trust_namespace: str
    identity: str
    kubeconfig: str = ""
    bundle_name: str = BUNDLE
    lease_name: str = OPERATOR
    agent_name: str = AGENT
    listen: tuple[str, int] = ("0.0.0.0", 8080)  # noqa: S104 - a pod's own address, for the kubelet's probes
    resync: float = 600.0
    poll: float = 5.0
    leader_election: bool = True
    expiry_warning: timedelta = EXPIRY_WARNING
    trust_limit: int = TRUST_LIMIT
    startup_taint: bool = False
    verification: bool = False
