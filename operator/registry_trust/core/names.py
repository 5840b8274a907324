"""Names that processes, chart and admins share: the API's group and version, objects, field managers, report limits.

A new version of the API begins here. The chart has its own copy of the objects' names; `tests/contract` compares them.
"""

from __future__ import annotations

GROUP = "registrytrust.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
TRUSTS = f"/apis/{API_VERSION}/registrytrusts"
REPORTS = f"/apis/{API_VERSION}/nodetrusts"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TRUSTS_CRD = f"registrytrusts.{GROUP}"
REPORTS_CRD = f"nodetrusts.{GROUP}"

PRODUCT = "registry-trust"
"""The label `app.kubernetes.io/part-of`, and the category by which kubectl shows both kinds."""
OPERATOR = "registry-trust-operator"
"""Deployment, ServiceAccount, RBAC, Lease, and the field manager of what the operator writes."""
AGENT = "registry-trust-agent"
"""DaemonSet, ServiceAccount, RBAC, and the field manager of the node reports."""
BUNDLE = "registry-trust-bundle"
"""The Secret with what every node is to have."""
BUNDLE_TYPE = f"{GROUP}/bundle"
SOURCES_ROLE = "registry-trust-sources"
EVENTS_ROLE = "registry-trust-events"
OWN_NODE_POLICY = "registry-trust-agent-own-node"

STARTUP_TAINT = f"{GROUP}/not-ready"
"""The key of the taint with which nodes may join, and which the operator then removes, whatever its effect."""
STARTUP_TAINT_POLICY = "registry-trust-operator-startup-taint"

CONFIRM_ANNOTATION = f"{GROUP}/confirm-removal"
"""On the bundle's Secret: the removals that began at this serial or before are meant."""

PROMOTE_ANNOTATION = f"{GROUP}/promote"
"""On a RegistryTrust: the revision that goes to all nodes now, whatever its canaries say."""

MAXIMUM_CANARIES = 100
"""Canaries of one trust, however large the fleet is: the bundle names each."""
MAXIMUM_ROWS = 64
"""Rows in one node report; failing ones come first and `failingCount` counts them all."""
MAXIMUM_TARGETS = 16
MAXIMUM_NOTICES = 16
MAXIMUM_FAILING_NODES = 10
MAXIMUM_CERTIFICATES = 32
